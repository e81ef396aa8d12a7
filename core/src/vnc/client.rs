use core::time::Duration;

use super::messages::Round;
use super::{FromServer, Subtype, VENCRYPT, VENCRYPT_VERSION, VERSION, WAIT, lists};
use crate::client::{Grammar, Phase, Reply};
use crate::wire::Writer;
use crate::{Error, Meaning, Policy, Protocol};

/// The grammar of a VNC client up to the upgrade.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ClientGrammar<'a> {
    subtypes: &'a [Subtype],
    round: Round,
    chosen: Option<Subtype>,
}

impl ClientGrammar<'_> {
    /// Chooses the first of the client's own subtypes that the server's list has.
    fn choose(&mut self, list: &[u8]) -> Result<Reply, Error> {
        let (list, _) = list.as_chunks();
        let has = |subtype: u32| list.iter().any(|listed| u32::from_be_bytes(*listed) == subtype);
        self.chosen = self.subtypes.iter().copied().find(|subtype| has(subtype.number()));
        // The other subtypes have anonymous TLS or none; the other security types have no TLS at all.
        if self.chosen.is_some() { Ok(Reply::Yes) } else { Err(Error::NotOffered) }
    }
}

impl crate::Client<ClientGrammar<'_>> {
    /// The chosen subtype, once the client has chosen. It tells how your own client continues inside TLS.
    #[must_use]
    pub const fn subtype(&self) -> Option<Subtype> {
        self.grammar().chosen
    }
}

impl<'a> crate::Client<ClientGrammar<'a>> {
    /// A client at the start of a fresh connection, which accepts `subtypes`, in order of preference.
    #[must_use]
    pub fn new(subtypes: &'a [Subtype], policy: Policy) -> Self {
        let grammar = ClientGrammar { subtypes, round: Round::default(), chosen: None };
        Self::with_grammar(grammar, policy)
    }
}

impl Grammar for ClientGrammar<'_> {
    type Framing = FromServer;

    const PROTOCOL: Protocol = Protocol::VNC;
    const MAX_OUTPUT: usize = VERSION.len();

    fn reply(&mut self, _: Phase, message: &[u8]) -> Result<Reply, Error> {
        let round = self.round;
        self.round = round.next();
        match (round, message) {
            (Round::Version, _) if message.iter().eq(VERSION) => Ok(Reply::Yes),
            // Versions 3.3 and 3.7. Every other version counts as 3.3 (RFC 6143 §7.1.1).
            (Round::Version, _) => Ok(Reply::Never),
            (Round::SecurityType, [0, ..]) => Err(Error::Refused),
            (Round::SecurityType, [_, types @ ..]) if lists(types, VENCRYPT) => Ok(Reply::Yes),
            (Round::SecurityType, _) => Ok(Reply::Never),
            // The server's highest version. Version 0.1 has other subtypes.
            (Round::VeNCrypt, [0, 0 | 1]) => Err(Error::NotOffered),
            (Round::VeNCrypt, _) => Ok(Reply::Yes),
            (Round::Subtype, [0, _, list @ ..]) => self.choose(list),
            (Round::Answer, [1]) => Ok(Reply::Yes),
            (Round::Subtype, _) | (Round::Answer, [0]) => Err(Error::Refused),
            (Round::Answer, _) => Err(Error::UnexpectedReply),
        }
    }

    fn offers_upgrade(&self) -> bool {
        self.chosen.is_some()
    }

    fn asks_on(&self, phase: Phase) -> bool {
        phase == Phase::Capabilities && self.chosen.is_none()
    }

    fn request(&self, _: Phase, out: &mut Writer<'_>) {
        match (self.round, self.chosen) {
            (_, Some(subtype)) => out.put(&subtype.number().to_be_bytes()),
            (Round::VeNCrypt, _) => out.push(VENCRYPT),
            (Round::Subtype, _) => out.put(&VENCRYPT_VERSION),
            _ => out.put(VERSION),
        }
    }

    fn wait(&self, _: Phase) -> Duration {
        WAIT
    }

    fn in_words<'i>(&self, message: &'i [u8]) -> Option<Meaning<'i>> {
        // The round has ended, so `self.round` is already the next one.
        match (self.round, message) {
            (Round::VeNCrypt, [0, _, _, _, _, reason @ ..]) => {
                Some(Meaning::new("no security types").with_text(reason))
            }
            (Round::Answer, [1..=u8::MAX, ..]) => {
                Some(Meaning::new("VeNCrypt's version is refused"))
            }
            (Round::Answer, [0]) => Some(Meaning::new("the security subtype is refused")),
            _ => None,
        }
    }
}
