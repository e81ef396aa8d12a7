//! The binary as a user runs it.

mod backend;
mod bulk;
mod commands;
mod common;
mod connect;
mod picture;
