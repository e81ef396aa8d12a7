//! A PostgreSQL client's upgrade, from its start to the go-ahead.

#![no_std]
#![no_main]

use starttls::{Policy, postgres};

starttls_thumb::image!(postgres::Client::new(Policy::Required), 8);
