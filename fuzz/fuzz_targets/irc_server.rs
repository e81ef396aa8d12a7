//! The server's engine with the grammar of IRC.

#![no_main]

use libfuzzer_sys::fuzz_target;
use starttls_fuzz::Case;
use starttls_fuzz::engine::{Irc, server};

fuzz_target!(|case: Case<'_>| server::<Irc>(&case));
