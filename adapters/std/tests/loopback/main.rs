//! The adapter against itself and against scripted peers, on the loopback interface.

mod boundary;
mod certificates;
mod common;
mod connection;
mod cut;
mod facts;
mod mail;
#[cfg(feature = "native-tls")]
mod native_tls;
mod pool;
mod protocols;
#[cfg(feature = "queue")]
mod queue;
mod routes;
#[cfg(feature = "scram")]
mod scram;
mod split;
mod submission;
mod transports;
mod trust;
#[cfg(feature = "url")]
mod urls;
mod waits;
