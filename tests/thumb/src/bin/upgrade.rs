//! An SMTP client's upgrade, from the greeting to the go-ahead.

#![no_std]
#![no_main]

use starttls::{Policy, smtp};

const NAME: smtp::Domain<'_> = match smtp::Domain::new("sensor.example.org") {
    Ok(name) => name,
    Err(_) => panic!("not a name"),
};

starttls_thumb::image!(smtp::Client::new(NAME, Policy::Required), 512);
