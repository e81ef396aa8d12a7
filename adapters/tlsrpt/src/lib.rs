//! Reports to domains about TLS on the way to them (RFC 8460).
//!
//! A sender tells a [`Collector`] of each session, and once a day makes of it a [`Report`] for each domain
//! that asks for them ([`Recipients`]).
//!
//! ```
//! use starttls::mx::ResultType;
//! use starttls_std::tlsrpt::{Applied, Collector, Failure, Sender, Session};
//!
//! let mut collector = Collector::default();
//! let policy = Applied::none("example.org");
//! let failure = Failure::new(ResultType::StarttlsNotSupported);
//! let session = Session { mx: Some("mx.example.org".into()), ..Session::default() };
//! collector.failed(&policy, &session, failure);
//! collector.succeeded(&policy);
//!
//! let sender = Sender::new("Example", "tls@example.com");
//! let reports = collector.reports(&sender, 1_795_219_200, 1_795_305_600);
//! assert_eq!(reports.len(), 1);
//! assert!(reports[0].to_json().contains("starttls-not-supported"));
//! ```

mod collector;
mod mail;
mod reason;
mod recipients;
mod report;

pub use collector::{Applied, Collector, Failure, Session};
pub use reason::result_type;
pub use recipients::Recipients;
pub use report::{DateRange, FailureDetails, Policy, PolicyReport, Report, Sender, Summary};
