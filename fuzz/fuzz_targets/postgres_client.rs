//! The client's engine with the grammar of PostgreSQL.

#![no_main]

use libfuzzer_sys::fuzz_target;
use starttls_fuzz::Case;
use starttls_fuzz::engine::{Postgres, client};

fuzz_target!(|case: Case<'_>| client::<Postgres>(&case));
