#![cfg_attr(feature = "smtp", doc = include_str!("../README.md"))]
#![cfg_attr(
    not(feature = "smtp"),
    doc = "A STARTTLS connection on rustls: the plaintext machine, TLS, and a machine inside it."
)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![no_std]
#![forbid(unsafe_code)]
#![warn(rustdoc::all)]
#![cfg_attr(
    not(test),
    deny(
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

extern crate alloc;

mod buffer;
mod client;
mod connection;
#[cfg(feature = "dane")]
pub mod dane;
mod drive;
mod engine;
mod error;
mod explain;
#[cfg(feature = "smtp")]
mod mail;
mod plaintext;
mod records;
mod server;
mod tunnel;
mod verify;

use core::time::Duration;

pub use client::{Client, ClientTls};
pub use connection::{Connection, Event};
pub use drive::Step;
pub use engine::Engine;
pub use error::Error;
pub use explain::{Explanation, explain};
pub use server::Server;
pub use verify::Judging;

/// The longest TLS record with its header, in bytes (RFC 5246 §6.2.3).
pub const MAX_RECORD: usize = 5 + (1 << 14) + 2048;

/// The limit of a frame inside TLS, in bytes.
pub const MAX_FRAME: usize = 2048;

/// The limit of a single write of a machine inside TLS, in bytes.
pub const MAX_OUTPUT: usize = 6144;

/// The minimum space that [`Connection::write_with`] offers, in bytes.
pub const MIN_ROOM: usize = 2048;

/// The limit of the receive buffer, in bytes: an unfinished frame, then a whole record.
///
/// Each message of the TLS handshake has to fit too, such as the peer's certificate chain.
pub const RECEIVE: usize = MAX_RECORD + MAX_FRAME;

/// The limit of the send buffer, in bytes: a whole flight of the handshake, or waiting bytes and a record of
/// TLS itself.
pub const SEND: usize = MAX_RECORD + 4096;

/// The size of the receive buffer of a connection that waits, in bytes: a command, or a record with one.
pub(crate) const MIN_RECEIVE: usize = 512;

/// The time limit of a whole handshake.
pub const HANDSHAKE_WAIT: Duration = Duration::from_secs(60);

/// The time limit for a peer to read what is sent, if the machine sets none.
pub const SEND_WAIT: Duration = Duration::from_secs(5 * 60);
