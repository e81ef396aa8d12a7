//! An IRC client's upgrade, from its start to the go-ahead.

#![no_std]
#![no_main]

use starttls::{Policy, irc};

starttls_thumb::image!(irc::Client::new(Policy::Required), irc::MAX_MESSAGE);
