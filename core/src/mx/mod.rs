//! What a mail domain demands of those who send to it.
//!
#![doc = include_str!("RESOLUTION.md")]

pub mod dane;
mod domain;
mod header;
mod hosts;
mod options;
mod question;
mod requirement;
mod resolution;
mod result;
pub mod sts;

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
