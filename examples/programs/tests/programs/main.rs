//! Runs each program as a user does, against servers and clients on loopback.

mod attack;
mod common;
mod imap;
mod lmtp;
mod monitor;
#[cfg(feature = "native-tls")]
mod native;
mod server;
mod smol;
mod web;
