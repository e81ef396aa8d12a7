//! An RDP client's upgrade, from its request to the go-ahead.

#![no_std]
#![no_main]

use starttls::Policy;
use starttls::rdp::{self, Protocols};

starttls_thumb::image!(rdp::Client::new(Protocols::SSL, Policy::Required), rdp::MAX_CONFIRM);
