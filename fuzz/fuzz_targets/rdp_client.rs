//! The client's engine with the grammar of RDP.

#![no_main]

use libfuzzer_sys::fuzz_target;
use starttls_fuzz::Case;
use starttls_fuzz::engine::{Rdp, client};

fuzz_target!(|case: Case<'_>| client::<Rdp>(&case));
