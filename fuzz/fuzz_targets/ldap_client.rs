//! The client's engine with the grammar of LDAP.

#![no_main]

use libfuzzer_sys::fuzz_target;
use starttls_fuzz::Case;
use starttls_fuzz::engine::{Ldap, client};

fuzz_target!(|case: Case<'_>| client::<Ldap>(&case));
