//! The client's engine with the grammar of NBD.

#![no_main]

use libfuzzer_sys::fuzz_target;
use starttls_fuzz::Case;
use starttls_fuzz::engine::{Nbd, client};

fuzz_target!(|case: Case<'_>| client::<Nbd>(&case));
