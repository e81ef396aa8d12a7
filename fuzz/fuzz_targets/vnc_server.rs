//! The server's engine with the grammar of VNC.

#![no_main]

use libfuzzer_sys::fuzz_target;
use starttls_fuzz::Case;
use starttls_fuzz::engine::{Vnc, server};

fuzz_target!(|case: Case<'_>| server::<Vnc>(&case));
