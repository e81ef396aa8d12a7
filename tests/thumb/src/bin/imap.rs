//! An IMAP client's upgrade, from its start to the go-ahead.

#![no_std]
#![no_main]

use starttls::{Policy, imap};

starttls_thumb::image!(
    imap::Client::new(imap::Tag::new(starttls_thumb::opaque(0)), Policy::Required),
    imap::MAX_FRAME
);
