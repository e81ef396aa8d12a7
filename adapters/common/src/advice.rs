use std::io::ErrorKind;

use rustls::{AlertDescription, CertificateError, OtherError};
use starttls::mail::session::{Command, Fate};
use starttls::{Error as Rule, Kind};

use crate::trust::{IncompleteChain, NotPinned};
use crate::{Doing, Error};

/// The recommended reaction to an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Advice {
    /// Check the host name and the port, and that the server is running.
    CheckServer,
    /// Try again later. If the error persists, ask the server's operator.
    TryLater,
    /// Wait longer for the peer, or try again later.
    WaitLonger,
    /// Use a port for implicit TLS, if the server has one. An attacker can cause this error, so allow plaintext only
    /// where anyone may read it.
    FindTls,
    /// Close the connection and do not fall back to plaintext: the peer's bytes break the protocol and may be
    /// an attacker's.
    Distrust,
    /// Trust the certificate authority (CA) that issued the peer's certificate, after checking that it is the
    /// right one.
    TrustAuthority,
    /// Connect by a name that the peer's certificate contains.
    UseCertifiedName,
    /// Renew the peer's certificate: it has expired or was revoked.
    RenewCertificate,
    /// Compare the TLS versions, the cipher suites and the certificates of both ends.
    CheckTls,
    /// Check this machine's clock. If it is right, the certificate is not valid yet.
    CheckClock,
    /// Configure the server to send its intermediate certificates, or trust the intermediate CA after
    /// checking that it is the right one.
    CompleteChain,
    /// Pin the certificate that the peer shows, byte for byte, after checking that it is the right one.
    PinCertificate,
    /// Check over a separate channel whether the peer has a new certificate. If it has, pin that one.
    CheckPin,
    /// Show the peer a client certificate that it trusts: it demands one, or does not trust the one shown.
    ShowCertificate,
    /// Connect without ALPN: the peer rejects the offered protocol id.
    LeaveOutAlpn,
    /// Check the port and the protocol: the peer speaks another protocol, or starts TLS at another moment.
    CheckProtocol,
    /// Correct the user name, the password or the mechanism.
    CheckLogin,
    /// Leave out the login or extension that the server does not offer, or use another server.
    DoWithout,
    /// Send a smaller message or fewer recipients: the server has a limit.
    MakeSmaller,
    /// Encode the message (as base64, for example): mail cannot carry its lines as they are.
    Encode,
    /// Change the sender, the recipients or the message: the server refuses this mail permanently.
    ChangeMail,
    /// Decide whether a duplicate is acceptable: the server may have the mail, and a retry may deliver it
    /// twice.
    MayArriveTwice,
    /// Do not send again: the mail was delivered before the error.
    Delivered,
    /// Correct the argument that the error names.
    MendArgument,
    /// Correct the program: it calls a method out of order or with too small a buffer.
    MendProgram,
    /// Check the message's reader: it failed.
    CheckReader,
    /// See the application's documentation: an operation of its own failed ([`Doing::Other`]).
    Other,
}

impl Error {
    /// The recommended reaction. [`fate`](Self::fate) tells whether a retry of the mail is safe.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self {
            Self::Unfinished { fate: Fate::Unknown, .. } => Advice::MayArriveTwice,
            Self::Unfinished { fate: Fate::Accepted, .. } => Advice::Delivered,
            Self::Unfinished { error, .. } => error.advice(),
            Self::Io { doing, .. } => match doing {
                Doing::LookingUp | Doing::Connecting => Advice::CheckServer,
                Doing::Handshake => Advice::CheckTls,
                Doing::ReadingMessage => Advice::CheckReader,
                Doing::SettingUp
                | Doing::Sending
                | Doing::Receiving
                | Doing::Closing
                | Doing::Waiting => Advice::TryLater,
                Doing::Other(_) => Advice::Other,
            },
            Self::Protocol { error, .. } => of_rule(*error),
            Self::Tls(_) if self.plaintext_answer().is_some() => Advice::CheckProtocol,
            Self::Tls(error) => of_tls(error),
            Self::Rejected { answer, .. } if answer.code < 500 => Advice::TryLater,
            Self::Rejected { command, .. } => match command {
                Command::Auth => Advice::CheckLogin,
                Command::Greeting | Command::Hello | Command::Helo => Advice::TryLater,
                _ => Advice::ChangeMail,
            },
            Self::Proxy { error, .. } => match &**error {
                Self::Io { error, .. } if error.kind() == ErrorKind::PermissionDenied => {
                    Advice::CheckLogin
                }
                Self::Protocol { error: Rule::Foreign | Rule::Closed, .. } => Advice::CheckServer,
                error => error.advice(),
            },
            Self::Argument { .. } => Advice::MendArgument,
        }
    }
}

const fn of_rule(error: Rule) -> Advice {
    match error {
        Rule::TimedOut => Advice::WaitLonger,
        error if error.is_unsupported() => Advice::DoWithout,
        Rule::MessageTooLarge => Advice::MakeSmaller,
        Rule::BareLineEnd | Rule::LineTooLong | Rule::NulInMessage | Rule::NotForwardable => {
            Advice::Encode
        }
        error => match error.kind() {
            Kind::Caller => Advice::MendProgram,
            Kind::NotOffered => Advice::FindTls,
            Kind::Violation => Advice::Distrust,
            Kind::Unverified => Advice::TrustAuthority,
            _ => Advice::TryLater,
        },
    }
}

const fn of_alert(alert: AlertDescription) -> Advice {
    match alert {
        AlertDescription::NoCertificate
        | AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied
        | AlertDescription::CertificateRequired => Advice::ShowCertificate,
        AlertDescription::NoApplicationProtocol => Advice::LeaveOutAlpn,
        _ => Advice::CheckTls,
    }
}

fn of_tls(error: &rustls::Error) -> Advice {
    match error {
        rustls::Error::InvalidCertificate(error) => of_certificate(error),
        rustls::Error::AlertReceived(alert) => of_alert(*alert),
        _ => Advice::CheckTls,
    }
}

fn of_certificate(error: &CertificateError) -> Advice {
    if let CertificateError::Other(OtherError(error)) = error {
        return match error.downcast_ref() {
            Some(webpki::Error::CaUsedAsEndEntity) => Advice::PinCertificate,
            Some(webpki::Error::UnsupportedCertVersion) => Advice::RenewCertificate,
            _ if error.is::<IncompleteChain>() => Advice::CompleteChain,
            _ if error.is::<NotPinned>() => Advice::CheckPin,
            _ => Advice::CheckTls,
        };
    }
    match error {
        // rustls reports a CA with a trusted name and another key as a bad signature.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => Advice::TrustAuthority,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Advice::UseCertifiedName
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Advice::CheckClock
        }
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::Revoked => Advice::RenewCertificate,
        _ => Advice::CheckTls,
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;
    use crate::Answer;

    #[test]
    fn each_kind_of_error_has_its_advice() {
        let rejected = |command, code| Error::Rejected {
            command,
            answer: Answer::new(code, ""),
            recipients: Vec::new(),
        };
        let certificate = |error| Error::Tls(rustls::Error::InvalidCertificate(error));
        let alert = |alert| Error::Tls(rustls::Error::AlertReceived(alert));
        let io = |doing| Error::io(doing)(ErrorKind::ConnectionReset.into());
        for (error, advice) in [
            (io(Doing::Connecting), Advice::CheckServer),
            (io(Doing::Receiving), Advice::TryLater),
            (io(Doing::Waiting), Advice::TryLater),
            (io(Doing::Handshake), Advice::CheckTls),
            (io(Doing::ReadingMessage), Advice::CheckReader),
            (io(Doing::Other("reading the CA file")), Advice::Other),
            (Rule::TimedOut.into(), Advice::WaitLonger),
            (Rule::Closed.into(), Advice::TryLater),
            (Rule::Closing.into(), Advice::TryLater),
            (Rule::NotOffered.into(), Advice::FindTls),
            (Rule::PlaintextAfterGoAhead { unread: 1 }.into(), Advice::Distrust),
            (Rule::Unverified.into(), Advice::TrustAuthority),
            (Rule::NoAuth.into(), Advice::DoWithout),
            (Rule::MessageTooLarge.into(), Advice::MakeSmaller),
            (Rule::LineTooLong.into(), Advice::Encode),
            (Rule::NulInMessage.into(), Advice::Encode),
            (Rule::OutOfOrder.into(), Advice::MendProgram),
            (rejected(Command::Recipient, 450), Advice::TryLater),
            (rejected(Command::Recipient, 550), Advice::ChangeMail),
            (rejected(Command::Auth, 535), Advice::CheckLogin),
            (rejected(Command::Auth, 454), Advice::TryLater),
            (rejected(Command::Greeting, 554), Advice::TryLater),
            (certificate(CertificateError::UnknownIssuer), Advice::TrustAuthority),
            (certificate(CertificateError::NotValidForName), Advice::UseCertifiedName),
            (certificate(CertificateError::Expired), Advice::RenewCertificate),
            (certificate(CertificateError::NotValidYet), Advice::CheckClock),
            (certificate(CertificateError::BadEncoding), Advice::CheckTls),
            (alert(AlertDescription::CertificateRequired), Advice::ShowCertificate),
            (alert(AlertDescription::UnknownCA), Advice::ShowCertificate),
            (alert(AlertDescription::NoApplicationProtocol), Advice::LeaveOutAlpn),
            (alert(AlertDescription::ProtocolVersion), Advice::CheckTls),
            (Error::Tls(rustls::Error::DecryptError), Advice::CheckTls),
            (Error::Argument { what: "x", why: String::new() }, Advice::MendArgument),
        ] {
            assert_eq!(error.advice(), advice, "{error}");
        }
    }

    #[test]
    fn some_failures_may_pass() {
        let rejected = |code| Error::Rejected {
            command: Command::Auth,
            answer: Answer::new(code, ""),
            recipients: Vec::new(),
        };
        let io = |doing| Error::io(doing)(ErrorKind::ConnectionReset.into());
        for (error, is_temporary) in [
            (io(Doing::Connecting), true),
            (io(Doing::Handshake), true),
            (io(Doing::ReadingMessage), false),
            (Rule::Closing.into(), true),
            (Rule::TimedOut.into(), true),
            (Rule::Unsolicited.into(), false),
            (Rule::MessageTooLarge.into(), false),
            (Rule::NotOffered.into(), false),
            (rejected(454), true),
            (rejected(535), false),
            (Error::Tls(rustls::Error::DecryptError), false),
            (Error::from(Rule::Closed).with_fate(Fate::NotAccepted), true),
            (Error::from(Rule::Closed).with_fate(Fate::Unknown), false),
            (Error::from(Rule::Closed).with_fate(Fate::Accepted), false),
        ] {
            assert_eq!(error.is_temporary(), is_temporary, "{error}");
        }
    }

    #[test]
    fn the_fate_of_the_mail_comes_first() {
        let advice = |fate| Error::from(Rule::TimedOut).with_fate(fate).advice();
        assert_eq!(advice(Fate::NotSent), Advice::WaitLonger);
        assert_eq!(advice(Fate::NotAccepted), Advice::WaitLonger);
        assert_eq!(advice(Fate::Unknown), Advice::MayArriveTwice);
        assert_eq!(advice(Fate::Accepted), Advice::Delivered);
    }
}
