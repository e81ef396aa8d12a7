//! The binary as a user runs it.

mod bulk;
mod commands;
mod common;
mod connect;
