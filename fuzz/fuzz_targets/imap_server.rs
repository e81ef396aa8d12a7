//! The server's engine with the grammar of IMAP.

#![no_main]

use libfuzzer_sys::fuzz_target;
use starttls_fuzz::Case;
use starttls_fuzz::engine::{Imap, server};

fuzz_target!(|case: Case<'_>| server::<Imap>(&case));
