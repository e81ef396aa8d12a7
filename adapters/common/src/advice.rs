use rustls::CertificateError;
use starttls::mail::session::{Command, Fate};
use starttls::{Error as Rule, Kind};

use crate::{Doing, Error};

/// What to do about an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Advice {
    /// Check the name of the host, the port, and that the server runs.
    CheckServer,
    /// Try again later. If it stays so, the server's operator knows more.
    TryLater,
    /// Give the peer more time, or try again later.
    WaitLonger,
    /// Use a port on which TLS comes first, where the server has one, or a policy that allows plaintext.
    FindTls,
    /// Close the connection and do not fall back to plaintext: the peer breaks the protocol, or an attacker does in its
    /// place.
    Distrust,
    /// Trust the CA that issued the peer's certificate, if it is known to be the right one.
    TrustAuthority,
    /// Use the name that the peer's certificate is for.
    UseCertifiedName,
    /// The peer needs another certificate: its own is out of date or revoked.
    RenewCertificate,
    /// Compare versions, cipher suites and certificates of both ends.
    CheckTls,
    /// Use another user name, password or mechanism.
    CheckLogin,
    /// Leave out what the server does not offer, or use another server: a login, an extension.
    DoWithout,
    /// Send less: the server does not take as much.
    MakeSmaller,
    /// Encode the message: mail cannot carry its lines as they are.
    Encode,
    /// Change the sender, the recipients or the message: the server will never take this mail.
    ChangeMail,
    /// The server may have the mail: sent again, it may arrive twice.
    MayArriveTwice,
    /// Nothing: the mail is delivered, and what failed came after it.
    Delivered,
    /// Mend the argument that the error names.
    MendArgument,
    /// Mend the program: a method was called where it may not be, or with too small a buffer.
    MendProgram,
    /// Look into the caller's own reader of messages.
    CheckReader,
    /// Something of the application's own failed, [`Doing::Other`]: only the application knows what helps.
    Other,
}

impl Error {
    /// What to do about it. Whether a mail may be sent again is [`fate`](Self::fate)'s to say.
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
                Doing::SettingUp | Doing::Sending | Doing::Receiving | Doing::Closing => {
                    Advice::TryLater
                }
                Doing::Other(_) => Advice::Other,
            },
            Self::Protocol { error, .. } => of_rule(*error),
            Self::Tls(rustls::Error::InvalidCertificate(error)) => of_certificate(error),
            Self::Tls(_) => Advice::CheckTls,
            Self::Rejected { answer, .. } if answer.code < 500 => Advice::TryLater,
            Self::Rejected { command, .. } => match command {
                Command::Auth => Advice::CheckLogin,
                Command::Greeting | Command::Hello | Command::Helo => Advice::TryLater,
                _ => Advice::ChangeMail,
            },
            Self::Argument { .. } => Advice::MendArgument,
        }
    }
}

const fn of_rule(error: Rule) -> Advice {
    match error {
        Rule::TimedOut => Advice::WaitLonger,
        Rule::Unsupported => Advice::DoWithout,
        Rule::MessageTooLarge => Advice::MakeSmaller,
        Rule::BareLineEnd | Rule::LineTooLong => Advice::Encode,
        error => match error.kind() {
            Kind::Caller => Advice::MendProgram,
            Kind::NotOffered => Advice::FindTls,
            Kind::Violation => Advice::Distrust,
            Kind::Unverified => Advice::TrustAuthority,
            _ => Advice::TryLater,
        },
    }
}

fn of_certificate(error: &CertificateError) -> Advice {
    match error {
        // A CA of the same name with another key shows as a bad signature.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => Advice::TrustAuthority,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Advice::UseCertifiedName
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
        let rejected = |command, code| Error::Rejected { command, answer: Answer::new(code, "") };
        let certificate = |error| Error::Tls(rustls::Error::InvalidCertificate(error));
        let io = |doing| Error::io(doing)(ErrorKind::ConnectionReset.into());
        for (error, advice) in [
            (io(Doing::Connecting), Advice::CheckServer),
            (io(Doing::Receiving), Advice::TryLater),
            (io(Doing::Handshake), Advice::CheckTls),
            (io(Doing::ReadingMessage), Advice::CheckReader),
            (io(Doing::Other("reading the CA file")), Advice::Other),
            (Rule::TimedOut.into(), Advice::WaitLonger),
            (Rule::Closed.into(), Advice::TryLater),
            (Rule::Closing.into(), Advice::TryLater),
            (Rule::NotOffered.into(), Advice::FindTls),
            (Rule::PlaintextAfterGoAhead { unread: 1 }.into(), Advice::Distrust),
            (Rule::Unverified.into(), Advice::TrustAuthority),
            (Rule::Unsupported.into(), Advice::DoWithout),
            (Rule::MessageTooLarge.into(), Advice::MakeSmaller),
            (Rule::LineTooLong.into(), Advice::Encode),
            (Rule::OutOfOrder.into(), Advice::MendProgram),
            (rejected(Command::Recipient, 450), Advice::TryLater),
            (rejected(Command::Recipient, 550), Advice::ChangeMail),
            (rejected(Command::Auth, 535), Advice::CheckLogin),
            (rejected(Command::Auth, 454), Advice::TryLater),
            (rejected(Command::Greeting, 554), Advice::TryLater),
            (certificate(CertificateError::UnknownIssuer), Advice::TrustAuthority),
            (certificate(CertificateError::NotValidForName), Advice::UseCertifiedName),
            (certificate(CertificateError::Expired), Advice::RenewCertificate),
            (certificate(CertificateError::BadEncoding), Advice::CheckTls),
            (Error::Tls(rustls::Error::DecryptError), Advice::CheckTls),
            (Error::Argument { what: "x", why: String::new() }, Advice::MendArgument),
        ] {
            assert_eq!(error.advice(), advice, "{error}");
        }
    }

    #[test]
    fn what_became_of_the_mail_comes_first() {
        let advice = |fate| Error::from(Rule::TimedOut).with_fate(fate).advice();
        assert_eq!(advice(Fate::NotSent), Advice::WaitLonger);
        assert_eq!(advice(Fate::NotAccepted), Advice::WaitLonger);
        assert_eq!(advice(Fate::Unknown), Advice::MayArriveTwice);
        assert_eq!(advice(Fate::Accepted), Advice::Delivered);
    }
}
