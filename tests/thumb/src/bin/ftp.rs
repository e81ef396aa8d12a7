//! An FTP client's upgrade, from its start to the go-ahead.

#![no_std]
#![no_main]

use starttls::{Policy, ftp};

starttls_thumb::image!(ftp::Client::new(Policy::Required), ftp::MAX_LINE);
