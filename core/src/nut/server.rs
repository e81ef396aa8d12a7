use core::time::Duration;

use super::MAX_LINE;
use crate::Protocol;
use crate::server::{Answer, Command, Config, Grammar, Said, command_by_verb};
use crate::wire::{LfLines, Line, Writer, is_http_request, split_word};

/// The grammar of a NUT server up to the upgrade.
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

/// The replies of a NUT server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Reply {
    /// The reply to `VER`.
    Version,
    /// The reply to `NETVER` and `PROTVER`.
    ProtocolVersion,
    /// The reply to `HELP`.
    Help,
    /// The reply to arguments of a command that takes none.
    NoArguments,
}

const VERBS: [(&[u8], Command<Reply>); 19] = [
    (b"STARTTLS", Command::Upgrade),
    (b"VER", Command::Harmless(Reply::Version)),
    (b"NETVER", Command::Harmless(Reply::ProtocolVersion)),
    (b"PROTVER", Command::Harmless(Reply::ProtocolVersion)),
    (b"HELP", Command::Harmless(Reply::Help)),
    (b"LOGOUT", Command::Quit),
    (b"USERNAME", Command::Credentials),
    (b"PASSWORD", Command::Credentials),
    (b"LIST", Command::SkipUpgrade),
    (b"GET", Command::SkipUpgrade),
    (b"ATTACH", Command::Premature),
    (b"DETACH", Command::Premature),
    (b"LOGIN", Command::Premature),
    (b"MASTER", Command::Premature),
    (b"PRIMARY", Command::Premature),
    (b"FSD", Command::Premature),
    (b"SET", Command::Premature),
    (b"INSTCMD", Command::Premature),
    (b"SESSION", Command::Unhandled),
];

impl Grammar for ServerGrammar {
    type Framing = LfLines<MAX_LINE>;
    type Reply = Reply;

    const PROTOCOL: Protocol = Protocol::NUT;
    const MAX_OUTPUT: usize = 64;
    const GREETS: bool = false;
    const WAIT: Duration = Duration::from_secs(60);

    fn command(&mut self, line: &[u8]) -> Command<Reply> {
        let (verb, argument) = split_word(line);
        // GET is a command of NUT, too.
        if is_http_request(verb, argument) {
            return Command::Foreign;
        }
        command_by_verb(&VERBS, verb, argument, Reply::NoArguments)
    }

    fn print(&self, reply: Said<Reply>, _: bool, out: &mut Writer<'_>) {
        out.put(match reply {
            Said::Engine(answer) => match answer {
                Answer::GoAhead => &b"OK STARTTLS\n"[..],
                Answer::Unavailable => b"ERR FEATURE-NOT-CONFIGURED\n",
                Answer::TlsRequired | Answer::EncryptionRequired | Answer::BadSequence => {
                    b"ERR ACCESS-DENIED\n"
                }
                Answer::Bye => b"OK Goodbye\n",
                Answer::TooManyErrors | Answer::TooSlow => b"ERR ACCESS-DENIED\n",
                Answer::TooLong => b"ERR TOO-LONG\n",
                Answer::Unknown | Answer::Malformed | Answer::Greeting => b"ERR UNKNOWN-COMMAND\n",
            },
            Said::Grammar(Reply::Version) => b"Network UPS Tools upsd, by starttls\n",
            Said::Grammar(Reply::ProtocolVersion) => b"1.3\n",
            Said::Grammar(Reply::Help) => b"Commands: HELP VER PROTVER LOGOUT STARTTLS\n",
            Said::Grammar(Reply::NoArguments) => b"ERR INVALID-ARGUMENT\n",
        });
    }

    fn line(&self, line: Line<'_>, out: &mut Writer<'_>) {
        out.put(line.as_str().as_bytes());
        out.put(b"\n");
    }
}
