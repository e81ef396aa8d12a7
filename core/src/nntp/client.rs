use core::time::Duration;

use super::MAX_LINE;
use crate::client::{Grammar, Phase, Reply};
use crate::wire::{Lines, Writer, code};
use crate::{Error, Policy, Protocol};

/// The NNTP client's grammar up to the upgrade.
#[derive(Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ClientGrammar {
    /// Within the list of capabilities.
    listing: bool,
    /// The server had its say on what it can do.
    asked: bool,
}

impl crate::Client<ClientGrammar> {
    /// A client at the start of a fresh connection.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self::with_grammar(ClientGrammar::default(), policy)
    }
}

impl Grammar for ClientGrammar {
    type Framing = Lines<MAX_LINE>;

    const PROTOCOL: Protocol = Protocol::NNTP;
    const MAX_OUTPUT: usize = b"CAPABILITIES\r\n".len();

    fn reply(&mut self, phase: Phase, line: &[u8]) -> Result<Reply, Error> {
        if self.listing {
            // Whether it is in the list does not matter.
            self.listing = line != b".";
            return Ok(if self.listing { Reply::More } else { Reply::Yes });
        }
        // `response = 3DIGIT [SP …]` (RFC 3977 §9.4).
        let (code, [] | [b' ', ..]) = code(line).ok_or(Error::Syntax)? else {
            return Err(Error::Syntax);
        };
        self.asked |= phase == Phase::Capabilities;
        match (phase, code) {
            (Phase::Greeting, 200 | 201) | (Phase::Upgrade, 382) => Ok(Reply::Yes),
            (Phase::Capabilities, 101) => {
                self.listing = true;
                Ok(Reply::More)
            }
            (_, 400) => Ok(Reply::Closing),
            (_, 401..=499) => Ok(Reply::NotNow),
            // CAPABILITIES is younger than many servers: ask for TLS all the same.
            (Phase::Capabilities, 500..=599) => Ok(Reply::Yes),
            (_, 500..=599) => Ok(Reply::No),
            _ => Err(Error::UnexpectedReply),
        }
    }

    /// It asks in any case.
    fn offers_upgrade(&self) -> bool {
        self.asked
    }

    fn request(&self, phase: Phase, out: &mut Writer<'_>) {
        out.put(match phase {
            Phase::Upgrade => &b"STARTTLS\r\n"[..],
            _ => b"CAPABILITIES\r\n",
        });
    }

    fn wait(&self, _: Phase) -> Duration {
        Duration::from_secs(3 * 60)
    }
}
