use core::time::Duration;

use super::MAX_FRAME;
use crate::server::{Answer, Command, Config, Grammar, Said, command_by_verb};
use crate::settings::settings;
use crate::wire::{Kept, Literals, Writer, split_word};
use crate::{ArgumentError, Error, Protocol};

/// The longest [`Text`], in bytes.
const MAX_TEXT: usize = 255;

/// The longest string that NOOP accepts, with its quotes, in bytes.
const MAX_NOOP: usize = 64;

/// A text between quotes: at most 255 bytes of printable ASCII, without quotes and backslashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Text<'a>(&'a str);

impl<'a> Text<'a> {
    /// Checks a text. In a constant, the check happens at compile time.
    ///
    /// # Errors
    /// [`ArgumentError::TooLong`], [`ArgumentError::NotAscii`], [`ArgumentError::Forbidden`].
    pub const fn new(text: &'a str) -> Result<Self, ArgumentError> {
        if text.len() > MAX_TEXT {
            return Err(ArgumentError::TooLong);
        }
        let mut rest = text.as_bytes();
        while let [octet, tail @ ..] = rest {
            match octet {
                0x80.. => return Err(ArgumentError::NotAscii),
                0..b' ' | b'"' | b'\\' | 0x7f => return Err(ArgumentError::Forbidden),
                _ => rest = tail,
            }
        }
        Ok(Self(text))
    }
}

settings! {
    /// The capabilities of a ManageSieve server (RFC 5804 §1.7).
    ///
    /// ```
    /// use starttls::sieve::{Capabilities, Text};
    ///
    /// let capabilities = Capabilities::new(Text::new("Example")?).with_sasl(Text::new("PLAIN")?);
    /// let mut output = [0; Capabilities::MAX_OUTPUT];
    /// let n = capabilities.print(&mut output).unwrap();
    /// assert!(output.starts_with(b"\"IMPLEMENTATION\" \"Example\"\r\n\"SASL\" \"PLAIN\"\r\n"));
    /// # let _ = n;
    /// # Ok::<(), starttls::ArgumentError>(())
    /// ```
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Capabilities<'a> {
        /// The name of the server.
        implementation, with_implementation: Text<'a>,
        /// The supported Sieve extensions, separated by blanks.
        sieve, with_sieve: Text<'a>,
        /// The SASL mechanisms, separated by blanks. The server lists them only inside TLS.
        sasl, with_sasl: Text<'a>,
    }
}

impl<'a> Capabilities<'a> {
    /// A server of this name, without extensions and mechanisms.
    #[must_use]
    pub const fn new(implementation: Text<'a>) -> Self {
        Self { implementation, sieve: Text(""), sasl: Text("") }
    }

    /// The longest output of [`print`](Self::print), in bytes.
    pub const MAX_OUTPUT: usize = 3 * MAX_TEXT + 96;

    /// Prints the capabilities. A server has to send them inside TLS, before the client sends anything
    /// (RFC 5804 §2.2). Returns how many bytes of `output` to send.
    ///
    /// # Errors
    /// [`Error::OutputTooSmall`] if they do not fit.
    pub fn print(&self, output: &mut [u8]) -> Result<usize, Error> {
        let mut out = Writer::new(output);
        self.put(self.sasl, false, &mut out);
        out.put(b"OK\r\n");
        out.finish()
    }

    fn put(&self, sasl: Text<'_>, offer: bool, out: &mut Writer<'_>) {
        for (name, text) in [
            (&b"\"IMPLEMENTATION\" \""[..], self.implementation),
            (b"\"SASL\" \"", sasl),
            (b"\"SIEVE\" \"", self.sieve),
        ] {
            out.put(name);
            out.put(text.0.as_bytes());
            out.put(b"\"\r\n");
        }
        if offer {
            out.put(b"\"STARTTLS\"\r\n");
        }
        out.put(b"\"VERSION\" \"1.0\"\r\n");
    }
}

/// The grammar of a ManageSieve server up to the upgrade.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ServerGrammar<'a> {
    capabilities: Capabilities<'a>,
    /// The argument of NOOP, which the reply repeats.
    tag: Kept<MAX_NOOP>,
}

impl<'a> crate::Server<ServerGrammar<'a>> {
    /// A server at the start of a fresh connection.
    #[must_use]
    pub fn new(capabilities: Capabilities<'a>, config: Config) -> Self {
        Self::with_grammar(ServerGrammar { capabilities, tag: Kept::default() }, config)
    }
}

/// The replies of a ManageSieve server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Reply {
    /// The reply to `CAPABILITY`.
    Capabilities,
    /// The reply to `NOOP`.
    Ok,
    /// The reply to wrong arguments, or to arguments of a command that takes none.
    BadArguments,
}

const VERBS: [(&[u8], Command<Reply>); 14] = [
    (b"CAPABILITY", Command::Harmless(Reply::Capabilities)),
    (b"NOOP", Command::Harmless(Reply::Ok)),
    (b"LOGOUT", Command::Quit),
    (b"STARTTLS", Command::Upgrade),
    (b"AUTHENTICATE", Command::Credentials),
    (b"UNAUTHENTICATE", Command::Premature),
    (b"HAVESPACE", Command::Premature),
    (b"PUTSCRIPT", Command::Premature),
    (b"CHECKSCRIPT", Command::Premature),
    (b"LISTSCRIPTS", Command::Premature),
    (b"SETACTIVE", Command::Premature),
    (b"GETSCRIPT", Command::Premature),
    (b"DELETESCRIPT", Command::Premature),
    (b"RENAMESCRIPT", Command::Premature),
];

/// Whether a text is a quoted string that the reply can repeat unchanged.
fn is_quoted(text: &[u8]) -> bool {
    let plain = |octet: &u8| (b' '..0x7f).contains(octet) && *octet != b'"' && *octet != b'\\';
    matches!(text, [b'"', inside @ .., b'"'] if inside.iter().all(plain)) && text.len() <= MAX_NOOP
}

impl Grammar for ServerGrammar<'_> {
    type Framing = Literals<MAX_FRAME, true>;
    type Reply = Reply;

    const PROTOCOL: Protocol = Protocol::SIEVE;
    const MAX_OUTPUT: usize = Capabilities::MAX_OUTPUT;
    const WAIT: Duration = Duration::from_secs(30 * 60);

    fn command(&mut self, line: &[u8]) -> Command<Reply> {
        let (verb, argument) = split_word(line);
        self.tag.set(b"");
        if is_quoted(argument) && verb.eq_ignore_ascii_case(b"NOOP") {
            self.tag.set(argument);
            return Command::Harmless(Reply::Ok);
        }
        command_by_verb(&VERBS, verb, argument, Reply::BadArguments)
    }

    fn print(&self, reply: Said<Reply>, offer: bool, out: &mut Writer<'_>) {
        let text: &[u8] = match reply {
            Said::Grammar(Reply::Capabilities) => {
                self.capabilities.put(Text(""), offer, out);
                b"OK\r\n"
            }
            // The OK has a text, because some clients wait for a blank after it.
            Said::Engine(Answer::Greeting) => {
                self.capabilities.put(Text(""), offer, out);
                b"OK \"ManageSieve ready\"\r\n"
            }
            Said::Grammar(Reply::Ok) if !self.tag.as_bytes().is_empty() => {
                out.put(b"OK (TAG ");
                out.put(self.tag.as_bytes());
                b") \"Done\"\r\n"
            }
            Said::Grammar(Reply::Ok) => b"OK\r\n",
            Said::Grammar(Reply::BadArguments) => &b"NO \"Bad arguments\"\r\n"[..],
            Said::Engine(answer) => match answer {
                Answer::GoAhead | Answer::Greeting => b"OK \"Begin TLS now\"\r\n",
                Answer::Unavailable => b"NO (TRYLATER) \"TLS not available now\"\r\n",
                Answer::TlsRequired | Answer::EncryptionRequired => {
                    b"NO (ENCRYPT-NEEDED) \"Issue STARTTLS first\"\r\n"
                }
                Answer::BadSequence => b"NO \"Not now\"\r\n",
                Answer::Unknown => b"NO \"Unknown command\"\r\n",
                Answer::Bye => b"OK \"Goodbye\"\r\n",
                Answer::TooManyErrors => b"BYE \"Too many errors\"\r\n",
                Answer::TooSlow => b"BYE \"Idle for too long\"\r\n",
                Answer::TooLong => b"BYE \"Line too long\"\r\n",
                Answer::Malformed => b"BYE \"Not a command\"\r\n",
            },
        };
        out.put(text);
    }
}
