#![doc = include_str!("../README.md")]
//!
//! Tables of vectors and what runs them.
//!
//! The rows are data, under `vectors/`; [`table`] reads them, [`subject`] puts one shape over the
//! four machines, [`run`] plays a row against a machine in every cut of its octets, and [`check`]
//! says whether what came out is what the row says.

pub mod check;
pub mod octets;
pub mod run;
pub mod subject;
pub mod table;

use starttls::smtp::Domain;

/// The name of every client in the tables.
pub const CLIENT: Domain<'static> = name("client.example.org");

/// The name of every server in the tables.
pub const SERVER: Domain<'static> = name("mx.example.org");

const fn name(name: &'static str) -> Domain<'static> {
    match Domain::new(name) {
        Ok(name) => name,
        Err(_) => panic!("a valid name"),
    }
}

/// Octets for people.
#[must_use]
pub fn shown(octets: &[u8]) -> String {
    octets.escape_ascii().to_string()
}

/// The examples of the project's front page.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct FrontPage;
