//! A MySQL client's upgrade, from the greeting to its request.

#![no_std]
#![no_main]

use starttls::{Policy, mysql};

starttls_thumb::image!(
    mysql::Client::new(mysql::SslRequest::default(), Policy::Required),
    mysql::MAX_PACKET
);
