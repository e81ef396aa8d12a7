#![cfg_attr(feature = "protocols", doc = concat!("[manual]: mod@self::manual\n\n", include_str!("../README.md")))]
#![cfg_attr(
    not(feature = "protocols"),
    doc = "The engines and the protocols of the enabled features."
)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![no_std]
#![forbid(unsafe_code)]
#![warn(rustdoc::all)]
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(test)]
extern crate std;

mod boundary;
mod buffer;
mod conceal;
#[cfg(test)]
mod diagram;
mod error;
#[cfg(test)]
mod generated;
mod meaning;
mod policy;
mod protocol;
mod roles;
mod settings;
mod step;
mod untrusted;
#[cfg(feature = "scram")]
mod wipe;

pub mod client;
pub mod driver;
#[cfg(all(doc, not(doctest)))]
pub mod manual;
pub mod server;
pub mod wire;

#[cfg(feature = "ftp")]
pub mod ftp;
#[cfg(feature = "imap")]
pub mod imap;
#[cfg(feature = "irc")]
pub mod irc;
#[cfg(feature = "ldap")]
pub mod ldap;
#[cfg(feature = "smtp")]
pub mod lmtp;
#[cfg(feature = "smtp")]
pub mod mail;
#[cfg(feature = "mx")]
pub mod mx;
#[cfg(feature = "mysql")]
pub mod mysql;
#[cfg(feature = "nbd")]
pub mod nbd;
#[cfg(feature = "nntp")]
pub mod nntp;
#[cfg(feature = "nut")]
pub mod nut;
#[cfg(feature = "pop3")]
pub mod pop3;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "rdp")]
pub mod rdp;
#[cfg(feature = "sieve")]
pub mod sieve;
#[cfg(feature = "smtp")]
pub mod smtp;
#[cfg(feature = "vnc")]
pub mod vnc;
#[cfg(feature = "xmpp")]
pub mod xmpp;

pub use boundary::{Channel, Plaintext, Tls};
pub use buffer::Buffer;
pub use client::Client;
pub use driver::Driver;
pub use error::{ArgumentError, Error, Kind};
pub use meaning::Meaning;
pub use policy::{Policy, Reason, Verification};
pub use protocol::Protocol;
pub use roles::{Introduction, Phrases, Roles};
pub use server::Server;
pub use step::{Machine, Step};
pub use untrusted::Untrusted;
