use core::time::Duration;

use super::{ANSWER_WAIT, MAX_FRAME};
use crate::client::{Grammar, Phase, Reply};
use crate::wire::{Literals, Writer};
use crate::{Error, Policy, Protocol};

/// The grammar of a ManageSieve client up to the upgrade.
#[derive(Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ClientGrammar {
    offered: bool,
}

impl crate::Client<ClientGrammar> {
    /// A client at the start of a fresh connection.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self::with_grammar(ClientGrammar::default(), policy)
    }
}

/// The name of a capability: a quoted or literal string (RFC 5804 §1.7).
fn name(line: &[u8]) -> Result<Option<&[u8]>, Error> {
    let (end, text) = match line {
        [b'"', text @ ..] => (text.iter().position(|byte| *byte == b'"'), text),
        [b'{', rest @ ..] => {
            // The framing ensures that the literal is complete.
            let digits = rest.iter().take_while(|octet| octet.is_ascii_digit());
            let length = digits.fold(0_usize, |length, digit| {
                length.wrapping_mul(10).wrapping_add(usize::from(digit & 0xf))
            });
            let start = rest.iter().position(|octet| *octet == b'\n').ok_or(Error::Syntax)?;
            (Some(length), rest.get(start.wrapping_add(1)..).unwrap_or_default())
        }
        _ => return Ok(None),
    };
    end.and_then(|end| text.get(..end)).ok_or(Error::Syntax).map(Some)
}

impl Grammar for ClientGrammar {
    type Framing = Literals<MAX_FRAME, false>;

    const PROTOCOL: Protocol = Protocol::SIEVE;
    const MAX_OUTPUT: usize = b"CAPABILITY\r\n".len();

    fn reply(&mut self, phase: Phase, frame: &[u8]) -> Result<Reply, Error> {
        if let Some(name) = name(frame)? {
            self.offered |= name.eq_ignore_ascii_case(b"STARTTLS");
            return match phase {
                Phase::Upgrade => Err(Error::UnexpectedReply),
                _ => Ok(Reply::More),
            };
        }
        let end = frame.iter().position(|octet| !octet.is_ascii_alphabetic());
        let (status, rest) = frame.split_at_checked(end.unwrap_or(frame.len())).unwrap_or_default();
        let is = |wanted: &[u8]| status.eq_ignore_ascii_case(wanted);
        match rest {
            [] | [b' ', ..] if is(b"OK") => Ok(Reply::Yes),
            [] | [b' ', ..] if is(b"NO") => Ok(Reply::No),
            [] | [b' ', ..] if is(b"BYE") => Ok(Reply::Closing),
            _ => Err(Error::UnexpectedReply),
        }
    }

    fn offers_upgrade(&self) -> bool {
        self.offered
    }

    fn request(&self, phase: Phase, out: &mut Writer<'_>) {
        out.put(if phase == Phase::Upgrade { &b"STARTTLS\r\n"[..] } else { b"CAPABILITY\r\n" });
    }

    fn wait(&self, _: Phase) -> Duration {
        ANSWER_WAIT
    }
}
