//! The binary as a user runs it.

mod backend;
mod bulk;
mod commands;
mod common;
mod compose;
mod connect;
mod domains;
mod picture;
mod protocols;
mod structured;
