//! The binary as a user runs it.

mod backend;
mod bulk;
mod commands;
mod common;
mod compose;
mod conformance;
mod connect;
mod delivery;
mod domains;
mod envelope;
#[path = "../../../../core/src/generated.rs"]
mod generated;
mod messages;
mod names;
mod pages;
mod picture;
mod policies;
mod protocols;
mod queue;
#[cfg(unix)]
mod reload;
mod replies;
mod report;
mod resume;
mod routes;
#[cfg(unix)]
mod service;
#[cfg(unix)]
mod shared;
#[cfg(target_os = "linux")]
mod sizes;
mod structured;
mod tls;
mod truncation;
mod xmpp_domains;
