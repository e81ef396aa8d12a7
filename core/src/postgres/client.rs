use core::time::Duration;

use super::SSL_REQUEST;
use crate::client::{Grammar, Phase, Reply};
use crate::wire::{Octet, Packets, Writer};
use crate::{Error, Meaning, Policy, Protocol};

/// The grammar of a PostgreSQL client up to the upgrade.
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
            // The first byte of an ErrorResponse, after which the server closes the connection.
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

    fn in_words<'i>(&self, octet: &'i [u8]) -> Option<Meaning<'i>> {
        match octet {
            b"N" => Some(Meaning::new("no TLS here (N)")),
            // The text is not read, because an attacker may have written it (CVE-2024-10977).
            b"E" => Some(Meaning::new("an error, not read before TLS (E)")),
            _ => None,
        }
    }
}
