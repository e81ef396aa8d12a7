//! An LDAP client's upgrade, from its start to the go-ahead.

#![no_std]
#![no_main]

use starttls::{Policy, ldap};

starttls_thumb::image!(ldap::Client::new(Policy::Required), ldap::MAX_MESSAGE);
