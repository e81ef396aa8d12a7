use core::time::Duration;

use super::MAX_LINE;
use crate::Protocol;
use crate::server::{Answer, Command, Config, Grammar, Said};
use crate::wire::{Lines, Writer, is_http_request, look_up};

/// The grammar of an NNTP server up to the upgrade.
#[derive(Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ServerGrammar(());

impl crate::Server<ServerGrammar> {
    /// A server at the start of a fresh connection.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self::with_grammar(ServerGrammar::default(), config)
    }
}

/// The replies of an NNTP server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Reply {
    /// The reply to `CAPABILITIES`.
    Capabilities,
    /// The reply to `MODE READER`.
    Reader,
    /// The reply to `HELP`.
    Help,
    /// The reply to wrong arguments, or to arguments of a command that takes none.
    BadArguments,
}

const VERBS: [(&[u8], Command<Reply>); 26] = [
    (b"CAPABILITIES", Command::Harmless(Reply::Capabilities)),
    (b"MODE", Command::Harmless(Reply::Reader)),
    (b"HELP", Command::Harmless(Reply::Help)),
    (b"STARTTLS", Command::Upgrade),
    (b"QUIT", Command::Quit),
    (b"AUTHINFO", Command::Credentials),
    (b"GROUP", Command::SkipUpgrade),
    (b"LISTGROUP", Command::SkipUpgrade),
    (b"LIST", Command::SkipUpgrade),
    (b"NEWGROUPS", Command::SkipUpgrade),
    (b"NEWNEWS", Command::SkipUpgrade),
    (b"DATE", Command::SkipUpgrade),
    (b"ARTICLE", Command::SkipUpgrade),
    (b"HEAD", Command::SkipUpgrade),
    (b"BODY", Command::SkipUpgrade),
    (b"STAT", Command::SkipUpgrade),
    (b"LAST", Command::SkipUpgrade),
    (b"NEXT", Command::SkipUpgrade),
    (b"OVER", Command::SkipUpgrade),
    (b"XOVER", Command::SkipUpgrade),
    (b"HDR", Command::SkipUpgrade),
    (b"POST", Command::SkipUpgrade),
    (b"IHAVE", Command::SkipUpgrade),
    (b"CHECK", Command::SkipUpgrade),
    (b"TAKETHIS", Command::SkipUpgrade),
    (b"SLAVE", Command::SkipUpgrade),
];

/// Splits a command into its keyword and its arguments, without surrounding blanks. Spaces and tabs
/// separate them and may precede the CRLF (RFC 3977 §3.1, §9.1).
fn split(line: &[u8]) -> (&[u8], &[u8]) {
    let line = line.trim_ascii_end();
    let end = line.iter().position(|octet| matches!(octet, b' ' | b'\t')).unwrap_or(line.len());
    let (keyword, arguments) = line.split_at_checked(end).unwrap_or_default();
    (keyword, arguments.trim_ascii_start())
}

impl Grammar for ServerGrammar {
    type Framing = Lines<MAX_LINE>;
    type Reply = Reply;

    const PROTOCOL: Protocol = Protocol::NNTP;
    const MAX_OUTPUT: usize = 128;
    /// The standard asks for at least three minutes (RFC 3977 §3.1).
    const WAIT: Duration = Duration::from_secs(5 * 60);

    fn command(&mut self, line: &[u8]) -> Command<Reply> {
        let (verb, argument) = split(line);
        match look_up(&VERBS, verb) {
            // HEAD and POST are commands of NNTP, too.
            _ if is_http_request(verb, argument) => Command::Foreign,
            Some(Command::Harmless(Reply::Reader)) if !argument.eq_ignore_ascii_case(b"READER") => {
                Command::Fault(Reply::BadArguments)
            }
            Some(Command::Upgrade | Command::Quit) if !argument.is_empty() => {
                Command::Fault(Reply::BadArguments)
            }
            Some(command) => command,
            None => Command::Unhandled,
        }
    }

    fn print(&self, reply: Said<Reply>, offer: bool, out: &mut Writer<'_>) {
        out.put(match reply {
            Said::Engine(answer) => match answer {
                Answer::Greeting => &b"200 NNTP ready, posting allowed\r\n"[..],
                Answer::GoAhead => b"382 Begin TLS now\r\n",
                Answer::Unavailable => b"580 TLS not available now\r\n",
                Answer::TlsRequired => b"483 Issue STARTTLS first\r\n",
                Answer::EncryptionRequired => b"483 Encryption required, issue STARTTLS first\r\n",
                Answer::BadSequence => b"503 Not now\r\n",
                Answer::Unknown => b"500 Unknown command\r\n",
                Answer::Bye => b"205 Goodbye\r\n",
                Answer::TooManyErrors => b"400 Too many errors, closing\r\n",
                Answer::TooSlow => b"400 Idle for too long, closing\r\n",
                Answer::TooLong => b"400 Line too long, closing\r\n",
                Answer::Malformed => b"400 Not a command, closing\r\n",
            },
            Said::Grammar(Reply::Capabilities) if offer => {
                b"101 Capabilities follow\r\nVERSION 2\r\nREADER\r\nPOST\r\nSTARTTLS\r\n.\r\n"
            }
            Said::Grammar(Reply::Capabilities) => {
                b"101 Capabilities follow\r\nVERSION 2\r\nREADER\r\nPOST\r\n.\r\n"
            }
            Said::Grammar(Reply::Reader) => b"200 Posting allowed\r\n",
            Said::Grammar(Reply::Help) => b"100 Help follows\r\nSTARTTLS begins TLS\r\n.\r\n",
            Said::Grammar(Reply::BadArguments) => b"501 Bad arguments\r\n",
        });
    }
}
