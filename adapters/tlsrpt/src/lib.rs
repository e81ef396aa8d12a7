#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(rustdoc::all)]

mod collector;
mod mail;
#[cfg(feature = "rustls")]
mod reason;
mod recipients;
mod report;

pub use collector::{Applied, Collector, Failure, Session};
#[cfg(feature = "rustls")]
pub use reason::result_type;
pub use recipients::Recipients;
pub use report::{DateRange, FailureDetails, Policy, PolicyReport, Report, Sender, Summary};
