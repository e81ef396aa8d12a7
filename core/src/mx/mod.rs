//! The security that a mail domain demands of senders: DANE and MTA-STS.
//!
//! A client of a known server demands TLS by its [`Policy`](crate::Policy). Mail to a domain has no preconfigured server to
//! trust, and an attacker who strips STARTTLS can read it. Two standards let the receiving domain demand TLS: DANE (RFC 7672),
//! by signed DNS records, and MTA-STS (RFC 8461), by a file on a web server.
//!
//! A [`Resolution`] finds out what a domain demands:
//!
//! ```text
//! step(None) ── Ask: look it up ── step(Some(answer)) ── … ── Host: try it ── step(None) ── Host … ── End
//! ```
//!
//! 1. Call [`step`](Resolution::step) without an answer.
//! 2. On [`Step::Ask`] look up the answer in any way, and pass it to the next call. On [`Step::Keep`] store the policy.
//! 3. On [`Step::Host`] send the mail as its [`Requirement`] says. Call again without an answer for the next host.
//! 4. On [`Step::End`] or [`Step::Undeliverable`] there is no further host.
//!
//! ```
//! use starttls::mx::{Answer, Domain, Mx, Question, Requirement, Resolution, Security, Step, Tlsa};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut resolution = Resolution::<4>::new(Domain::new("example.org")?, Default::default());
//! let mut answer = None;
//! let tlsa = [Tlsa { usage: 3, selector: 1, matching: 1, data: &[7; 32] }];
//! loop {
//!     answer = match resolution.step(answer)? {
//!         Step::Ask(question) => Some(match question {
//!             Question::Mx(_) => Answer::Mx {
//!                 security: Security::Secure,
//!                 alias: None,
//!                 records: &[Mx { preference: 10, name: "mx.example.org" }],
//!                 ttl: 3600,
//!             },
//!             Question::Address(_) => Answer::Address {
//!                 first: Security::Secure,
//!                 last: Security::Secure,
//!                 alias: None,
//!                 found: true,
//!                 ttl: 3600,
//!             },
//!             Question::Tlsa { .. } => {
//!                 assert_eq!(question.to_string(), "TLSA of _25._tcp.mx.example.org");
//!                 Answer::Tlsa { security: Security::Secure, records: &tlsa, ttl: 3600 }
//!             }
//!             // Nothing in the cache, and no record.
//!             Question::Cached(_) => Answer::Cached { now: 0, entry: None },
//!             _ => Answer::Txt { records: &[] },
//!         }),
//!         Step::Host(host) => {
//!             let Requirement::Dane { base, records, .. } = host.requirement else { panic!("{host:?}") };
//!             assert_eq!((base.as_str(), records.iter().count()), ("mx.example.org", 1));
//!             break;
//!         }
//!         step => panic!("{step:?}"),
//!     };
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The manual's page on mail between servers tells what each requirement protects against.
//!
//! With [`Options::tls_optional`] (`TLS-Required: No`) every requirement is opportunistic. Use it for mail that has to arrive,
//! above all about problems with TLS.

pub mod dane;
mod domain;
mod header;
mod hosts;
mod options;
mod question;
mod requirement;
mod resolution;
mod result;
pub mod sts;

pub use {
    dane::Tlsa,
    domain::{Domain, MAX_DOMAIN},
    header::tls_optional,
    options::{Dane, Options, Undeliverable},
    question::{Answer, Cached, Mx, Question, Security},
    requirement::{Host, Names, Requirement, Skip},
    resolution::{REFRESH, Resolution, Step},
    result::ResultType,
};
