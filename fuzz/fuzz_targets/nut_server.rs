//! The server's engine with the grammar of NUT.

#![no_main]

use libfuzzer_sys::fuzz_target;
use starttls_fuzz::Case;
use starttls_fuzz::engine::{Nut, server};

fuzz_target!(|case: Case<'_>| server::<Nut>(&case));
