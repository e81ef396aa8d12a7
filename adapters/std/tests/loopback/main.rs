//! The adapter against itself and against scripted peers, on the loopback interface.

mod boundary;
mod common;
mod connection;
mod halves;
mod mail;
mod protocols;
mod submission;
