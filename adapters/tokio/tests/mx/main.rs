//! Mail to domains, with signed DNS, policy hosts and mail hosts on loopback.
#![cfg(all(feature = "mx", feature = "ring", target_os = "linux"))]

mod host;
mod identity;
mod policies;
mod relay;
mod reports;
mod world;
