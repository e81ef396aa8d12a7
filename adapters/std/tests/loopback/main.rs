//! The adapter against itself and against scripted peers, on the loopback interface.

mod boundary;
mod common;
mod connection;
mod cut;
mod mail;
#[cfg(feature = "native-tls")]
mod native_tls;
mod pool;
mod protocols;
mod split;
mod submission;
mod transports;
mod trust;
mod waits;
