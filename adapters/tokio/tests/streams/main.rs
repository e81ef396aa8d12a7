//! Upgrades between the two ends of a pipe in memory, and mail over loopback.

mod boundary;
mod cancel;
mod common;
mod cut;
mod decide;
mod inbox;
mod mail;
#[cfg(feature = "native-tls")]
mod native_tls;
mod pool;
mod protocols;
#[cfg(feature = "mx")]
mod report;
mod routes;
mod serve;
mod transports;
mod waits;
