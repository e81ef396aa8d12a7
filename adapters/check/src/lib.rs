#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(rustdoc::all)]

mod client;
mod dialect;
mod exchange;
mod hello;
mod judge;
mod link;
#[cfg(test)]
mod ours;
mod report;
mod server;
mod text;
mod trust;
#[cfg(test)]
mod wrong;

pub use client::{ClientTest, TestAuthority};
pub use exchange::{Exchange, Mark, Moment};
pub use report::{Case, Level, Outcome, Report, Role, Verdict};
pub use server::{CannotRun, ServerTest};
