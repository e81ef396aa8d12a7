//! The client's engine with the grammar of NNTP.

#![no_main]

use libfuzzer_sys::fuzz_target;
use starttls_fuzz::Case;
use starttls_fuzz::engine::{Nntp, client};

fuzz_target!(|case: Case<'_>| client::<Nntp>(&case));
