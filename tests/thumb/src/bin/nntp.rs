//! An NNTP client's upgrade, from its start to the go-ahead.

#![no_std]
#![no_main]

use starttls::{Policy, nntp};

starttls_thumb::image!(nntp::Client::new(Policy::Required), nntp::MAX_LINE);
