use core::time::Duration;

use super::{MAX_LINE, WAIT};
use crate::Protocol;
use crate::server::{Answer, Command, Config, Grammar, Said};
use crate::wire::{Lines, Writer, is_http, look_up, split_word};

/// The grammar of an FTP server up to the upgrade.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ServerGrammar {
    protects_data: bool,
}

impl crate::Server<ServerGrammar> {
    /// A server at the start of a fresh connection, which lists `PBSZ` and `PROT`.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self::with_grammar(ServerGrammar { protects_data: true }, config)
    }

    /// A server whose data connections have no TLS: it does not list `PBSZ` and `PROT`.
    #[must_use]
    pub fn without_data_protection(config: Config) -> Self {
        Self::with_grammar(ServerGrammar { protects_data: false }, config)
    }
}

/// The replies of an FTP server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Reply {
    /// The reply to `FEAT` (RFC 2389).
    Features,
    /// The reply to `NOOP`.
    Ok,
    /// The reply to `SYST`.
    System,
    /// The reply to `HELP`.
    Help,
    /// The reply to an `AUTH` mechanism other than TLS.
    UnknownMechanism,
    /// The reply to `AUTH` without a mechanism, and to arguments of a command that takes none.
    BadArguments,
    /// The reply to commands that protect data connections, which belong inside TLS.
    ProtectionLater,
}

const VERBS: [(&[u8], Command<Reply>); 28] = [
    (b"AUTH", Command::Upgrade),
    (b"FEAT", Command::Harmless(Reply::Features)),
    (b"NOOP", Command::Harmless(Reply::Ok)),
    (b"SYST", Command::Harmless(Reply::System)),
    (b"HELP", Command::Harmless(Reply::Help)),
    (b"OPTS", Command::Unhandled),
    (b"QUIT", Command::Quit),
    (b"USER", Command::Credentials),
    (b"PASS", Command::Credentials),
    (b"ACCT", Command::Credentials),
    (b"PBSZ", Command::Fault(Reply::ProtectionLater)),
    (b"PROT", Command::Fault(Reply::ProtectionLater)),
    (b"CCC", Command::Fault(Reply::ProtectionLater)),
    (b"ADAT", Command::Premature),
    (b"CWD", Command::Premature),
    (b"PWD", Command::Premature),
    (b"TYPE", Command::Premature),
    (b"MODE", Command::Premature),
    (b"STRU", Command::Premature),
    (b"PORT", Command::Premature),
    (b"EPRT", Command::Premature),
    (b"PASV", Command::Premature),
    (b"EPSV", Command::Premature),
    (b"LIST", Command::Premature),
    (b"NLST", Command::Premature),
    (b"RETR", Command::Premature),
    (b"STOR", Command::Premature),
    (b"REIN", Command::Premature),
];

impl Grammar for ServerGrammar {
    type Framing = Lines<MAX_LINE>;
    type Reply = Reply;

    const PROTOCOL: Protocol = Protocol::FTP;
    const MAX_OUTPUT: usize = 128;
    const WAIT: Duration = WAIT;

    fn command(&mut self, line: &[u8]) -> Command<Reply> {
        let (verb, argument) = split_word(line);
        if is_http(verb) {
            return Command::Foreign;
        }
        match look_up(&VERBS, verb) {
            // TLS-C is another name of TLS (RFC 4217 §2.1). TLS-P and SSL would imply PROT P, so they are
            // refused.
            Some(Command::Upgrade) => match argument {
                [] => Command::Fault(Reply::BadArguments),
                _ if argument.eq_ignore_ascii_case(b"TLS") => Command::Upgrade,
                _ if argument.eq_ignore_ascii_case(b"TLS-C") => Command::Upgrade,
                _ => Command::Fault(Reply::UnknownMechanism),
            },
            Some(Command::Quit) if !argument.is_empty() => Command::Fault(Reply::BadArguments),
            Some(command) => command,
            None => Command::Unhandled,
        }
    }

    fn print(&self, reply: Said<Reply>, offer: bool, out: &mut Writer<'_>) {
        out.put(match reply {
            Said::Engine(answer) => match answer {
                Answer::Greeting => &b"220 FTP ready\r\n"[..],
                Answer::GoAhead => b"234 Begin TLS now\r\n",
                Answer::Unavailable => b"431 TLS not available now\r\n",
                Answer::TlsRequired | Answer::EncryptionRequired => b"530 Send AUTH TLS first\r\n",
                Answer::BadSequence => b"503 Not now\r\n",
                Answer::Unknown => b"500 Unknown command\r\n",
                Answer::Bye => b"221 Goodbye\r\n",
                Answer::TooManyErrors => b"421 Too many errors, closing\r\n",
                Answer::TooSlow => b"421 Idle for too long, closing\r\n",
                Answer::TooLong => b"500 Line too long, closing\r\n",
                Answer::Malformed => b"500 Not a command, closing\r\n",
            },
            Said::Grammar(Reply::Features) if offer && !self.protects_data => {
                b"211-Features:\r\n AUTH TLS\r\n UTF8\r\n211 End\r\n"
            }
            Said::Grammar(Reply::Features) if offer => {
                b"211-Features:\r\n AUTH TLS\r\n PBSZ\r\n PROT\r\n UTF8\r\n211 End\r\n"
            }
            Said::Grammar(Reply::Features) => b"211-Features:\r\n UTF8\r\n211 End\r\n",
            Said::Grammar(Reply::Ok) => b"200 Ok\r\n",
            Said::Grammar(Reply::System) => b"215 UNIX Type: L8\r\n",
            Said::Grammar(Reply::Help) => b"214 AUTH TLS begins TLS\r\n",
            Said::Grammar(Reply::UnknownMechanism) => b"504 Only AUTH TLS\r\n",
            Said::Grammar(Reply::BadArguments) => b"501 Bad arguments\r\n",
            Said::Grammar(Reply::ProtectionLater) => b"503 Send AUTH TLS first\r\n",
        });
    }
}
