//! A ManageSieve client's upgrade, from its start to the go-ahead.

#![no_std]
#![no_main]

use starttls::{Policy, sieve};

starttls_thumb::image!(sieve::Client::new(Policy::Required), sieve::MAX_FRAME);
