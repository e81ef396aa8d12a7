use core::time::Duration;

use super::{ACK, Flags, IHAVEOPT, MAX_TEXT, NBDMAGIC, REPLY, STARTTLS, begins, number, sum};
use crate::client::{Grammar, Phase, Reply};
use crate::wire::{self, Packets, Writer};
use crate::{Error, Meaning, Policy, Protocol};

/// The grammar of an NBD client up to the upgrade.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ClientGrammar {
    flags: Flags,
    offered: Flags,
}

impl crate::Client<ClientGrammar> {
    /// A client at the start of a fresh connection, which asks for these flags.
    #[must_use]
    pub fn new(flags: Flags, policy: Policy) -> Self {
        Self::with_grammar(ClientGrammar { flags, offered: Flags::default() }, policy)
    }

    /// The flags that the client sends and both sides follow, also inside TLS: those that it asks for and
    /// the server offers.
    #[must_use]
    pub const fn flags(&self) -> Flags {
        self.grammar().flags()
    }
}

impl ClientGrammar {
    const fn flags(&self) -> Flags {
        Flags(self.flags.with(Flags::FIXED_NEWSTYLE).0 & self.offered.0)
    }
}

/// The greeting, also of the old style, or a reply to an option. The first byte tells which.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Header(());

/// The bit that all error replies have.
const ERROR: u32 = 1 << 31;

/// The length of the greeting up to the magic that tells its style.
const STYLE: usize = 16;

/// The magic of the old style, and the length of its greeting: size, flags, zeros.
const CLISERV: &[u8] = b"\x00\x00\x42\x02\x81\x86\x12\x53";
const OLDSTYLE: usize = 152;

impl wire::Header for Header {
    const MAX_PACKET: usize = 20 + MAX_TEXT;

    fn packet_len(input: &[u8]) -> Result<Option<usize>, Error> {
        let is_reply = input.first() == Some(&0);
        if !begins(input, if is_reply { REPLY } else { NBDMAGIC }) {
            return Err(Error::Syntax);
        }
        let rest = input.get(STYLE..);
        if is_reply {
            return Ok(rest.and_then(number).map(|data| sum(20, data)));
        }
        let style = input.get(NBDMAGIC.len()..).unwrap_or_default();
        let length = match () {
            () if begins(style, IHAVEOPT) => 18,
            () if begins(style, CLISERV) => OLDSTYLE,
            () => return Err(Error::Syntax),
        };
        // The style is known only once its magic is complete.
        Ok(rest.map(|_| length))
    }
}

impl Grammar for ClientGrammar {
    type Framing = Packets<Header>;

    const PROTOCOL: Protocol = Protocol::NBD;
    const MAX_OUTPUT: usize = 20;

    fn reply(&mut self, phase: Phase, packet: &[u8]) -> Result<Reply, Error> {
        const ERR_SHUTDOWN: u32 = ERROR | 7;
        if phase == Phase::Greeting {
            return match (packet, packet.get(STYLE..)) {
                (_, Some([high, low])) => {
                    self.offered = Flags(u16::from_be_bytes([*high, *low]).into());
                    Ok(if self.offers_upgrade() { Reply::Yes } else { Reply::Never })
                }
                // The old style.
                ([b'N', ..], _) => Ok(Reply::Never),
                _ => Err(Error::UnexpectedReply),
            };
        }
        let field = |at: usize| packet.get(at..).and_then(number);
        match (field(8), field(12), field(16)) {
            (Some(STARTTLS), Some(ACK), Some(0)) => Ok(Reply::Yes),
            (Some(STARTTLS), Some(ACK), _) => Err(Error::Syntax),
            (Some(STARTTLS), Some(ERR_SHUTDOWN), _) => Ok(Reply::Closing),
            (Some(STARTTLS), Some(ERROR..), _) => Ok(Reply::No),
            _ => Err(Error::UnexpectedReply),
        }
    }

    fn offers_upgrade(&self) -> bool {
        self.offered.has(Flags::FIXED_NEWSTYLE)
    }

    fn request(&self, _: Phase, out: &mut Writer<'_>) {
        out.put(&self.flags().0.to_be_bytes());
        out.put(IHAVEOPT);
        out.put(&STARTTLS.to_be_bytes());
        out.put(&[0; 4]);
    }

    fn wait(&self, _: Phase) -> Duration {
        Duration::from_secs(60)
    }

    fn in_words<'i>(&self, packet: &'i [u8]) -> Option<Meaning<'i>> {
        if !packet.starts_with(REPLY) {
            return None;
        }
        let error = packet.get(12..).and_then(number).filter(|kind| kind & ERROR != 0)?;
        let name = match error ^ ERROR {
            1 => "NBD_REP_ERR_UNSUP",
            2 => "NBD_REP_ERR_POLICY",
            3 => "NBD_REP_ERR_INVALID",
            4 => "NBD_REP_ERR_PLATFORM",
            5 => "NBD_REP_ERR_TLS_REQD",
            6 => "NBD_REP_ERR_UNKNOWN",
            7 => "NBD_REP_ERR_SHUTDOWN",
            8 => "NBD_REP_ERR_BLOCK_SIZE_REQD",
            9 => "NBD_REP_ERR_TOO_BIG",
            10 => "NBD_REP_ERR_EXT_HEADER_REQD",
            _ => "an unknown error",
        };
        Some(Meaning::new(name).with_text(packet.get(20..).unwrap_or_default()))
    }
}
