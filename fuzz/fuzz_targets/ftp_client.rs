//! The client's engine with the grammar of FTP.

#![no_main]

use libfuzzer_sys::fuzz_target;
use starttls_fuzz::Case;
use starttls_fuzz::engine::{Ftp, client};

fuzz_target!(|case: Case<'_>| client::<Ftp>(&case));
