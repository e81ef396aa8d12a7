//! Each system call of the command fails once, and the command's report must be true.
//!
//! `inject.c` counts the calls of a process and makes one fail. A scenario runs for the first call of a kind, the second,
//! and so on, until every call has failed once. In each run a mail or a text goes from one process to another, one of them
//! with the fault. Three outcomes are true: done and reported as done, not done and reported as not done, unknown and
//! reported as unknown.

#![cfg(target_os = "linux")]

mod inject;
mod load;
mod mail;
mod pipe;
mod place;
mod process;
