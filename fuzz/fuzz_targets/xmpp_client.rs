//! The client's engine with the grammar of XMPP.

#![no_main]

use libfuzzer_sys::fuzz_target;
use starttls_fuzz::Case;
use starttls_fuzz::engine::{Xmpp, client};

fuzz_target!(|case: Case<'_>| client::<Xmpp>(&case));
