use core::time::Duration;

use super::{Handshake, MAX_PACKET, NEEDED, SslRequest};
use crate::client::{Grammar, Phase, Reply};
use crate::wire::{self, Kept, Packets, Writer};
use crate::{Error, Meaning, Policy, Protocol};

/// The grammar of a MySQL client up to the upgrade.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ClientGrammar {
    request: SslRequest,
    /// The server's first packet, after its header and the protocol version.
    greeting: Kept<MAX_PACKET>,
}

impl crate::Client<ClientGrammar> {
    /// A client at the start of a fresh connection, which introduces itself by `request`.
    #[must_use]
    pub fn new(request: SslRequest, policy: Policy) -> Self {
        Self::with_grammar(ClientGrammar { request, greeting: Kept::default() }, policy)
    }

    /// The server's handshake packet, once it has arrived.
    #[must_use]
    pub fn handshake(&self) -> Option<Handshake<'_>> {
        self.grammar().handshake()
    }

    /// How the client introduces itself to this server, and has to again inside TLS. It leaves out
    /// capabilities that the server does not have.
    #[must_use]
    pub fn request(&self) -> SslRequest {
        self.grammar().request()
    }
}

impl ClientGrammar {
    fn handshake(&self) -> Option<Handshake<'_>> {
        Handshake::read(self.greeting.as_bytes())
    }

    fn capabilities(&self) -> u32 {
        self.handshake().map_or(0, |handshake| handshake.capabilities)
    }

    fn request(&self) -> SslRequest {
        self.request.with(self.capabilities())
    }
}

/// A packet's header: the length of its payload, and its sequence number, which starts at 0.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Header(());

impl wire::Header for Header {
    const MAX_PACKET: usize = MAX_PACKET;

    fn packet_len(input: &[u8]) -> Result<Option<usize>, Error> {
        match input {
            [a, b, c, 0, ..] => {
                let payload = usize::try_from(u32::from_le_bytes([*a, *b, *c, 0]));
                Ok(Some(payload.unwrap_or(usize::MAX).saturating_add(4)))
            }
            [_, _, _, _, ..] => Err(Error::Syntax),
            _ => Ok(None),
        }
    }
}

impl Grammar for ClientGrammar {
    type Framing = Packets<Header>;

    const PROTOCOL: Protocol = Protocol::MYSQL;
    const MAX_OUTPUT: usize = 36;
    const HAS_GO_AHEAD: bool = false;

    fn reply(&mut self, _: Phase, packet: &[u8]) -> Result<Reply, Error> {
        match packet.get(4..) {
            Some([10, rest @ ..]) => {
                self.greeting.set(rest);
                self.handshake().ok_or(Error::Syntax)?;
                Ok(if self.offers_upgrade() { Reply::Yes } else { Reply::Never })
            }
            // An ERR packet: an error's number and its text.
            Some([0xff, _, _, ..]) => Ok(Reply::No),
            Some([_, _, ..]) => Err(Error::UnexpectedReply),
            _ => Err(Error::Syntax),
        }
    }

    fn offers_upgrade(&self) -> bool {
        self.capabilities() & NEEDED == NEEDED
    }

    fn request(&self, _: Phase, out: &mut Writer<'_>) {
        ClientGrammar::request(self).print(out);
    }

    fn wait(&self, _: Phase) -> Duration {
        Duration::from_secs(60)
    }

    fn in_words<'i>(&self, packet: &'i [u8]) -> Option<Meaning<'i>> {
        let Some([0xff, low, high, rest @ ..]) = packet.get(4..) else { return None };
        // An SQLSTATE precedes the text if the server knows that the client understands it.
        let text = match rest {
            [b'#', _, _, _, _, _, text @ ..] => text,
            text => text,
        };
        let number = u16::from_le_bytes([*low, *high]);
        Some(Meaning::new("error").with_number(number.into()).with_text(text))
    }
}
