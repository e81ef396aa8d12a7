//! An NBD client's upgrade, from the greeting to the go-ahead.

#![no_std]
#![no_main]

use starttls::{Policy, nbd};

starttls_thumb::image!(
    nbd::Client::new(nbd::Flags::NO_ZEROES, Policy::Required),
    20 + nbd::MAX_TEXT
);
