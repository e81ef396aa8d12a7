//! The sessions in a domain's report (RFC 8460 §4).

use starttls::mx::{Domain, ResultType, Skip};
use starttls_tlsrpt::{Applied, Collector, Failure, Session, result_type};

use super::attempt::Tried;
use super::{Demand, Destination, Protection};
use crate::{Error, explain};

/// An announced policy could not be fetched.
pub(super) fn policy(collector: &mut Collector, domain: &Domain, result: ResultType, reason: &str) {
    let failure = Failure::new(result).with_reason(reason);
    collector.failed(&Applied::none(domain.as_str()), &Session::default(), failure);
}

/// No mail may be sent to a host.
pub(super) fn skipped(collector: &mut Collector, host: &Destination, why: Skip) {
    if let Some(result) = ResultType::of_skip(why) {
        let failure = Failure::new(result).with_reason(why.as_str());
        collector.failed(&host.applied, &session_with(host), failure);
    }
}

/// A host was tried.
pub(super) fn session(collector: &mut Collector, host: &Destination, tried: &Tried) {
    let flaw = || tried.flaw.as_ref().and_then(of_tls);
    let failure = match (&host.demand, tried.protection, &tried.outcome) {
        (_, None, Err(error)) => match of(error) {
            None => return,
            failure => failure,
        },
        (Demand::Encrypted, ..) => Some(Failure::new(ResultType::TlsaInvalid)),
        (Demand::Testing { listed: false }, ..) => {
            let failure = Failure::new(ResultType::ValidationFailure);
            Some(failure.with_reason(Skip::NotListed.as_str()))
        }
        (_, Some(Protection::Plaintext), _) => {
            flaw().or_else(|| Some(Failure::new(ResultType::StarttlsNotSupported)))
        }
        (Demand::Testing { .. }, Some(Protection::Encrypted), _) => flaw(),
        _ => None,
    };
    let session =
        Session { sender: tried.sender, receiver: Some(tried.receiver), ..session_with(host) };
    match failure {
        Some(failure) => collector.failed(&host.applied, &session, failure),
        None => collector.succeeded(&host.applied),
    }
}

fn session_with(host: &Destination) -> Session {
    Session { mx: Some(host.name.as_str().into()), ..Session::default() }
}

/// `None` for an error that does not concern the domain.
fn of(error: &Error) -> Option<Failure> {
    match error {
        Error::Tls(error) => of_tls(error),
        error => {
            let result = ResultType::of(error.protocol()?)?;
            Some(Failure::new(result).with_reason(error.to_string()))
        }
    }
}

fn of_tls(error: &rustls::Error) -> Option<Failure> {
    Some(Failure::new(result_type(error)?).with_reason(explain(error).to_string()))
}
