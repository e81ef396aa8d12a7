//! The client's engine with the grammar of MySQL.

#![no_main]

use libfuzzer_sys::fuzz_target;
use starttls_fuzz::Case;
use starttls_fuzz::engine::{Mysql, client};

fuzz_target!(|case: Case<'_>| client::<Mysql>(&case));
