//! Advice for an error: one or two sentences, for the running command.

use std::io::ErrorKind;
use std::sync::OnceLock;

use clap::CommandFactory as _;
use rustls::AlertDescription;
use starttls::Error as Rule;
use starttls_std::{Advice, Error};

use crate::args::Args;

static COMMAND: OnceLock<String> = OnceLock::new();

/// Stores the running command, whose options the advice may name.
pub(crate) fn running(command: &str) {
    let _ = COMMAND.set(command.to_owned());
}

/// The advice; empty if the error suffices.
pub(crate) fn advice(error: &Error) -> String {
    of(error, COMMAND.get().map_or("", String::as_str))
}

/// A sentence, and the option that a command must have for it.
type Sentence = (&'static str, &'static str);

fn of(error: &Error, command: &str) -> String {
    let sentences: &[Sentence] = match error.advice() {
        Advice::Encode => &[
            ("", "Encode the message: mail cannot carry its lines as they are."),
            ("--subject", "Or pass its text with --subject, which encodes it."),
        ],
        Advice::MayArriveTwice => &[("", "It may arrive twice if sent again.")],
        Advice::Delivered => &[("", "Do not send it again.")],
        _ if matches!(error, Error::Unfinished { .. }) => &[("", "It is safe to send it again.")],
        Advice::CheckLogin if matches!(error, Error::Proxy { .. }) => {
            &[("", "Put the proxy's login into --proxy: socks5://USER:PASSWORD@HOST:PORT.")]
        }
        _ if matches!(error, Error::Proxy { .. }) => &[(
            "",
            "Check the host and port of --proxy, and that the proxy allows connections to this server and port.",
        )],
        advice => sentences(advice, error),
    };
    let parts: Vec<_> = sentences
        .iter()
        .filter(|(option, _)| option.is_empty() || has(command, option))
        .map(|(_, sentence)| *sentence)
        .collect();
    parts.join(" ")
}

/// Whether the command has the option.
fn has(command: &str, option: &str) -> bool {
    Args::command().find_subcommand(command).is_some_and(|command| {
        command.get_arguments().any(|argument| {
            option.strip_prefix("--").is_some_and(|name| argument.get_long() == Some(name))
        })
    })
}

fn sentences(advice: Advice, error: &Error) -> &'static [Sentence] {
    match advice {
        // Only a Unix socket has a path.
        Advice::CheckServer => match error {
            Error::Io { error, .. } if error.kind() == ErrorKind::NotFound => {
                &[("", "Check the path of the socket, and that the server runs.")]
            }
            _ => &[("", "Check the host, the port, and that the server runs.")],
        },
        Advice::WaitLonger => &[
            ("", "The server was too slow; try again later."),
            ("--timeout", "Or raise --timeout."),
        ],
        Advice::DoWithout => match error.protocol() {
            Some(Rule::NoAuth) => &[(
                "--user",
                "The server accepts no login here: leave out --user, or use its submission port.",
            )],
            Some(Rule::NoMechanism) => {
                &[("--auth", "Leave --auth out, or name a mechanism that the server offers.")]
            }
            Some(Rule::NoEightBitMime) => &[
                ("", "Encode the message."),
                ("--subject", "Or pass its text with --subject, which encodes it."),
            ],
            Some(Rule::NoSmtpUtf8) => {
                &[("", "Use ASCII addresses and encoded words in the header, or another server.")]
            }
            _ => &[("", "Use another server.")],
        },
        Advice::MakeSmaller => &[("", "Nothing was sent; make the message smaller.")],
        Advice::FindTls => &[
            (
                "",
                "Nothing was sent; if the server has a port for implicit TLS, use its scheme (smtps://, imaps:// and so on).",
            ),
            ("--tls", "If anyone may read the mail, --tls opportunistic sends it in plaintext."),
        ],
        Advice::Distrust => &[(
            "",
            "The connection was closed: the server breaks the protocol, or an attacker forged its reply.",
        )],
        Advice::TrustAuthority if matches!(error, Error::Protocol { .. }) => &[
            ("", "The password was not sent to a server that is not verified."),
            ("--ca", "Pass its CA with --ca."),
        ],
        Advice::TrustAuthority => &[
            ("", "Nothing was sent."),
            ("--ca", "If the server uses a private CA, pass it with --ca."),
        ],
        Advice::UseCertifiedName => {
            &[("", "Nothing was sent; use a name that the certificate is for.")]
        }
        Advice::RenewCertificate => &[
            ("", "Nothing was sent; the server needs a new certificate."),
            ("--pin", "If you know that it is the server's certificate, accept it with --pin."),
        ],
        Advice::CheckClock => &[(
            "",
            "Nothing was sent; check this machine's clock. If it is right, the server needs another certificate.",
        )],
        Advice::CompleteChain => &[
            ("", "Nothing was sent; the server's operator must add the intermediate certificates."),
            (
                "--ca",
                "Until then, or if its CA is private, pass the missing certificate with --ca.",
            ),
        ],
        Advice::PinCertificate => &[
            ("", "Nothing was sent."),
            (
                "--pin",
                "If you know that it is the server's certificate, pass it with --pin or --ca.",
            ),
        ],
        Advice::CheckPin => &[
            ("", "Nothing was sent; the server has a new certificate, or this is another server."),
            ("--pin", "Ask its operator for the new one, and pass that with --pin."),
        ],
        Advice::ShowCertificate => &[(
            "--client-cert",
            "Pass a certificate that the server trusts with --client-cert, and its key with --client-key.",
        )],
        Advice::LeaveOutAlpn => {
            &[("--no-alpn", "Try --no-alpn, which does not name the protocol in the handshake.")]
        }
        Advice::CheckProtocol => &[(
            "",
            "Nothing was sent; use the scheme and the port of the protocol that the server speaks.",
        )],
        // TLS 1.2 servers also refuse a client without a certificate like this.
        Advice::CheckTls
            if matches!(
                error,
                Error::Tls(rustls::Error::AlertReceived(AlertDescription::HandshakeFailure))
            ) =>
        {
            &[
                ("", "Nothing was sent."),
                (
                    "--client-cert",
                    "If it requires a client certificate, pass one with --client-cert.",
                ),
            ]
        }
        Advice::CheckTls => &[("", "Nothing was sent.")],
        Advice::CheckLogin => {
            &[("", "Nothing was sent."), ("--auth", "Check --user, its password and --auth.")]
        }
        Advice::TryLater => &[("", "Try again later, or ask the server's operator.")],
        // The error suffices.
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use starttls::mail::session::Command;
    use starttls::mail::session::Fate;
    use starttls_std::Answer;

    use super::*;

    #[test]
    fn a_delivered_mail_is_not_sent_again() {
        let advice = |fate| of(&Error::from(Rule::Closed).with_fate(fate), "send");
        assert_eq!(advice(Fate::Accepted), "Do not send it again.");
        assert_eq!(advice(Fate::Unknown), "It may arrive twice if sent again.");
        assert_eq!(advice(Fate::NotAccepted), "It is safe to send it again.");
    }

    /// Each option in a sentence belongs to the command.
    #[test]
    fn no_advice_names_an_option_that_the_command_lacks() {
        let alert = |alert| Error::Tls(rustls::Error::AlertReceived(alert));
        let certificate = |error| Error::Tls(rustls::Error::InvalidCertificate(error));
        let other = |error: webpki::Error| {
            rustls::CertificateError::Other(rustls::OtherError(std::sync::Arc::new(error)))
        };
        let answer = Answer::new(535, "no");
        let errors = [
            Error::from(Rule::TimedOut),
            Error::from(Rule::NoAuth),
            Error::from(Rule::NoMechanism),
            Error::from(Rule::NoEightBitMime),
            Error::from(Rule::NoSmtpUtf8),
            Error::from(Rule::MessageTooLarge),
            Error::from(Rule::LineTooLong),
            Error::from(Rule::NotOffered),
            Error::from(Rule::Refused),
            Error::from(Rule::Syntax),
            Error::from(Rule::Unverified),
            alert(AlertDescription::CertificateRequired),
            alert(AlertDescription::NoApplicationProtocol),
            alert(AlertDescription::ProtocolVersion),
            certificate(rustls::CertificateError::UnknownIssuer),
            certificate(rustls::CertificateError::Expired),
            certificate(rustls::CertificateError::NotValidYet),
            certificate(rustls::CertificateError::NotValidForName),
            certificate(other(webpki::Error::CaUsedAsEndEntity)),
            Error::Rejected { command: Command::Auth, answer, recipients: Vec::new() },
        ];
        let args = Args::command();
        let mut named = 0;
        for command in args.get_subcommands() {
            for error in &errors {
                let advice = of(error, command.get_name());
                for word in
                    advice.split([' ', ',', ':', '.', ';']).filter(|word| word.starts_with("--"))
                {
                    named += 1;
                    assert!(has(command.get_name(), word), "{}: {advice}", command.get_name());
                }
            }
        }
        assert!(named > 10, "{named}");
        assert!(!of(&Rule::NotOffered.into(), "probe").contains("opportunistic"));
        assert!(of(&Rule::NotOffered.into(), "send").contains("--tls opportunistic"));
    }
}
