//! The server's engine with the grammar of PostgreSQL.

#![no_main]

use libfuzzer_sys::fuzz_target;
use starttls_fuzz::Case;
use starttls_fuzz::engine::{Postgres, server};

fuzz_target!(|case: Case<'_>| server::<Postgres>(&case));
