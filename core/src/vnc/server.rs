use core::time::Duration;

use super::{FromClient, Subtype, VENCRYPT, VENCRYPT_VERSION, VERSION, WAIT, lists};
use crate::server::{Answer, Command, Config, Grammar, Said};
use crate::settings::settings;
use crate::wire::Writer;
use crate::{ArgumentError, Policy, Protocol};

/// The maximum number of listed subtypes.
const MAX_SUBTYPES: usize = 4;

/// The maximum number of listed security types without TLS.
const MAX_TYPES: usize = 16;

/// The reason for refused clients, with its length before it.
const REASON: &[u8] = b"\0\0\0\x1aRFB 3.8 and TLS are needed";

/// Security types without TLS: at most 16, except 0, 18 (anonymous TLS) and 19 (VeNCrypt itself).
///
/// ```
/// use starttls::{ArgumentError, vnc::SecurityTypes};
///
/// assert!(SecurityTypes::new(&[2, 1]).is_ok());
/// assert_eq!(SecurityTypes::new(&[18]), Err(ArgumentError::Forbidden));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SecurityTypes<'a>(&'a [u8]);

impl<'a> SecurityTypes<'a> {
    /// Checks a list. In a constant, the check happens at compile time.
    ///
    /// # Errors
    /// [`ArgumentError::TooLong`], [`ArgumentError::Forbidden`].
    pub const fn new(types: &'a [u8]) -> Result<Self, ArgumentError> {
        if types.len() > MAX_TYPES {
            return Err(ArgumentError::TooLong);
        }
        let mut rest = types;
        while let [kind, tail @ ..] = rest {
            if matches!(*kind, 0 | 18 | VENCRYPT) {
                return Err(ArgumentError::Forbidden);
            }
            rest = tail;
        }
        Ok(Self(types))
    }
}

settings! {
    /// The subtypes and security types that a server offers.
    ///
    /// ```
    /// use starttls::vnc::{Offer, SecurityTypes, Subtype};
    ///
    /// let plaintext = SecurityTypes::new(&[2]).unwrap();
    /// let offer = Offer::new(&[Subtype::X509Plain]).with_plaintext(plaintext);
    /// assert_eq!(offer.subtypes(), [Subtype::X509Plain]);
    /// ```
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Offer<'a> {
        /// The subtypes with TLS, in order of preference. Only the first four are listed.
        subtypes, with_subtypes: &'a [Subtype],
        /// The security types without TLS. They are listed only under [`Policy::Opportunistic`].
        plaintext, with_plaintext: SecurityTypes<'a>,
    }
}

/// The grammar of a VNC server up to the upgrade.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ServerGrammar<'a> {
    /// Empty if TLS is not available.
    subtypes: &'a [Subtype],
    /// Empty if TLS is required.
    plaintext: &'a [u8],
    refusal: Refusal,
    chosen: Option<Subtype>,
}

impl<'a> Offer<'a> {
    /// An offer of these subtypes, in order of preference, and of no plaintext.
    #[must_use]
    pub const fn new(subtypes: &'a [Subtype]) -> Self {
        Self { subtypes, plaintext: SecurityTypes(&[]) }
    }
}

impl ServerGrammar<'_> {
    fn has_types(&self) -> bool {
        !(self.subtypes.is_empty() && self.plaintext.is_empty())
    }
}

impl crate::Server<ServerGrammar<'_>> {
    /// The client's choice, once it has arrived. It tells how your own server continues inside TLS.
    #[must_use]
    pub const fn subtype(&self) -> Option<Subtype> {
        self.grammar().chosen
    }
}

impl<'a> crate::Server<ServerGrammar<'a>> {
    /// A server at the start of a fresh connection.
    #[must_use]
    pub fn new(offer: Offer<'a>, config: Config) -> Self {
        let subtypes = offer.subtypes.get(..MAX_SUBTYPES).unwrap_or(offer.subtypes);
        let grammar = ServerGrammar {
            subtypes: if config.available { subtypes } else { &[] },
            plaintext: match config.policy {
                Policy::Required => &[],
                Policy::Opportunistic => offer.plaintext.0,
            },
            refusal: Refusal::Nothing,
            chosen: None,
        };
        Self::with_grammar(grammar, config)
    }
}

/// The form of a refusal at this point of the dialogue.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum Refusal {
    /// The protocol has no message for it.
    Nothing,
    /// For version 3.3 (RFC 6143 appendix A.1.1).
    Word,
    /// For version 3.7.
    NoTypes,
    Version,
    Subtype,
}

/// The replies of a VNC server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Reply {
    /// The security types, or the reason why there are none.
    SecurityTypes,
    /// The version of VeNCrypt.
    VeNCrypt,
    /// Its subtypes.
    Subtypes,
    /// The end of the connection.
    Refusal,
}

/// Prints a count, which always fits into a byte.
fn put_count(count: usize, out: &mut Writer<'_>) {
    out.push(u8::try_from(count).unwrap_or_default());
}

impl Grammar for ServerGrammar<'_> {
    type Framing = FromClient;
    type Reply = Reply;

    const PROTOCOL: Protocol = Protocol::VNC;
    const MAX_OUTPUT: usize = 4 + REASON.len();
    const WAIT: Duration = WAIT;

    fn command(&mut self, message: &[u8]) -> Command<Reply> {
        match message {
            [VENCRYPT] if !self.subtypes.is_empty() => {
                self.refusal = Refusal::Version;
                Command::Harmless(Reply::VeNCrypt)
            }
            [kind] if lists(self.plaintext, *kind) => Command::SkipUpgrade,
            [0, 2] => {
                self.refusal = Refusal::Subtype;
                Command::Harmless(Reply::Subtypes)
            }
            [a, b, c, d] => {
                let number = u32::from_be_bytes([*a, *b, *c, *d]);
                self.chosen = self.subtypes.iter().copied().find(|one| one.number() == number);
                match self.chosen {
                    Some(_) => Command::Upgrade,
                    None => Command::Fault(Reply::Refusal),
                }
            }
            _ if message == VERSION => Command::Harmless(Reply::SecurityTypes),
            [] | [_] | [_, _] => Command::Fault(Reply::Refusal),
            _ => {
                let is_3_7 = message == b"RFB 003.007\n";
                self.refusal = if is_3_7 { Refusal::NoTypes } else { Refusal::Word };
                Command::Fault(Reply::Refusal)
            }
        }
    }

    fn print(&self, reply: Said<Reply>, _: bool, out: &mut Writer<'_>) {
        match (reply, self.refusal) {
            (Said::Engine(Answer::Greeting), _) => out.put(VERSION),
            (Said::Engine(Answer::GoAhead), _) => out.push(1),
            (Said::Grammar(Reply::SecurityTypes), _) if self.has_types() => {
                let with_tls = !self.subtypes.is_empty();
                put_count(self.plaintext.len().saturating_add(with_tls.into()), out);
                if with_tls {
                    out.push(VENCRYPT);
                }
                out.put(self.plaintext);
            }
            (Said::Grammar(Reply::VeNCrypt), _) => out.put(&VENCRYPT_VERSION),
            (Said::Grammar(Reply::Subtypes), _) => {
                out.push(0);
                put_count(self.subtypes.len(), out);
                for subtype in self.subtypes {
                    out.put(&subtype.number().to_be_bytes());
                }
            }
            (Said::Grammar(Reply::SecurityTypes), _) | (_, Refusal::NoTypes) => {
                out.push(0);
                out.put(REASON);
            }
            (_, Refusal::Word) => {
                out.put(&[0; 4]);
                out.put(REASON);
            }
            (_, Refusal::Version) => out.push(0xff),
            (_, Refusal::Subtype) => out.push(0),
            (_, Refusal::Nothing) => {}
        }
    }

    fn ends(&self, reply: Said<Reply>) -> bool {
        match reply {
            Said::Grammar(Reply::SecurityTypes) => !self.has_types(),
            Said::Engine(Answer::Greeting)
            | Said::Grammar(Reply::VeNCrypt)
            | Said::Grammar(Reply::Subtypes) => false,
            Said::Engine(_) | Said::Grammar(Reply::Refusal) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Machine;

    #[test]
    fn the_reason_has_its_length() {
        assert_eq!(usize::from(REASON[3]), REASON.len() - 4);
    }

    #[test]
    fn types_without_tls() {
        assert!(SecurityTypes::new(&[1, 2, 5, 16]).is_ok());
        assert!(SecurityTypes::new(&[1; 16]).is_ok());
        assert_eq!(SecurityTypes::new(&[1; 17]), Err(ArgumentError::TooLong));
        for bad in [0, 18, 19] {
            assert_eq!(SecurityTypes::new(&[1, bad]), Err(ArgumentError::Forbidden));
        }
    }

    #[test]
    fn listed_types_and_subtypes() {
        const FOUR: [Subtype; 4] =
            [Subtype::X509Sasl, Subtype::X509Plain, Subtype::X509Vnc, Subtype::X509None];
        let all = [&FOUR[..], &FOUR].concat();
        for (subtypes, types, expected) in [
            (&all[..], &[2, 1][..], &[3, 19, 2, 1][..]),
            (&FOUR[..1], &[], &[1, 19]),
            (&[], &[2], &[1, 2]),
            (&all, &[9; 16], &[17, 19, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9]),
        ] {
            let plaintext = SecurityTypes::new(types).expect("types");
            let config = Config { policy: Policy::Opportunistic, ..Config::default() };
            let server = crate::vnc::Server::new(Offer { subtypes, plaintext }, config);
            let mut output = [0; 64];
            let mut out = Writer::new(&mut output);
            server.grammar().print(Said::Grammar(Reply::SecurityTypes), true, &mut out);
            let listed = out.finish().expect("room enough");
            assert_eq!(&output[..listed], expected);
            let mut out = Writer::new(&mut output);
            server.grammar().print(Said::Grammar(Reply::Subtypes), true, &mut out);
            assert_eq!(out.len(), 2 + 4 * subtypes.len().min(MAX_SUBTYPES));
        }
    }

    #[test]
    fn the_choice_is_reported() {
        let offer = Offer::new(&[Subtype::X509Plain]);
        let mut server = crate::vnc::Server::new(offer, Config::default());
        let mut input = &b"RFB 003.008\n\x13\x00\x02\x00\x00\x01\x06"[..];
        let mut output = [0; 64];
        while !input.is_empty() {
            assert_eq!(server.subtype(), None);
            assert!(server.step(&mut input, &mut output).is_ok());
        }
        assert_eq!(server.subtype(), Some(Subtype::X509Plain));
    }
}
