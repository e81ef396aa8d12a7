use core::time::Duration;

use super::MAX_LINE;
use crate::client::{Grammar, Phase, Reply};
use crate::wire::{ReplyLines, Writer, word};
use crate::{Error, Policy, Protocol};

/// The grammar of a POP3 client up to the upgrade.
#[derive(Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ClientGrammar {
    /// The reply's next lines are capabilities.
    listing: bool,
    offered: bool,
}

impl crate::Client<ClientGrammar> {
    /// A client at the start of a fresh connection.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self::with_grammar(ClientGrammar::default(), policy)
    }
}

impl Grammar for ClientGrammar {
    type Framing = ReplyLines<MAX_LINE>;

    const PROTOCOL: Protocol = Protocol::POP3;
    const MAX_OUTPUT: usize = b"CAPA\r\n".len();

    fn reply(&mut self, phase: Phase, line: &[u8]) -> Result<Reply, Error> {
        if self.listing {
            if line == b"." {
                self.listing = false;
                return Ok(Reply::Yes);
            }
            // No capability begins with a dot, so there is no dot-stuffing to undo.
            self.offered |= word(line).eq_ignore_ascii_case(b"STLS");
            return Ok(Reply::More);
        }
        match word(line) {
            b"+OK" if phase == Phase::Capabilities => {
                self.listing = true;
                Ok(Reply::More)
            }
            b"+OK" => Ok(Reply::Yes),
            b"-ERR" => Ok(Reply::No),
            _ => Err(Error::UnexpectedReply),
        }
    }

    fn offers_upgrade(&self) -> bool {
        self.offered
    }

    fn request(&self, phase: Phase, out: &mut Writer<'_>) {
        out.put(if phase == Phase::Upgrade { b"STLS\r\n" } else { b"CAPA\r\n" });
    }

    fn wait(&self, _: Phase) -> Duration {
        Duration::from_secs(5 * 60)
    }
}
