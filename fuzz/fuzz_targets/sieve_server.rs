//! The server's engine with the grammar of ManageSieve.

#![no_main]

use libfuzzer_sys::fuzz_target;
use starttls_fuzz::Case;
use starttls_fuzz::engine::{Sieve, server};

fuzz_target!(|case: Case<'_>| server::<Sieve>(&case));
