//! The server's engine with the grammars of SMTP and LMTP.

#![no_main]

use libfuzzer_sys::fuzz_target;
use starttls_fuzz::Case;
use starttls_fuzz::engine::{Lmtp, Smtp, server};

fuzz_target!(|case: Case<'_>| {
    if case.bit(0) { server::<Lmtp>(&case) } else { server::<Smtp>(&case) }
});
