use core::time::Duration;

use super::MAX_COMMAND;
use crate::Protocol;
use crate::server::{Answer, Command, Config, Grammar, Said, command_by_verb};
use crate::wire::{Lines, Writer, split_word};

/// The grammar of a POP3 server up to the upgrade.
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

/// The replies of a POP3 server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Reply {
    /// The reply to `CAPA`.
    Capabilities,
    /// The reply to arguments of a command that takes none.
    NoArguments,
}

const VERBS: [(&[u8], Command<Reply>); 17] = [
    (b"CAPA", Command::Harmless(Reply::Capabilities)),
    (b"STLS", Command::Upgrade),
    (b"QUIT", Command::Quit),
    (b"USER", Command::Credentials),
    (b"PASS", Command::Credentials),
    (b"APOP", Command::Credentials),
    (b"AUTH", Command::Credentials),
    (b"STAT", Command::Premature),
    (b"LIST", Command::Premature),
    (b"UIDL", Command::Premature),
    (b"RETR", Command::Premature),
    (b"TOP", Command::Premature),
    (b"DELE", Command::Premature),
    (b"NOOP", Command::Premature),
    (b"RSET", Command::Premature),
    (b"LAST", Command::Premature),
    (b"UTF8", Command::Unhandled),
];

impl Grammar for ServerGrammar {
    type Framing = Lines<MAX_COMMAND>;
    type Reply = Reply;

    const PROTOCOL: Protocol = Protocol::POP3;
    const MAX_OUTPUT: usize = 64;
    /// The standard asks for at least ten minutes (RFC 1939 §3).
    const WAIT: Duration = Duration::from_secs(10 * 60);

    fn command(&mut self, line: &[u8]) -> Command<Reply> {
        let (verb, argument) = split_word(line);
        command_by_verb(&VERBS, verb, argument, Reply::NoArguments)
    }

    fn print(&self, reply: Said<Reply>, offer: bool, out: &mut Writer<'_>) {
        out.put(match reply {
            Said::Engine(answer) => match answer {
                Answer::Greeting => &b"+OK POP3 ready\r\n"[..],
                Answer::GoAhead => b"+OK Begin TLS now\r\n",
                Answer::Unavailable => b"-ERR [SYS/TEMP] TLS not available now\r\n",
                Answer::TlsRequired | Answer::EncryptionRequired => b"-ERR Issue STLS first\r\n",
                Answer::BadSequence => b"-ERR Not now\r\n",
                Answer::Unknown => b"-ERR Unknown command\r\n",
                Answer::Bye => b"+OK Goodbye\r\n",
                Answer::TooManyErrors => b"-ERR Too many errors, closing\r\n",
                Answer::TooSlow => b"-ERR Idle for too long, closing\r\n",
                Answer::TooLong => b"-ERR Line too long, closing\r\n",
                Answer::Malformed => b"-ERR Not a command, closing\r\n",
            },
            Said::Grammar(Reply::Capabilities) if offer => b"+OK\r\nSTLS\r\nRESP-CODES\r\n.\r\n",
            Said::Grammar(Reply::Capabilities) => b"+OK\r\nRESP-CODES\r\n.\r\n",
            Said::Grammar(Reply::NoArguments) => b"-ERR No arguments allowed\r\n",
        });
    }
}
