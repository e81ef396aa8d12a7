#![cfg_attr(feature = "smtp", doc = include_str!("../README.md"))]
#![cfg_attr(not(feature = "smtp"), doc = "A machine with TLS inside, on rustls.")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![no_std]
#![forbid(unsafe_code)]
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
pub use server::Server;
pub use verify::Judging;

/// The longest TLS record with its header, in octets (RFC 5246 §6.2.3).
pub const MAX_RECORD: usize = 5 + (1 << 14) + 2048;

/// The largest frame of a machine inside TLS, in octets.
pub const MAX_FRAME: usize = 2048;

/// The most that a machine inside TLS may write at once, in octets.
pub const MAX_OUTPUT: usize = 6144;

/// The least that a caller of [`Connection::write_with`] is given to fill, in octets.
pub const MIN_ROOM: usize = 2048;

/// The receive buffer, in octets: an unfinished frame and a whole record behind it. A message of the
/// TLS handshake, the peer's certificates above all, has to fit, too.
pub const RECEIVE: usize = MAX_RECORD + MAX_FRAME;

/// The send buffer, in octets: a whole flight of the handshake is one write, and a record of TLS's
/// own always fits behind what waits.
pub const SEND: usize = MAX_RECORD + 4096;

/// How long a whole handshake may take.
pub const HANDSHAKE_WAIT: Duration = Duration::from_secs(60);

/// How long a peer may take to read what was sent to it, where the machine has no opinion.
pub const SEND_WAIT: Duration = Duration::from_secs(5 * 60);
