use core::time::Duration;

use super::MAX_LINE;
use crate::client::{Grammar, Phase, Reply};
use crate::wire::{LfReplyLines, Writer, word};
use crate::{Error, Policy, Protocol};

/// The grammar of a NUT client up to the upgrade.
#[derive(Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ClientGrammar(());

impl crate::Client<ClientGrammar> {
    /// A client at the start of a fresh connection.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self::with_grammar(ClientGrammar::default(), policy)
    }
}

impl Grammar for ClientGrammar {
    type Framing = LfReplyLines<MAX_LINE>;

    const PROTOCOL: Protocol = Protocol::NUT;
    const MAX_OUTPUT: usize = b"STARTTLS\n".len();
    const FIRST: Phase = Phase::Upgrade;

    fn reply(&mut self, _: Phase, line: &[u8]) -> Result<Reply, Error> {
        match line {
            b"OK STARTTLS" => Ok(Reply::Yes),
            _ if word(line) == b"ERR" => Ok(Reply::No),
            _ => Err(Error::UnexpectedReply),
        }
    }

    fn offers_upgrade(&self) -> bool {
        true
    }

    fn request(&self, _: Phase, out: &mut Writer<'_>) {
        out.put(b"STARTTLS\n");
    }

    fn wait(&self, _: Phase) -> Duration {
        Duration::from_secs(60)
    }
}
