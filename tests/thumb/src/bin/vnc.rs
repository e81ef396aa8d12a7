//! A VNC client's upgrade, from the greeting to the go-ahead.

#![no_std]
#![no_main]

use starttls::Policy;
use starttls::vnc::{self, Subtype};

starttls_thumb::image!(
    vnc::Client::new(&[Subtype::X509Plain, Subtype::X509None], Policy::Required),
    vnc::MAX_MESSAGE
);
