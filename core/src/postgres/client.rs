use core::time::Duration;

use super::SSL_REQUEST;
use crate::client::{Grammar, Phase, Reply};
use crate::wire::{Octet, Packets, Writer};
use crate::{Error, Policy, Protocol};

/// The PostgreSQL client's grammar up to the upgrade.
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
    type Framing = Packets<Octet>;

    const PROTOCOL: Protocol = Protocol::POSTGRES;
    const MAX_OUTPUT: usize = SSL_REQUEST.len();
    const FIRST: Phase = Phase::Upgrade;

    fn reply(&mut self, _: Phase, octet: &[u8]) -> Result<Reply, Error> {
        match octet {
            b"S" => Ok(Reply::Yes),
            b"N" => Ok(Reply::No),
            // An error message begins, and the server closes behind it.
            b"E" => Ok(Reply::Closing),
            _ => Err(Error::UnexpectedReply),
        }
    }

    fn offers_upgrade(&self) -> bool {
        true
    }

    fn request(&self, _: Phase, out: &mut Writer<'_>) {
        out.put(SSL_REQUEST);
    }

    fn wait(&self, _: Phase) -> Duration {
        Duration::from_secs(60)
    }
}
