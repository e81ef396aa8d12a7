use core::time::Duration;

use super::{ANSWER_WAIT, MAX_FRAME};
use crate::client::{Grammar, Phase, Reply};
use crate::wire::{Literals, Writer, has_word, split_word};
use crate::{Error, Policy, Protocol};

/// What a client's tags begin with: eight letters, which nobody who does not see the connection can
/// guess. A tag that is known beforehand lets a reply be there before its command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Tag([u8; 8]);

impl Tag {
    /// Tags from a random number, another one for each connection.
    #[must_use]
    pub const fn new(random: u32) -> Self {
        let [a, b, c, d] = random.to_be_bytes();
        const fn letter(nibble: u8) -> u8 {
            b'A'.wrapping_add(nibble & 0xf)
        }
        Self([
            letter(a >> 4),
            letter(a),
            letter(b >> 4),
            letter(b),
            letter(c >> 4),
            letter(c),
            letter(d >> 4),
            letter(d),
        ])
    }
}

/// The IMAP client's grammar up to the upgrade.
#[derive(Debug)]
pub struct ClientGrammar {
    tag: Tag,
    offered: bool,
}

impl crate::Client<ClientGrammar> {
    /// A client whose tags are hard to guess.
    #[must_use]
    pub fn new(tag: Tag, policy: Policy) -> Self {
        Self::with_grammar(ClientGrammar { tag, offered: false }, policy)
    }
}

impl ClientGrammar {
    /// The digit behind the letters: each command has a tag of its own.
    const fn digit(phase: Phase) -> u8 {
        if matches!(phase, Phase::Upgrade) { b'2' } else { b'1' }
    }

    /// What stands behind our tag.
    fn tagged<'f>(&self, phase: Phase, frame: &'f [u8]) -> Option<&'f [u8]> {
        match frame.strip_prefix(&self.tag.0)? {
            [digit, b' ', rest @ ..] if *digit == Self::digit(phase) => Some(rest),
            _ => None,
        }
    }

    /// Notes the capabilities in a response code, `[CAPABILITY …]` in front of the text.
    fn read_code(&mut self, text: &[u8]) {
        if let [b'[', code @ ..] = text {
            let code = code.split(|octet| *octet == b']').next().unwrap_or_default();
            self.read(code);
        }
    }

    /// Notes the capabilities behind the word that says that they are some.
    fn read(&mut self, text: &[u8]) {
        let (name, list) = split_word(text);
        if name.eq_ignore_ascii_case(b"CAPABILITY") {
            self.offered |= has_word(list, b"STARTTLS");
        }
    }

    /// A response without a tag.
    fn untagged(&mut self, phase: Phase, response: &[u8]) -> Result<Reply, Error> {
        let (name, text) = split_word(response);
        let is = |wanted: &[u8]| name.eq_ignore_ascii_case(wanted);
        if is(b"BYE") {
            return Ok(Reply::Closing);
        }
        match phase {
            Phase::Greeting if is(b"OK") => {
                self.read_code(text);
                Ok(Reply::Yes)
            }
            Phase::Greeting if is(b"PREAUTH") => Ok(Reply::Never),
            Phase::Greeting => Err(Error::UnexpectedReply),
            Phase::Capabilities => {
                self.read(response);
                Ok(Reply::More)
            }
            _ => Ok(Reply::More),
        }
    }
}

impl Grammar for ClientGrammar {
    type Framing = Literals<MAX_FRAME, false>;

    const PROTOCOL: Protocol = Protocol::IMAP;
    const MAX_OUTPUT: usize = b"12345678".len() + b"1 CAPABILITY\r\n".len();
    const IS_CHATTY: bool = true;

    fn reply(&mut self, phase: Phase, frame: &[u8]) -> Result<Reply, Error> {
        if let [b'*', b' ', response @ ..] = frame {
            return self.untagged(phase, response);
        }
        let status = self.tagged(phase, frame).ok_or(Error::UnexpectedReply)?;
        let (status, text) = split_word(status);
        let is = |wanted: &[u8]| status.eq_ignore_ascii_case(wanted);
        match phase {
            Phase::Greeting => Err(Error::UnexpectedReply),
            _ if is(b"OK") => {
                if phase == Phase::Capabilities {
                    self.read_code(text);
                }
                Ok(Reply::Yes)
            }
            _ if is(b"NO") || is(b"BAD") => Ok(Reply::No),
            _ => Err(Error::UnexpectedReply),
        }
    }

    fn unasked(&mut self, frame: &[u8]) -> Result<Reply, Error> {
        match frame {
            // In a phase of its own, so that it counts for nothing.
            [b'*', b' ', response @ ..] => self.untagged(Phase::Upgrade, response),
            _ => Err(Error::Unsolicited),
        }
    }

    fn offers_upgrade(&self) -> bool {
        self.offered
    }

    fn request(&self, phase: Phase, out: &mut Writer<'_>) {
        out.put(&self.tag.0);
        out.push(Self::digit(phase));
        out.put(if phase == Phase::Upgrade { b" STARTTLS\r\n" } else { b" CAPABILITY\r\n" });
    }

    fn wait(&self, _: Phase) -> Duration {
        ANSWER_WAIT
    }
}
