//! How a command ends: exit codes, one line that says what to do, and JSON.

use serde::Serialize;
use starttls::{Error as Rule, Kind};
use starttls_std::{Advice, Error};

use crate::certificate::Certificate;
use crate::out::out;
use crate::security::Security;

/// A message for standard error and an exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) message: String,
    pub(crate) code: u8,
}

impl Failure {
    /// Usage or I/O.
    pub(crate) fn local(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 1 }
    }

    pub(crate) fn from_io(error: std::io::Error) -> Self {
        Self::local(error.to_string())
    }
}

/// The exit code that stands for an error.
pub(crate) fn code(error: &Error) -> u8 {
    match error {
        Error::Unfinished { error, .. } => code(error),
        Error::Tls(_) => 5,
        Error::Rejected { .. } | Error::Protocol { error: Rule::MessageTooLarge, .. } => 6,
        Error::Protocol { error, .. } => match error.kind() {
            Kind::NotOffered => 2,
            Kind::Refused => 3,
            Kind::Violation => 4,
            Kind::Unverified => 5,
            _ => 1,
        },
        _ => 1,
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let advice = advice(&error);
        let message =
            if advice.is_empty() { error.to_string() } else { format!("{error}. {advice}") };
        Self { message, code: code(&error) }
    }
}

fn advice(error: &Error) -> &'static str {
    match error.advice() {
        Advice::Encode => "Encode the message, or pass its text with --subject, which does.",
        Advice::MayArriveTwice => "Sent again it may arrive twice.",
        Advice::Delivered => "Do not send it again.",
        _ if matches!(error, Error::Unfinished { .. }) => "It is safe to send it again.",
        Advice::CheckServer => "Check the host, the port, and that the server runs.",
        Advice::WaitLonger => "The server was too slow; raise --timeout or try again later.",
        Advice::DoWithout => {
            "It takes no password here, or not by that mechanism (leave --user or --auth out, or use \
             its submission port), or nothing but ASCII (use --subject, which encodes the text)."
        }
        Advice::MakeSmaller => "Nothing was sent; make it smaller.",
        Advice::FindTls => {
            "Nothing was sent; if the server has TLS on a port of its own, try the scheme of that \
             (smtps://, imaps:// and so on). Mail can go in plaintext with --tls opportunistic."
        }
        Advice::Distrust => {
            "The connection was closed: the server breaks the protocol, or an attacker on the network \
             does in its place."
        }
        Advice::TrustAuthority if error.protocol().is_some() => {
            "The password was not sent to a server that is not verified; pass its CA with --ca."
        }
        Advice::TrustAuthority => {
            "Nothing was sent; if the server has a CA of its own, pass it with --ca."
        }
        Advice::UseCertifiedName => "Nothing was sent; use the name that the certificate is for.",
        Advice::RenewCertificate => "Nothing was sent; the server needs a new certificate.",
        Advice::CheckTls => "Nothing was sent.",
        Advice::CheckLogin => "Nothing was sent; check --user, its password and --auth.",
        Advice::TryLater => "Try again later, or ask the server's operator.",
        // The error says it all.
        _ => "",
    }
}

/// Prints a JSON object.
pub(crate) fn print(report: &impl Serialize) {
    match serde_json::to_string(report) {
        Ok(json) => out!("{json}"),
        Err(error) => eprintln!("starttls: {error}"),
    }
}

/// What `--json` prints: one object, all keys always there.
#[derive(Debug, Serialize)]
pub(crate) struct Report<'a> {
    pub(crate) protocol: &'a str,
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    /// Whether the server offers the upgrade; null if it never came to that.
    pub(crate) offered: Option<bool>,
    pub(crate) upgraded: bool,
    pub(crate) verified: bool,
    pub(crate) tls: Option<&'a Security>,
    pub(crate) certificate: Option<&'a Certificate>,
    pub(crate) violation: Option<Violation>,
    pub(crate) error: Option<String>,
}

/// A rule that the peer broke.
#[derive(Debug, Serialize)]
pub(crate) struct Violation {
    pub(crate) rule: &'static str,
    pub(crate) what: String,
}

impl Violation {
    pub(crate) fn of(error: &Error) -> Option<Self> {
        let error = error.protocol().filter(|error| error.kind() == Kind::Violation)?;
        Some(Self { rule: error.rule(), what: error.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use starttls::mail::session::Fate;

    use super::*;

    #[test]
    fn a_mail_that_is_delivered_is_not_sent_again() {
        let advice = |fate| advice(&Error::from(Rule::Closed).with_fate(fate));
        assert_eq!(advice(Fate::Accepted), "Do not send it again.");
        assert_eq!(advice(Fate::Unknown), "Sent again it may arrive twice.");
        assert_eq!(advice(Fate::NotAccepted), "It is safe to send it again.");
    }

    #[test]
    fn every_kind_has_its_code() {
        let protocol = |error| code(&Error::from(error));
        assert_eq!(protocol(Rule::NotOffered), 2);
        assert_eq!(protocol(Rule::Refused), 3);
        assert_eq!(protocol(Rule::Closing), 3);
        assert_eq!(protocol(Rule::PlaintextAfterGoAhead { unread: 1 }), 4);
        assert_eq!(protocol(Rule::MixedCodes), 4);
        assert_eq!(protocol(Rule::Unverified), 5);
        assert_eq!(protocol(Rule::MessageTooLarge), 6);
        assert_eq!(protocol(Rule::Closed), 1);
        assert_eq!(protocol(Rule::TimedOut), 1);
        assert_eq!(code(&Error::Tls(rustls::Error::DecryptError)), 5);
    }
}
