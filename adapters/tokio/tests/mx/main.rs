//! Mail to domains: their DNS, signed, their policy hosts and their mail hosts, all on loopback.
#![cfg(all(feature = "mx", feature = "ring", target_os = "linux"))]

mod host;
mod identity;
mod policies;
mod relay;
mod reports;
mod world;
