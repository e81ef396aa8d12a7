//! A POP3 client's upgrade, from its start to the go-ahead.

#![no_std]
#![no_main]

use starttls::{Policy, pop3};

starttls_thumb::image!(pop3::Client::new(Policy::Required), pop3::MAX_LINE);
