//! An XMPP client's upgrade, from its start to the go-ahead.

#![no_std]
#![no_main]

use starttls::{Policy, xmpp};

const DOMAIN: xmpp::Domain<'_> = match xmpp::Domain::new("im.example.org") {
    Ok(domain) => domain,
    Err(_) => panic!("not a domain"),
};

starttls_thumb::image!(
    xmpp::Client::new(DOMAIN, Policy::Required),
    xmpp::MAX_FRAME,
    xmpp::MAX_HEADER
);
