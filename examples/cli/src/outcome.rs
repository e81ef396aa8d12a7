//! How a command ends: exit codes, one line that says what to do, and JSON.

use serde::Serialize;
use starttls::{Error as Rule, Kind};
use starttls_std::{Doing, Error};

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
    use rustls::CertificateError::{
        BadSignature, Expired, ExpiredContext, NotValidForName, NotValidForNameContext,
        UnknownIssuer,
    };
    match error {
        _ if error.protocol() == Some(Rule::LineTooLong) => {
            "Encode the message, or pass its text with --subject, which does."
        }
        Error::Unfinished { fate, .. } if fate.is_safe_to_retry() => "It is safe to send it again.",
        Error::Unfinished { .. } => "Sent again it may arrive twice.",
        Error::Io { doing: Doing::Connecting | Doing::LookingUp, .. } => {
            "Check the host, the port, and that the server runs."
        }
        Error::Protocol { error: Rule::TimedOut, .. } => {
            "The server was too slow; raise --timeout or try again later."
        }
        Error::Protocol { error: Rule::Unsupported, .. } => {
            "It takes no password here, or not by that mechanism (leave --user or --auth out, or use \
             its submission port), or nothing but ASCII (use --subject, which encodes the text)."
        }
        Error::Protocol { error: Rule::MessageTooLarge, .. } => {
            "Nothing was sent; make it smaller."
        }
        Error::Protocol { error: Rule::Unverified, .. } => {
            "No password goes to a server that nobody vouches for; pass its CA with --ca."
        }
        Error::Protocol { error, .. } => match error.kind() {
            Kind::NotOffered => {
                "Nothing was sent; if the server has TLS on a port of its own, try the scheme of that \
                 (smtps://, imaps:// and so on). Mail can go in plaintext with --tls opportunistic."
            }
            Kind::Refused => "Nothing was sent; try again later, or ask the server's operator.",
            Kind::Violation => {
                "The connection was dropped; the server is broken or somebody tampers with the \
                 network between."
            }
            _ => "",
        },
        // A CA of the same name with another key shows as a bad signature.
        Error::Tls(rustls::Error::InvalidCertificate(UnknownIssuer | BadSignature)) => {
            "Nothing was sent; if the server has a CA of its own, pass it with --ca."
        }
        Error::Tls(rustls::Error::InvalidCertificate(
            NotValidForName | NotValidForNameContext { .. },
        )) => "Nothing was sent; use the name that the certificate is for.",
        Error::Tls(rustls::Error::InvalidCertificate(Expired | ExpiredContext { .. })) => {
            "Nothing was sent; the server needs a new certificate."
        }
        Error::Tls(_) => "Nothing was sent.",
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
    use super::*;

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
