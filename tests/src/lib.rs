#![doc = include_str!("../README.md")]
//!
//! Tables of vectors and what runs them.
//!
//! The rows are data, under `vectors/`; [`table`] reads them, [`subject`] puts one shape over the
//! four machines, [`run`] plays a row against a machine in every cut of its octets, and [`check`]
//! says whether what came out is what the row says.

pub mod check;
pub mod machines;
pub mod octets;
pub mod run;
pub mod subject;
pub mod sweep;
pub mod table;

pub use machines::{CLIENT, SERVER};

/// Octets for people.
#[must_use]
pub fn shown(octets: &[u8]) -> String {
    octets.escape_ascii().to_string()
}

/// The examples of the project's front page.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct FrontPage;
