//! Upgrades between the two ends of a pipe in memory.

mod boundary;
mod cancel;
mod common;
mod decide;
mod protocols;
mod waits;
