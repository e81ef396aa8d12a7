#![cfg_attr(
    all(feature = "async", feature = "embedded-tls", feature = "smoltcp"),
    doc = include_str!("../README.md")
)]
#![cfg_attr(
    not(all(feature = "async", feature = "embedded-tls", feature = "smoltcp")),
    doc = "STARTTLS for firmware over embedded-io: a mailer, and upgrades of clients and servers."
)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![no_std]
#![forbid(unsafe_code)]
#![warn(rustdoc::all)]
#![allow(clippy::type_complexity, reason = "a stream's type names every layer below it")]
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

#[cfg(feature = "rustls")]
extern crate alloc;

mod accept;
#[cfg(feature = "async")]
pub mod asynch;
mod budget;
mod buffers;
#[cfg(feature = "embedded-tls")]
mod client_certificate;
mod clock;
mod conceal;
#[cfg(feature = "smtp")]
mod connection;
mod drive;
#[cfg(feature = "embedded-tls")]
pub mod embedded_tls;
mod error;
mod events;
#[cfg(feature = "embedded-tls")]
mod guard;
#[cfg(feature = "smtp")]
mod mailer;
#[cfg(feature = "rustls")]
pub mod rustls;
#[cfg(feature = "smtp")]
mod settings;
#[cfg(feature = "smoltcp")]
pub mod smoltcp;
#[cfg(feature = "smtp")]
mod source;
mod tls;
mod upgrade;
#[cfg(feature = "embedded-tls")]
pub mod verify;

pub use accept::{ServerStream, accept};
pub use budget::{Budget, Timer};
pub use buffers::Buffers;
pub use clock::{Clock, Timed, TimedError, Unbounded};
#[cfg(feature = "smtp")]
pub use connection::Connection;
pub use error::Error;
#[cfg(feature = "smtp")]
pub use mailer::Mailer;
#[cfg(feature = "smtp")]
pub use settings::{MAX_ITERATIONS, Mode, Settings};
#[cfg(feature = "smtp")]
pub use source::Reader;
#[cfg(feature = "smtp")]
pub use starttls::mail::Receipt;
#[cfg(feature = "smtp")]
pub use starttls::mail::source::{Composed, Files, NoFiles, Source, Unreadable};
pub use tls::{Accept, Connect, Stream};
pub use upgrade::{ClientStream, ErrorOf, Upgraded, upgrade, upgrade_with};
