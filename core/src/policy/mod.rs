//! When TLS must be there.
#![cfg_attr(feature = "mx", doc = "\n")]
#![cfg_attr(feature = "mx", doc = include_str!("RESOLUTION.md"))]

mod demand;

#[cfg(feature = "mx")]
pub mod dane;
#[cfg(feature = "mx")]
mod domain;
#[cfg(feature = "mx")]
mod header;
#[cfg(feature = "mx")]
mod hosts;
#[cfg(feature = "mx")]
mod options;
#[cfg(feature = "mx")]
mod question;
#[cfg(feature = "mx")]
mod requirement;
#[cfg(feature = "mx")]
mod resolution;
#[cfg(feature = "mx")]
mod result;
#[cfg(feature = "mx")]
pub mod sts;

pub use demand::{Policy, Reason, Verification};

#[cfg(feature = "mx")]
pub use {
    dane::Tlsa,
    domain::{Domain, MAX_DOMAIN},
    header::tls_optional,
    options::{Dane, Options, Undeliverable},
    question::{Answer, Cached, Mx, Question, Security},
    requirement::{Host, Names, Requirement, Skip},
    resolution::{REFRESH, Resolution, Step},
    result::ResultType,
};
