use core::time::Duration;

use super::tpkt::Tpdu;
use super::{
    CONNECTION_CONFIRM, CONNECTION_REQUEST, DISCONNECT_REQUEST, FAILURE, MAX_CONFIRM, Protocols,
    REQUEST, RESPONSE, Security, Tpkt, WAIT,
};
use crate::client::{Grammar, Phase, Reply};
use crate::wire::{Packets, Writer};
use crate::{ArgumentError, Error, Meaning, Policy, Protocol};

/// The longest [`Cookie`], in bytes.
const MAX_COOKIE: usize = 64;

/// An identifier of the user for a load balancer, sent in plaintext: at most 64 bytes of printable ASCII.
///
/// ```
/// use starttls::Policy;
/// use starttls::rdp::{Client, Cookie, Protocols};
///
/// let cookie = Cookie::new("sensor").unwrap();
/// let client = Client::with_cookie(Protocols::SSL, cookie, Policy::Required);
/// # let _ = client;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Cookie<'a>(&'a str);

impl<'a> Cookie<'a> {
    /// Checks the identifier, without the `Cookie: mstshash=` before it. In a constant, the check happens
    /// at compile time.
    ///
    /// # Errors
    /// [`ArgumentError::Empty`], [`ArgumentError::TooLong`], [`ArgumentError::NotAscii`],
    /// [`ArgumentError::Forbidden`].
    pub const fn new(identifier: &'a str) -> Result<Self, ArgumentError> {
        let mut rest = match identifier.as_bytes() {
            [] => return Err(ArgumentError::Empty),
            octets if octets.len() > MAX_COOKIE => return Err(ArgumentError::TooLong),
            octets => octets,
        };
        while let [octet, tail @ ..] = rest {
            match octet {
                0x80.. => return Err(ArgumentError::NotAscii),
                0..b' ' | 0x7f => return Err(ArgumentError::Forbidden),
                _ => rest = tail,
            }
        }
        Ok(Self(identifier))
    }
}

/// The server's choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Chosen {
    /// The security protocol, which your own client has to repeat inside TLS.
    pub security: Security,
    /// The server's features (MS-RDPBCGR §2.2.1.2.1).
    pub flags: u8,
}

/// The grammar of an RDP client up to the upgrade.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ClientGrammar<'a> {
    protocols: Protocols,
    cookie: Option<Cookie<'a>>,
    chosen: Option<Chosen>,
}

impl crate::Client<ClientGrammar<'_>> {
    /// The server's choice, once it has arrived.
    #[must_use]
    pub const fn chosen(&self) -> Option<Chosen> {
        self.grammar().chosen
    }

    /// A client at the start of a fresh connection, which supports `protocols`.
    #[must_use]
    pub fn new(protocols: Protocols, policy: Policy) -> Self {
        Self::with_grammar(ClientGrammar { protocols, cookie: None, chosen: None }, policy)
    }
}

impl<'a> crate::Client<ClientGrammar<'a>> {
    /// Like [`new`](Self::new), with a cookie that identifies the user in plaintext.
    #[must_use]
    pub fn with_cookie(protocols: Protocols, cookie: Cookie<'a>, policy: Policy) -> Self {
        let grammar = ClientGrammar { protocols, cookie: Some(cookie), chosen: None };
        Self::with_grammar(grammar, policy)
    }
}

const COOKIE: &[u8] = b"Cookie: mstshash=";

/// The length of the negotiation request, alone and around a cookie.
const NEGOTIATION: usize = 8;
const MORE: usize = COOKIE.len() + 2 + NEGOTIATION;

impl Grammar for ClientGrammar<'_> {
    type Framing = Packets<Tpkt<MAX_CONFIRM>>;

    const PROTOCOL: Protocol = Protocol::RDP;
    const MAX_OUTPUT: usize = MAX_CONFIRM - NEGOTIATION + MORE + MAX_COOKIE;
    const FIRST: Phase = Phase::Upgrade;

    fn reply(&mut self, _: Phase, packet: &[u8]) -> Result<Reply, Error> {
        let tpdu = Tpdu::read(packet).ok_or(Error::Syntax)?;
        match (tpdu.code, tpdu.variable) {
            (CONNECTION_CONFIRM, [] | [RESPONSE, _, 8, 0, 0, 0, 0, 0]) => Ok(Reply::Never),
            (CONNECTION_CONFIRM, [RESPONSE, flags, 8, 0, bit, 0, 0, 0]) => {
                let mut asked =
                    Security::ALL.into_iter().filter(|one| self.protocols.contains(*one));
                let security = asked.find(|one| one.bit() == *bit).ok_or(Error::UnexpectedReply)?;
                self.chosen = Some(Chosen { security, flags: *flags });
                Ok(Reply::Yes)
            }
            // TLS is not allowed, or the server has no certificate (MS-RDPBCGR §2.2.1.2.2).
            (CONNECTION_CONFIRM, [FAILURE, _, 8, 0, 2 | 3, 0, 0, 0]) => Err(Error::NotOffered),
            (CONNECTION_CONFIRM, [FAILURE, _, 8, 0, 1..=6, 0, 0, 0]) => Err(Error::Refused),
            (CONNECTION_CONFIRM, [RESPONSE | FAILURE, _, 8, 0, _, _, _, _]) => {
                Err(Error::UnexpectedReply)
            }
            (DISCONNECT_REQUEST, _) => Ok(Reply::Closing),
            _ => Err(Error::Syntax),
        }
    }

    fn offers_upgrade(&self) -> bool {
        true
    }

    fn request(&self, _: Phase, out: &mut Writer<'_>) {
        let cookie = self.cookie.map(|cookie| cookie.0.as_bytes());
        let length = cookie.map_or(NEGOTIATION, |cookie| cookie.len().saturating_add(MORE));
        // The length is at most 91.
        let length = u8::try_from(length).unwrap_or_default();
        Tpdu::put(CONNECTION_REQUEST, [0; 2], [0; 2], length, out);
        if let Some(cookie) = cookie {
            out.put(COOKIE);
            out.put(cookie);
            out.put(b"\r\n");
        }
        out.put(&[REQUEST, 0, 8, 0, self.protocols.0, 0, 0, 0]);
    }

    fn wait(&self, _: Phase) -> Duration {
        WAIT
    }

    fn in_words<'i>(&self, packet: &'i [u8]) -> Option<Meaning<'i>> {
        let Tpdu { code: CONNECTION_CONFIRM, variable: [FAILURE, _, 8, 0, code, 0, 0, 0], .. } =
            Tpdu::read(packet)?
        else {
            return None;
        };
        // MS-RDPBCGR §2.2.1.2.2.
        let name = match code {
            1 => "SSL_REQUIRED_BY_SERVER",
            2 => "SSL_NOT_ALLOWED_BY_SERVER",
            3 => "SSL_CERT_NOT_ON_SERVER",
            4 => "INCONSISTENT_FLAGS",
            5 => "HYBRID_REQUIRED_BY_SERVER",
            6 => "SSL_WITH_USER_AUTH_REQUIRED_BY_SERVER",
            _ => return None,
        };
        Some(Meaning::new(name).with_number(u32::from(*code)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Machine, Step};

    #[test]
    fn cookies() {
        let long = "x".repeat(MAX_COOKIE);
        assert!(Cookie::new(&long).is_ok());
        for (bad, error) in [
            ("", ArgumentError::Empty),
            ("a\r\nb", ArgumentError::Forbidden),
            ("a\0", ArgumentError::Forbidden),
            ("a\x7f", ArgumentError::Forbidden),
            ("\u{e4}", ArgumentError::NotAscii),
            (&(long.clone() + "x"), ArgumentError::TooLong),
        ] {
            assert_eq!(Cookie::new(bad), Err(error), "{bad:?}");
        }
    }

    #[test]
    fn requests() {
        let mut output = [0; 256];
        let mut request = |mut client: crate::Client<ClientGrammar<'_>>| {
            let written = client.step(&mut &b""[..], &mut output);
            let Ok(Step::Write(length)) = written else { panic!("{written:?}") };
            Tpdu::read(&output[..length]).map(|tpdu| (tpdu.code, tpdu.variable.to_vec()))
        };
        let negotiation = b"\x01\0\x08\0\x0b\0\0\0";
        // HYBRID_EX asks for CredSSP, too.
        let protocols = Protocols::SSL.with(Protocols::HYBRID_EX);
        let plain = request(crate::rdp::Client::new(protocols, Policy::Required));
        assert_eq!(plain, Some((CONNECTION_REQUEST, negotiation.to_vec())));
        for name in ["a", "sensor", &"x".repeat(MAX_COOKIE)] {
            let cookie = Cookie::new(name).expect("a cookie");
            let client = crate::rdp::Client::with_cookie(protocols, cookie, Policy::Required);
            let expected = [COOKIE, name.as_bytes(), b"\r\n", negotiation].concat();
            assert_eq!(request(client), Some((CONNECTION_REQUEST, expected)));
        }
    }

    #[test]
    fn the_choice_is_reported() {
        let confirm = b"\x03\0\0\x13\x0e\xd0\0\0\x12\x34\0\x02\x1f\x08\0\x02\0\0\0";
        let protocols = Protocols::SSL.with(Protocols::HYBRID);
        let mut client = crate::rdp::Client::new(protocols, Policy::Required);
        let mut output = [0; MAX_CONFIRM];
        assert!(client.step(&mut &b""[..], &mut output).is_ok());
        assert_eq!(client.chosen(), None);
        assert!(client.step(&mut &confirm[..], &mut output).is_ok());
        let chosen = Chosen { security: Security::Hybrid, flags: 0x1f };
        assert_eq!(client.chosen(), Some(chosen));
    }
}
