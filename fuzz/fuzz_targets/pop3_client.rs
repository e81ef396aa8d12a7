//! The client's engine with the grammar of POP3.

#![no_main]

use libfuzzer_sys::fuzz_target;
use starttls_fuzz::Case;
use starttls_fuzz::engine::{Pop3, client};

fuzz_target!(|case: Case<'_>| client::<Pop3>(&case));
