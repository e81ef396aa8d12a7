use core::time::Duration;

use super::tpkt::Tpdu;
use super::{
    CONNECTION_CONFIRM, CONNECTION_REQUEST, CORRELATION, FAILURE, MAX_CONFIRM, MAX_REQUEST,
    REQUEST, RESPONSE, Security, Tpkt, WAIT,
};
use crate::Protocol;
use crate::server::{Answer, Command, Config, Grammar, Said};
use crate::settings::settings;
use crate::wire::{Packets, Writer};

settings! {
    /// The protocols and flags that a server offers.
    ///
    /// ```
    /// use starttls::rdp::{Offer, Security};
    ///
    /// let offer = Offer::new(&[Security::Hybrid, Security::Ssl]);
    /// assert_eq!(offer.flags(), 0);
    /// ```
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Offer<'a> {
        /// The security protocols, in order of preference.
        security, with_security: &'a [Security],
        /// The features of your own server inside TLS (`RDP_NEG_RSP`, MS-RDPBCGR §2.2.1.2.1).
        flags, with_flags: u8,
    }
}

impl<'a> Offer<'a> {
    /// An offer of these security protocols, in order of preference, without flags.
    #[must_use]
    pub const fn new(security: &'a [Security]) -> Self {
        Self { security, flags: 0 }
    }
}

/// The result of the negotiation, which your own server has to repeat inside TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Negotiated {
    /// The chosen protocol; `None` if both sides share none.
    pub security: Option<Security>,
    /// The requested protocols, as bits; 0 for a client without negotiation.
    pub requested: u32,
    /// The client's flags (`RDP_NEG_REQ`, MS-RDPBCGR §2.2.1.1.1).
    pub flags: u8,
}

/// The grammar of an RDP server up to the upgrade.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ServerGrammar<'a> {
    offer: Offer<'a>,
    negotiated: Option<Negotiated>,
    /// The client's reference, which the confirm repeats.
    reference: [u8; 2],
}

impl ServerGrammar<'_> {
    fn negotiate(&mut self, packet: &[u8]) -> Option<Negotiated> {
        let tpdu = Tpdu::read(packet).filter(|tpdu| tpdu.code == CONNECTION_REQUEST)?;
        self.reference = tpdu.source;
        let (flags, requested) = request(tpdu.variable)?;
        let can = |one: &Security| requested & u32::from(one.bit()) != 0;
        let security = self.offer.security.iter().copied().find(can);
        Some(Negotiated { security, requested, flags })
    }

    /// The failure code for the protocol that a client lacks.
    fn required(&self) -> u8 {
        let only_hybrid = self
            .offer
            .security
            .iter()
            .all(|one| matches!(one, Security::Hybrid | Security::HybridEx));
        if only_hybrid { HYBRID_REQUIRED } else { SSL_REQUIRED }
    }
}

const SSL_REQUIRED: u8 = 1;
const NO_CERTIFICATE: u8 = 3;
const HYBRID_REQUIRED: u8 = 5;

/// Parses the flags and protocols of a request, after its cookie or routing token.
///
/// ```text
/// [ token CRLF ] [ RDP_NEG_REQ [ RDP_NEG_CORRELATION_INFO ] ]
/// ```
fn request(variable: &[u8]) -> Option<(u8, u32)> {
    let negotiation = match variable {
        [] | [REQUEST, ..] => variable,
        _ => {
            let end = variable.windows(2).position(|pair| pair == b"\r\n")?;
            variable.get(end.checked_add(2)?..)?
        }
    };
    /// `CORRELATION_INFO_PRESENT`
    const CORRELATED: u8 = 8;
    match negotiation {
        [] => Some((0, 0)),
        [REQUEST, flags, 8, 0, a, b, c, d, rest @ ..] => {
            let is_whole = match rest {
                [] => flags & CORRELATED == 0,
                [CORRELATION, _, 36, 0, rest @ ..] => flags & CORRELATED != 0 && rest.len() == 32,
                _ => false,
            };
            is_whole.then_some((*flags, u32::from_le_bytes([*a, *b, *c, *d])))
        }
        _ => None,
    }
}

impl crate::Server<ServerGrammar<'_>> {
    /// The result of the negotiation, once the client's request is read.
    #[must_use]
    pub const fn negotiated(&self) -> Option<Negotiated> {
        self.grammar().negotiated
    }
}

impl<'a> crate::Server<ServerGrammar<'a>> {
    /// A server at the start of a fresh connection.
    #[must_use]
    pub fn new(offer: Offer<'a>, config: Config) -> Self {
        Self::with_grammar(ServerGrammar { offer, negotiated: None, reference: [0; 2] }, config)
    }
}

/// The replies of an RDP server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Reply {
    /// No reply: the connection ends.
    Nothing,
}

impl Grammar for ServerGrammar<'_> {
    type Framing = Packets<Tpkt<MAX_REQUEST>>;
    type Reply = Reply;

    const PROTOCOL: Protocol = Protocol::RDP;
    const MAX_OUTPUT: usize = MAX_CONFIRM;
    const GREETS: bool = false;
    const WAIT: Duration = WAIT;

    fn command(&mut self, packet: &[u8]) -> Command<Reply> {
        self.negotiated = self.negotiate(packet);
        match self.negotiated {
            Some(Negotiated { security: Some(_), .. }) => Command::Upgrade,
            Some(_) => Command::SkipUpgrade,
            None => Command::Fault(Reply::Nothing),
        }
    }

    fn print(&self, reply: Said<Reply>, _: bool, out: &mut Writer<'_>) {
        let chosen = self.negotiated.and_then(|negotiated| negotiated.security);
        let negotiation = match (reply, chosen) {
            (Said::Engine(Answer::GoAhead), Some(security)) => {
                [RESPONSE, self.offer.flags, 8, 0, security.bit(), 0, 0, 0]
            }
            (Said::Engine(Answer::Unavailable), _) => [FAILURE, 0, 8, 0, NO_CERTIFICATE, 0, 0, 0],
            (Said::Engine(Answer::TlsRequired), _) => [FAILURE, 0, 8, 0, self.required(), 0, 0, 0],
            _ => return,
        };
        Tpdu::put(CONNECTION_CONFIRM, self.reference, [0; 2], 8, out);
        out.put(&negotiation);
    }

    fn ends(&self, _: Said<Reply>) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Machine, Step};

    /// The server's reply, and the result of the negotiation.
    fn answered(security: &[Security], packet: &[u8]) -> (Option<u8>, Option<Negotiated>) {
        let offer = Offer { security, flags: 0 };
        let mut server = crate::rdp::Server::new(offer, Config::default());
        let (mut input, mut output) = (packet, [0; MAX_CONFIRM]);
        loop {
            match server.step(&mut input, &mut output).expect("no error") {
                Step::Write(_) => return (Some(output[15]), server.negotiated()),
                Step::Event(crate::server::Event::UpgradeRequested) => {
                    server.accept().expect("asked");
                }
                Step::Event(crate::server::Event::Quit) => {
                    return (None, server.negotiated());
                }
                Step::Event(_) => {}
                Step::Read => panic!("a whole packet"),
            }
        }
    }

    #[test]
    fn the_servers_order_decides() {
        use Security::{Hybrid, HybridEx, RdsTls, Ssl};
        let packet = |bits| [3, 0, 0, 19, 14, 0xe0, 0, 0, 0, 0, 0, 1, 5, 8, 0, bits, 0, 0, 0];
        let failure = |code| (Some(code), None);
        type Row<'r> = (&'r [Security], u8, (Option<u8>, Option<Security>));
        let rows: [Row<'_>; 10] = [
            (&[Ssl], 1, (Some(1), Some(Ssl))),
            (&[Ssl, Hybrid], 3, (Some(1), Some(Ssl))),
            (&[Hybrid, Ssl], 3, (Some(2), Some(Hybrid))),
            (&[HybridEx, Hybrid, Ssl], 11, (Some(8), Some(HybridEx))),
            (&[RdsTls, Ssl], 5, (Some(4), Some(RdsTls))),
            (&[Ssl], 0, failure(SSL_REQUIRED)),
            (&[Ssl, Hybrid], 4, failure(SSL_REQUIRED)),
            (&[RdsTls], 1, failure(SSL_REQUIRED)),
            (&[Hybrid], 1, failure(HYBRID_REQUIRED)),
            (&[HybridEx, Hybrid], 1, failure(HYBRID_REQUIRED)),
        ];
        for (security, bits, (answer, chosen)) in rows {
            let negotiated = Negotiated { security: chosen, requested: bits.into(), flags: 5 };
            let expected = (answer, Some(negotiated));
            assert_eq!(answered(security, &packet(bits)), expected, "{security:?}, {bits}");
        }
        assert_eq!(answered(&[Ssl], &[3, 0, 0, 11, 6, 0xd0, 0, 0, 0, 0, 0]), (None, None));
    }
}
