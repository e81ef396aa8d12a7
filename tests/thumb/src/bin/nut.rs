//! A NUT client's upgrade, from its start to the go-ahead.

#![no_std]
#![no_main]

use starttls::{Policy, nut};

starttls_thumb::image!(nut::Client::new(Policy::Required), nut::MAX_LINE);
