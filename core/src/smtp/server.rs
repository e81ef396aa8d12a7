use core::marker::PhantomData;
use core::time::Duration;

use super::command::{Verb, split};
use super::limits::{COMMAND_WAIT, MAX_LINE};
use super::{Dialect, Domain};
use crate::Protocol;
use crate::server::{Answer, Command, Config, Grammar, Said};
use crate::wire::{Lines, Writer};

/// The grammar of an SMTP or LMTP server up to the upgrade (RFC 3207 §4).
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ServerGrammar<'a, D> {
    domain: Domain<'a>,
    dialect: PhantomData<D>,
}

impl<'a, D: Dialect> crate::Server<ServerGrammar<'a, D>> {
    /// A server that introduces itself as `domain`.
    #[must_use]
    pub fn new(domain: Domain<'a>, config: Config) -> Self {
        let grammar = ServerGrammar { domain, dialect: PhantomData };
        Self::with_grammar(grammar, config)
    }
}

/// The replies of an SMTP server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Reply {
    /// The reply to `EHLO` and `LHLO`.
    Hello,
    /// The reply to `HELO`.
    Helo,
    /// The reply to commands that need no other.
    Ok,
    /// The reply to `VRFY`.
    CannotVerify,
    /// The reply to `EHLO` without a name.
    NameMissing,
    /// The reply to `STARTTLS` with a parameter.
    NoParameters,
    /// The reply to the hello command of the other protocol.
    Unknown,
}

impl Said<Reply> {
    /// The whole reply. Empty for those that name the server.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Engine(Answer::Unknown) | Self::Grammar(Reply::Unknown) => {
                "500 5.5.1 Command not recognized"
            }
            Self::Engine(answer) => match answer {
                Answer::GoAhead => "220 2.0.0 Ready to start TLS",
                Answer::Unavailable => "454 4.7.0 TLS not available, try again later",
                Answer::TlsRequired => "530 5.7.0 Must issue a STARTTLS command first",
                Answer::EncryptionRequired => "538 5.7.11 Encryption required, issue STARTTLS",
                Answer::BadSequence => "503 5.5.1 Bad sequence of commands",
                Answer::Bye => "221 2.0.0 Goodbye",
                Answer::TooManyErrors => "421 4.7.0 Too many errors, closing",
                Answer::TooSlow => "421 4.4.2 Timeout, closing",
                Answer::TooLong => "500 5.5.2 Line too long, closing",
                Answer::Malformed => "500 5.5.2 Not a command, closing",
                Answer::Greeting | Answer::Unknown => "",
            },
            Self::Grammar(Reply::Ok) => "250 2.0.0 Ok",
            Self::Grammar(Reply::CannotVerify) => "252 2.5.0 Cannot verify, send mail and see",
            Self::Grammar(Reply::NameMissing) => "501 5.5.4 Name required",
            Self::Grammar(Reply::NoParameters) => "501 5.5.4 No parameters allowed",
            Self::Grammar(Reply::Hello) | Self::Grammar(Reply::Helo) => "",
        }
    }
}

impl<D: Dialect> Grammar for ServerGrammar<'_, D> {
    type Framing = Lines<MAX_LINE>;
    type Reply = Reply;

    const PROTOCOL: Protocol = D::PROTOCOL;
    const MAX_OUTPUT: usize = MAX_LINE;
    const HELLO_FIRST: bool = true;
    const WAIT: Duration = COMMAND_WAIT;

    fn command(&mut self, line: &[u8]) -> Command<Reply> {
        let (verb, argument) = split(line);
        match verb {
            Verb::Ehlo | Verb::Lhlo if (verb == Verb::Ehlo) == D::IS_SMTP => {
                if argument.is_empty() {
                    Command::Fault(Reply::NameMissing)
                } else {
                    Command::Hello(Reply::Hello)
                }
            }
            Verb::Helo if D::IS_SMTP => {
                if argument.is_empty() {
                    Command::Fault(Reply::NameMissing)
                } else {
                    Command::PlainHello(Reply::Helo)
                }
            }
            Verb::Ehlo | Verb::Lhlo | Verb::Helo => Command::Fault(Reply::Unknown),
            Verb::StartTls if argument.is_empty() => Command::Upgrade,
            Verb::StartTls => Command::Fault(Reply::NoParameters),
            Verb::Noop => Command::Harmless(Reply::Ok),
            Verb::Quit => Command::Quit,
            Verb::Rset => Command::Plain(Reply::Ok),
            Verb::Vrfy => Command::Plain(Reply::CannotVerify),
            Verb::Auth => Command::Credentials,
            Verb::Mail => Command::SkipUpgrade,
            Verb::Rcpt | Verb::Data | Verb::Bdat => Command::Premature,
            Verb::Foreign => Command::Foreign,
            Verb::Expn | Verb::Help | Verb::Unknown => Command::Unhandled,
        }
    }

    fn print(&self, reply: Said<Reply>, offer: bool, out: &mut Writer<'_>) {
        let domain = self.domain.as_str().as_bytes();
        match reply {
            Said::Engine(Answer::Greeting) => {
                let name: &[u8] = if D::IS_SMTP { b" ESMTP" } else { b" LMTP" };
                for part in [b"220 ", domain, name] {
                    out.put(part);
                }
            }
            Said::Grammar(Reply::Helo) => {
                out.put(b"250 ");
                out.put(domain);
            }
            Said::Grammar(Reply::Hello) => {
                out.put(b"250-");
                out.put(domain);
                out.put(b"\r\n250-PIPELINING\r\n250-8BITMIME\r\n");
                if offer {
                    out.put(b"250-STARTTLS\r\n");
                }
                out.put(b"250 ENHANCEDSTATUSCODES");
            }
            _ => out.put(reply.text().as_bytes()),
        }
        out.put(b"\r\n");
    }
}
