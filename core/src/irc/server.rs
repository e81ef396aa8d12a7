use core::time::Duration;

use super::Messages;
use super::message::{parameter, parse};
use crate::server::{Answer, Command, Config, Grammar, Said};
use crate::wire::{Kept, Writer, is_http, look_up};
use crate::{ArgumentError, Protocol};

/// The longest name of a server, in bytes.
const MAX_NAME: usize = 63;

/// The longest text of a client that a reply repeats, in bytes.
const MAX_ECHO: usize = 64;

/// The name of a server: at most 63 bytes of printable ASCII, without blanks and without a leading colon.
///
/// ```
/// use starttls::{ArgumentError, irc::Name};
///
/// assert!(Name::new("irc.example.org").is_ok());
/// assert_eq!(Name::new("irc example"), Err(ArgumentError::Forbidden));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Name<'a>(&'a str);

impl<'a> Name<'a> {
    /// Checks a name. In a constant, the check happens at compile time.
    ///
    /// # Errors
    /// [`ArgumentError::Empty`], [`ArgumentError::TooLong`], [`ArgumentError::NotAscii`],
    /// [`ArgumentError::Forbidden`].
    pub const fn new(name: &'a str) -> Result<Self, ArgumentError> {
        let mut rest = match name.as_bytes() {
            [] => return Err(ArgumentError::Empty),
            [b':', ..] => return Err(ArgumentError::Forbidden),
            octets if octets.len() > MAX_NAME => return Err(ArgumentError::TooLong),
            octets => octets,
        };
        while let [octet, tail @ ..] = rest {
            match octet {
                0x80.. => return Err(ArgumentError::NotAscii),
                0..=b' ' | 0x7f => return Err(ArgumentError::Forbidden),
                _ => rest = tail,
            }
        }
        Ok(Self(name))
    }
}

/// The grammar of an IRC server up to the upgrade.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ServerGrammar<'a> {
    name: Name<'a>,
    /// The part of the command that the reply repeats.
    echo: Kept<MAX_ECHO>,
}

impl<'a> crate::Server<ServerGrammar<'a>> {
    /// A server at the start of a fresh connection.
    #[must_use]
    pub fn new(name: Name<'a>, config: Config) -> Self {
        Self::with_grammar(ServerGrammar { name, echo: Kept::default() }, config)
    }
}

/// The replies of an IRC server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Reply {
    /// The reply to `CAP LS` and `CAP LIST`.
    Capabilities,
    /// The reply to `CAP REQ`. Before TLS only `tls` is granted, which has no effect: `STARTTLS` starts TLS.
    Requested,
    /// The reply to `PING`.
    Pong,
    /// The reply to arguments of a command that takes none.
    NoArguments,
}

const COMMANDS: [(&[u8], Command<Reply>); 17] = [
    (b"STARTTLS", Command::Upgrade),
    (b"PING", Command::Harmless(Reply::Pong)),
    (b"PONG", Command::Ignored),
    (b"QUIT", Command::Quit),
    (b"NICK", Command::SkipUpgrade),
    (b"USER", Command::SkipUpgrade),
    (b"SERVICE", Command::SkipUpgrade),
    (b"PASS", Command::Credentials),
    // A server's link and messages to services carry passwords, too.
    (b"SERVER", Command::Credentials),
    (b"PRIVMSG", Command::Credentials),
    (b"NOTICE", Command::Credentials),
    (b"NICKSERV", Command::Credentials),
    (b"NS", Command::Credentials),
    (b"AUTHENTICATE", Command::Credentials),
    (b"OPER", Command::Credentials),
    (b"WEBIRC", Command::Credentials),
    (b"JOIN", Command::Premature),
];

impl ServerGrammar<'_> {
    fn capability(&mut self, mut parameters: &[u8]) -> Command<Reply> {
        let kind = parameter(&mut parameters);
        let is = |wanted: &[u8]| kind.eq_ignore_ascii_case(wanted);
        if is(b"LS") || is(b"LIST") {
            Command::Harmless(Reply::Capabilities)
        } else if is(b"REQ") {
            self.echo.set(parameter(&mut parameters));
            Command::Harmless(Reply::Requested)
        } else {
            Command::Ignored
        }
    }
}

impl Grammar for ServerGrammar<'_> {
    type Framing = Messages<false>;
    type Reply = Reply;

    const PROTOCOL: Protocol = Protocol::IRC;
    const MAX_OUTPUT: usize = 256;
    const GREETS: bool = false;
    const WAIT: Duration = Duration::from_secs(60);

    fn command(&mut self, line: &[u8]) -> Command<Reply> {
        let (command, mut parameters) = parse(line);
        self.echo.set(b"");
        if command.eq_ignore_ascii_case(b"CAP") {
            return self.capability(parameters);
        }
        match look_up(&COMMANDS, command) {
            None if is_http(command) => Command::Foreign,
            Some(Command::Upgrade) if !parameters.is_empty() => Command::Fault(Reply::NoArguments),
            Some(Command::Harmless(reply)) => {
                self.echo.set(parameter(&mut parameters));
                Command::Harmless(reply)
            }
            Some(command) => command,
            None if command.is_empty() => Command::Ignored,
            None => Command::Unhandled,
        }
    }

    fn print(&self, reply: Said<Reply>, offer: bool, out: &mut Writer<'_>) {
        let closing = match reply {
            Said::Engine(Answer::Bye) => Some(&b"Goodbye"[..]),
            Said::Engine(Answer::TooManyErrors) => Some(&b"Too many errors"[..]),
            Said::Engine(Answer::TooSlow) => Some(&b"Idle for too long"[..]),
            Said::Engine(Answer::TooLong) => Some(&b"Message too long"[..]),
            Said::Engine(Answer::Malformed) => Some(&b"Not a message"[..]),
            _ => None,
        };
        if let Some(why) = closing {
            out.put(b"ERROR :");
            out.put(why);
            return out.put(b"\r\n");
        }
        let name = self.name.0.as_bytes();
        out.put(b":");
        out.put(name);
        let text: &[u8] = match reply {
            Said::Engine(Answer::GoAhead) => b" 670 * :Begin TLS now",
            Said::Engine(Answer::Unavailable) => b" 691 * :TLS not available now",
            Said::Engine(Answer::TlsRequired | Answer::EncryptionRequired) => {
                b" 451 * :Issue STARTTLS first"
            }
            // The reply does not repeat the command, which may be a password.
            Said::Engine(Answer::Unknown) => b" 421 * * :Unknown command",
            Said::Engine(_) => b" 451 * :Not now",
            Said::Grammar(Reply::Capabilities) if offer => b" CAP * LS :tls",
            Said::Grammar(Reply::Capabilities) => b" CAP * LS :",
            Said::Grammar(Reply::Requested) => {
                let capability = self.echo.as_bytes();
                let granted = offer && capability.trim_ascii().eq_ignore_ascii_case(b"tls");
                out.put(if granted { b" CAP * ACK :" } else { b" CAP * NAK :" });
                capability
            }
            Said::Grammar(Reply::Pong) => {
                out.put(b" PONG ");
                out.put(name);
                out.put(b" :");
                self.echo.as_bytes()
            }
            Said::Grammar(Reply::NoArguments) => b" 691 * :No arguments allowed",
        };
        out.put(text);
        out.put(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_messages_begin_no_wait() {
        use crate::{Machine as _, Step};

        let name = Name::new("irc.example.org").expect("valid");
        let mut server = crate::Server::<ServerGrammar<'_>>::new(name, Config::default());
        for (message, begins) in
            [(&b"PONG x\r\n"[..], false), (b"\r\n", false), (b"PING x\r\n", true)]
        {
            let mut input = message;
            assert!(matches!(server.step(&mut input, &mut []), Ok(Step::Event(_))));
            assert_eq!(server.begins_wait(), begins);
        }
    }

    #[test]
    fn a_name_cannot_carry_a_message() {
        assert!(Name::new("irc.example.org").is_ok());
        let long = [b'a'; MAX_NAME + 1];
        let long = core::str::from_utf8(&long).expect("ASCII");
        for (name, error) in [
            ("", ArgumentError::Empty),
            (":a", ArgumentError::Forbidden),
            ("a b", ArgumentError::Forbidden),
            ("a\r\nb", ArgumentError::Forbidden),
            ("é", ArgumentError::NotAscii),
            (long, ArgumentError::TooLong),
        ] {
            assert_eq!(Name::new(name), Err(error), "{name:?}");
        }
        assert!(Name::new(&long[1..]).is_ok());
    }
}
