use core::time::Duration;

use super::message::{
    EXTENDED_REQUEST, EXTENDED_RESPONSE, Envelope, Message, NOTICE_OF_DISCONNECTION, REQUEST_NAME,
    Response, START_TLS,
};
use super::result;
use crate::client::{Grammar, Phase, Reply};
use crate::wire::{Packets, Writer};
use crate::{Error, Meaning, Policy, Protocol};

/// The grammar of an LDAP client up to the upgrade.
#[derive(Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ClientGrammar(());

impl crate::Client<ClientGrammar> {
    /// A client at the start of a fresh connection. It uses the messageID 1; your own client has to
    /// continue with another one.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self::with_grammar(ClientGrammar::default(), policy)
    }
}

/// An extended request with the messageID 1 and no requestValue, up to its OID.
const REQUEST: [u8; 9] = [0x30, 29, 0x02, 1, 1, EXTENDED_REQUEST, 24, REQUEST_NAME, 22];

impl Grammar for ClientGrammar {
    type Framing = Packets<Envelope>;

    const PROTOCOL: Protocol = Protocol::LDAP;
    const MAX_OUTPUT: usize = REQUEST.len() + START_TLS.len();
    const FIRST: Phase = Phase::Upgrade;

    fn reply(&mut self, _: Phase, frame: &[u8]) -> Result<Reply, Error> {
        let message = Message::parse(frame).ok_or(Error::Syntax)?;
        if message.op != EXTENDED_RESPONSE {
            return Err(Error::UnexpectedReply);
        }
        let response = Response::parse(message.body).ok_or(Error::Syntax)?;
        match (message.id, response.name, response.value) {
            (0, Some(NOTICE_OF_DISCONNECTION), _) => Ok(Reply::Closing),
            // ApacheDS sends an empty responseValue.
            (1, None | Some(START_TLS), None | Some([])) => match response.code {
                0 if response.refers => Err(Error::UnexpectedReply),
                0 => Ok(Reply::Yes),
                _ => Ok(Reply::No),
            },
            _ => Err(Error::UnexpectedReply),
        }
    }

    fn offers_upgrade(&self) -> bool {
        true
    }

    fn request(&self, _: Phase, out: &mut Writer<'_>) {
        out.put(&REQUEST);
        out.put(START_TLS);
    }

    fn wait(&self, _: Phase) -> Duration {
        Duration::from_secs(60)
    }

    fn in_words<'i>(&self, frame: &'i [u8]) -> Option<Meaning<'i>> {
        let message = Message::parse(frame).filter(|message| message.op == EXTENDED_RESPONSE)?;
        let Response { code, diagnostic, .. } = Response::parse(message.body)?;
        let number = u32::try_from(code).ok()?;
        Some(Meaning::new(result::name(code)).with_number(number).with_text(diagnostic))
    }
}
