use core::time::Duration;

use super::{MAX_FRAME, MAX_TAG};
use crate::Protocol;
use crate::server::{Answer, Command, Config, Grammar, Said, command_by_verb};
use crate::wire::{Kept, Literals, Writer, is_http, look_up, split_word};

/// The grammar of an IMAP server up to the upgrade.
#[derive(Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ServerGrammar {
    /// The tag of the command to answer; `*` if it has none.
    tag: Kept<MAX_TAG>,
    /// The last command was a login, was malformed, or ended in a literal that waits for permission
    /// (RFC 9051 §4.3).
    ///
    /// A client that does not wait then sends its password where a tag belongs, and a reply must not repeat
    /// it.
    unfinished: bool,
}

impl crate::Server<ServerGrammar> {
    /// A server at the start of a fresh connection.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self::with_grammar(ServerGrammar::default(), config)
    }
}

/// The replies of an IMAP server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Reply {
    /// The reply to `CAPABILITY`.
    Capabilities,
    /// The reply to `ID` (RFC 2971): the server reveals nothing before TLS.
    Id,
    /// The reply to `NOOP`.
    Ok,
    /// The reply to arguments of a command that takes none.
    NoArguments,
    /// The reply to a line without a tag, or with nothing but a word, which may be a password.
    NoTag,
}

const VERBS: [(&[u8], Command<Reply>); 6] = [
    (b"CAPABILITY", Command::Harmless(Reply::Capabilities)),
    (b"NOOP", Command::Harmless(Reply::Ok)),
    (b"LOGOUT", Command::Quit),
    (b"STARTTLS", Command::Upgrade),
    (b"LOGIN", Command::Credentials),
    (b"AUTHENTICATE", Command::Credentials),
];

/// `tag = 1*<any ASTRING-CHAR except "+">` (RFC 9051 §9).
fn is_tag(word: &[u8]) -> bool {
    let allowed = |octet: &u8| octet.is_ascii_graphic() && !b"(){%*\"\\+".contains(octet);
    (1..=MAX_TAG).contains(&word.len()) && word.iter().all(allowed)
}

impl ServerGrammar {
    fn put_capabilities(offer: bool, out: &mut Writer<'_>) {
        out.put(b"CAPABILITY IMAP4rev2 IMAP4rev1 ID");
        if offer {
            out.put(b" STARTTLS");
        }
        out.put(b" LOGINDISABLED");
    }
}

impl Grammar for ServerGrammar {
    type Framing = Literals<MAX_FRAME, true>;
    type Reply = Reply;

    const PROTOCOL: Protocol = Protocol::IMAP;
    const MAX_OUTPUT: usize = 192;
    const WAIT: Duration = Duration::from_secs(30 * 60);

    fn command(&mut self, line: &[u8]) -> Command<Reply> {
        let (tag, rest) = split_word(line);
        self.tag.set(b"*");
        if is_http(tag) {
            return Command::Foreign;
        }
        let (verb, arguments) = split_word(rest);
        let known = look_up(&VERBS, verb);
        if !is_tag(tag) || verb.is_empty() || known.is_none() && self.unfinished {
            self.unfinished = true;
            return Command::Fault(Reply::NoTag);
        }
        self.unfinished = matches!(known, Some(Command::Credentials)) || line.ends_with(b"}");
        self.tag.set(tag);
        if verb.eq_ignore_ascii_case(b"ID") {
            return Command::Harmless(Reply::Id);
        }
        command_by_verb(&VERBS, verb, arguments, Reply::NoArguments)
    }

    fn print(&self, reply: Said<Reply>, offer: bool, out: &mut Writer<'_>) {
        match reply {
            Said::Engine(Answer::Greeting) => {
                out.put(b"* OK [");
                Self::put_capabilities(offer, out);
                return out.put(b"] IMAP ready\r\n");
            }
            Said::Grammar(Reply::Capabilities) => {
                out.put(b"* ");
                Self::put_capabilities(offer, out);
                out.put(b"\r\n");
            }
            Said::Grammar(Reply::Id) => out.put(b"* ID NIL\r\n"),
            Said::Engine(Answer::Bye) => out.put(b"* BYE Goodbye\r\n"),
            _ => {}
        }
        let closing = matches!(
            reply,
            Said::Engine(
                Answer::TooManyErrors | Answer::TooSlow | Answer::TooLong | Answer::Malformed
            )
        );
        out.put(if closing { b"*" } else { self.tag.as_bytes() });
        out.put(match reply {
            Said::Engine(answer) => match answer {
                Answer::GoAhead => b" OK Begin TLS now",
                Answer::Unavailable => b" NO [UNAVAILABLE] TLS not available now",
                Answer::TlsRequired | Answer::EncryptionRequired => {
                    b" NO [PRIVACYREQUIRED] Issue STARTTLS first"
                }
                Answer::BadSequence => b" BAD Not now",
                Answer::Unknown => b" BAD Unknown command",
                Answer::Bye | Answer::Greeting => b" OK Done",
                Answer::TooManyErrors => b" BYE Too many errors",
                Answer::TooSlow => b" BYE Idle for too long",
                Answer::TooLong => b" BYE Line too long",
                Answer::Malformed => b" BYE Not a command",
            },
            Said::Grammar(Reply::NoArguments) => b" BAD No arguments allowed",
            Said::Grammar(Reply::NoTag) => b" BAD No tag",
            Said::Grammar(Reply::Capabilities)
            | Said::Grammar(Reply::Id)
            | Said::Grammar(Reply::Ok) => &b" OK Done"[..],
        });
        out.put(b"\r\n");
    }
}
