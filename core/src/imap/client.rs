use core::time::Duration;

use super::{ANSWER_WAIT, MAX_FRAME};
use crate::client::{Grammar, Phase, Reply};
use crate::conceal::conceal;
use crate::wire::{Literals, Writer, has_word, look_up, split_word};
use crate::{Error, Policy, Protocol};

/// The start of a client's tags: eight letters, which an attacker who does not see the connection cannot
/// guess.
///
/// With a known tag, an attacker could inject a reply ahead of its command.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Tag(u32);

conceal!("Tag", Tag);

impl Tag {
    /// Tags made of a random number. Use a fresh one for each connection.
    #[must_use]
    pub const fn new(random: u32) -> Self {
        Self(random)
    }

    /// One letter for each four bits.
    fn letters(self) -> impl Iterator<Item = u8> {
        (0..8).map(move |place: u32| {
            let [.., low] = self.0.wrapping_shr(28_u32.wrapping_sub(place << 2)).to_be_bytes();
            b'A'.wrapping_add(low & 0xf)
        })
    }
}

/// The grammar of an IMAP client up to the upgrade.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ClientGrammar {
    tag: Tag,
    offered: bool,
}

impl crate::Client<ClientGrammar> {
    /// A client that uses `tag`, at the start of a fresh connection.
    #[must_use]
    pub fn new(tag: Tag, policy: Policy) -> Self {
        Self::with_grammar(ClientGrammar { tag, offered: false }, policy)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Ok,
    No,
    Bye,
    PreAuth,
    Capability,
    Other,
}

const WORDS: [(&[u8], Word); 6] = [
    (b"OK", Word::Ok),
    (b"NO", Word::No),
    (b"BAD", Word::No),
    (b"BYE", Word::Bye),
    (b"PREAUTH", Word::PreAuth),
    (b"CAPABILITY", Word::Capability),
];

/// Splits a text into its first word and the rest.
fn split(text: &[u8]) -> (Word, &[u8]) {
    let (word, rest) = split_word(text);
    (look_up(&WORDS, word).unwrap_or(Word::Other), rest)
}

impl ClientGrammar {
    /// The digit after the letters, so that each command has its own tag.
    const fn digit(phase: Phase) -> u8 {
        if matches!(phase, Phase::Upgrade) { b'2' } else { b'1' }
    }

    /// The text after the client's own tag; `None` for any other tag.
    fn tagged<'f>(&self, phase: Phase, frame: &'f [u8]) -> Option<&'f [u8]> {
        let (tag, rest) = frame.split_at_checked(8)?;
        let ours = tag.iter().copied().eq(self.tag.letters());
        match rest {
            [digit, b' ', rest @ ..] if ours && *digit == Self::digit(phase) => Some(rest),
            _ => None,
        }
    }

    /// Reads the capabilities in a response code, `[CAPABILITY …]` at the front of the text.
    fn read_code(&mut self, text: &[u8]) {
        if let [b'[', code @ ..] = text {
            let code = code.split(|octet| *octet == b']').next().unwrap_or_default();
            if let (Word::Capability, list) = split(code) {
                self.read(list);
            }
        }
    }

    fn read(&mut self, list: &[u8]) {
        self.offered |= has_word(list, b"STARTTLS");
    }
}

impl Grammar for ClientGrammar {
    type Framing = Literals<MAX_FRAME, false>;

    const PROTOCOL: Protocol = Protocol::IMAP;
    const MAX_OUTPUT: usize = b"12345678".len() + b"1 CAPABILITY\r\n".len();
    const IS_CHATTY: bool = true;

    fn reply(&mut self, phase: Phase, frame: &[u8]) -> Result<Reply, Error> {
        let (untagged, response) = match frame {
            [b'*', b' ', response @ ..] => (true, response),
            _ => (false, self.tagged(phase, frame).ok_or(Error::UnexpectedReply)?),
        };
        let (word, text) = split(response);
        let greeting = phase == Phase::Greeting;
        match (untagged, word) {
            (true, Word::Bye) => return Ok(Reply::Closing),
            (true, Word::PreAuth) if greeting => return Ok(Reply::Never),
            (true, Word::Capability) if phase == Phase::Capabilities => self.read(text),
            (true, _) if !greeting => {}
            (_, Word::Ok) if untagged == greeting => {
                if phase != Phase::Upgrade {
                    self.read_code(text);
                }
                return Ok(Reply::Yes);
            }
            (false, Word::No) if !greeting => return Ok(Reply::No),
            _ => return Err(Error::UnexpectedReply),
        }
        Ok(Reply::More)
    }

    fn unasked(&mut self, frame: &[u8]) -> Result<Reply, Error> {
        match frame {
            // Evaluated in a phase in which untagged responses have no effect.
            [b'*', b' ', ..] => self.reply(Phase::Upgrade, frame),
            _ => Err(Error::Unsolicited),
        }
    }

    fn offers_upgrade(&self) -> bool {
        self.offered
    }

    fn request(&self, phase: Phase, out: &mut Writer<'_>) {
        for letter in self.tag.letters() {
            out.push(letter);
        }
        out.push(Self::digit(phase));
        out.put(if phase == Phase::Upgrade { b" STARTTLS\r\n" } else { b" CAPABILITY\r\n" });
    }

    fn wait(&self, _: Phase) -> Duration {
        ANSWER_WAIT
    }
}
