//! When TLS must be there.
//!
//! Whoever connects to a server by its name says so himself, with [`Policy`]. Between mail
//! servers nobody does, and who can take away STARTTLS reads the mail. Two standards let the receiving
//! domain say it: DANE (RFC 7672), by signed DNS records, and MTA-STS (RFC 8461), by a file on a web
//! server. A [`Resolution`] finds out what they say of a domain: it asks, its caller looks it up in
//! whatever way it can, and in the end each of the domain's hosts has its [`Requirement`].
//!
//! ```
//! use starttls::policy::{Answer, Domain, Mx, Question, Requirement, Resolution, Security, Step, Tlsa};
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

mod demand;

#[cfg(feature = "mx")]
pub mod dane;
#[cfg(feature = "mx")]
mod domain;
#[cfg(feature = "mx")]
mod hosts;
#[cfg(feature = "mx")]
mod options;
#[cfg(feature = "mx")]
mod question;
#[cfg(feature = "mx")]
mod requirement;
#[cfg(feature = "mx")]
mod resolution;
#[cfg(feature = "mx")]
mod result;
#[cfg(feature = "mx")]
pub mod sts;

pub use demand::{Policy, Reason, Verification};

#[cfg(feature = "mx")]
pub use {
    dane::Tlsa,
    domain::{Domain, MAX_DOMAIN},
    options::{Dane, Options, Undeliverable},
    question::{Answer, Cached, Mx, Question, Security},
    requirement::{Host, Names, Requirement, Skip},
    resolution::{REFRESH, Resolution, Step},
    result::ResultType,
};
