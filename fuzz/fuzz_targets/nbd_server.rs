//! The server's engine with the grammar of NBD.

#![no_main]

use libfuzzer_sys::fuzz_target;
use starttls_fuzz::Case;
use starttls_fuzz::engine::{Nbd, server};

fuzz_target!(|case: Case<'_>| server::<Nbd>(&case));
