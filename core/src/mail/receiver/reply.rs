use super::config::{Authentication, Config};
use crate::server::{Answer as Engine, Said};
use crate::smtp::{Domain, server};
use crate::wire::Writer;

/// The receiver's own replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) enum Reply {
    Greeting,
    Hello,
    Helo,
    /// A reply that it shares with the plaintext machine.
    Server(Said<server::Reply>),
    AskEmpty,
    AskUser,
    AskPassword,
    Authenticated,
    AuthenticationRequired,
    Cancelled,
    BadBase64,
    UnknownMechanism,
    TlsActive,
    NotImplemented,
    SenderOk,
    BadSender,
    SenderNotAscii,
    RecipientOk,
    BadRecipient,
    RecipientNotAscii,
    TooManyRecipients,
    BadParameter,
    UnknownParameter,
    StartMessage,
    TooLarge,
    BareLineEnd,
    NulInMessage,
    Delivered,
    TooManyCommands,
    BadChunkClosing,
    BareLineEndClosing,
}

impl Reply {
    pub(super) const OK: Self = Self::server(server::Reply::Ok);
    pub(super) const UNKNOWN: Self = Self::engine(Engine::Unknown);
    pub(super) const BAD_SEQUENCE: Self = Self::engine(Engine::BadSequence);

    pub(super) const fn server(reply: server::Reply) -> Self {
        Self::Server(Said::Grammar(reply))
    }

    pub(super) const fn engine(answer: Engine) -> Self {
        Self::Server(Said::Engine(answer))
    }

    /// The whole reply. Empty for those that name the server.
    const fn text(self) -> &'static str {
        match self {
            Self::Greeting | Self::Hello | Self::Helo => "",
            Self::Server(reply) => reply.text(),
            Self::AskEmpty => "334 ",
            Self::AskUser => "334 VXNlcm5hbWU6",
            Self::AskPassword => "334 UGFzc3dvcmQ6",
            Self::Authenticated => "235 2.7.0 Authentication successful",
            Self::AuthenticationRequired => "530 5.7.0 Authentication required",
            Self::Cancelled => "501 5.7.0 Authentication cancelled",
            Self::BadBase64 => "501 5.5.2 Not valid base64",
            Self::UnknownMechanism => "504 5.5.4 Unknown authentication mechanism",
            Self::TlsActive => "503 5.5.1 TLS is active already",
            Self::NotImplemented => "502 5.5.1 Command not implemented",
            Self::SenderOk => "250 2.1.0 Sender ok",
            Self::BadSender => "501 5.1.7 Not a valid path",
            Self::SenderNotAscii => "550 5.6.7 Not an ASCII path, SMTPUTF8 needed",
            Self::RecipientOk => "250 2.1.5 Recipient ok",
            Self::BadRecipient => "501 5.1.3 Not a valid path",
            Self::RecipientNotAscii => "553 5.6.7 Not an ASCII path, SMTPUTF8 needed",
            Self::TooManyRecipients => "452 4.5.3 Too many recipients",
            Self::BadParameter => "501 5.5.4 Not a valid parameter",
            Self::UnknownParameter => "555 5.5.4 Unknown parameter",
            Self::StartMessage => "354 End with a dot on a line of its own",
            Self::TooLarge => "552 5.3.4 Message too large",
            Self::NulInMessage => "550 5.6.0 NUL bytes not allowed",
            Self::BareLineEnd => "550 5.6.11 Lines end with CRLF",
            Self::Delivered => "250 2.0.0 Delivered",
            Self::TooManyCommands => "421 4.7.0 Too many commands, closing",
            Self::BadChunkClosing => "501 5.5.4 Not a valid chunk size, closing",
            Self::BareLineEndClosing => "550 5.6.11 Lines end with CRLF, closing",
        }
    }

    pub(super) fn print(
        self,
        domain: Domain<'_>,
        is_smtp: bool,
        config: &Config,
        out: &mut Writer<'_>,
    ) {
        let domain = domain.as_str().as_bytes();
        match self {
            Self::Greeting => {
                let name: &[u8] = if is_smtp { b" ESMTP" } else { b" LMTP" };
                for part in [b"220 ", domain, name] {
                    out.put(part);
                }
            }
            Self::Hello => {
                out.put(b"250-");
                out.put(domain);
                print_extensions(config, out);
            }
            Self::Helo => {
                out.put(b"250 ");
                out.put(domain);
            }
            _ => out.put(self.text().as_bytes()),
        }
        out.put(b"\r\n");
    }
}

fn print_extensions(config: &Config, out: &mut Writer<'_>) {
    if let Some(size) = config.limits.size {
        out.put(b"\r\n250-SIZE ");
        out.put_decimal(size);
    }
    out.put(b"\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-CHUNKING");
    for (offered, line) in [
        (config.start_tls, &b"\r\n250-STARTTLS"[..]),
        (config.smtp_utf8, b"\r\n250-SMTPUTF8"),
        (config.dsn, b"\r\n250-DSN"),
        (config.require_tls, b"\r\n250-REQUIRETLS"),
        (config.authentication != Authentication::None, b"\r\n250-AUTH"),
        (config.takes_bound_scram(), b" SCRAM-SHA-256-PLUS"),
        (config.takes_scram(), b" SCRAM-SHA-256"),
        (config.takes_passwords(), b" PLAIN LOGIN"),
        (config.takes_certificates(), b" EXTERNAL"),
    ] {
        if offered {
            out.put(line);
        }
    }
    out.put(b"\r\n250 ENHANCEDSTATUSCODES");
}
