use core::time::Duration;

use super::{ACK, Flags, IHAVEOPT, MAX_TEXT, NBDMAGIC, REPLY, STARTTLS, begins, number, sum};
use crate::client::{Grammar, Phase, Reply};
use crate::wire::{self, Packets, Writer};
use crate::{Error, Policy, Protocol};

/// The NBD client's grammar up to the upgrade.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ClientGrammar {
    flags: Flags,
    offered: Flags,
}

impl crate::Client<ClientGrammar> {
    /// A client at the start of a fresh connection, which would like to have these flags.
    #[must_use]
    pub fn new(flags: Flags, policy: Policy) -> Self {
        Self::with_grammar(ClientGrammar { flags, offered: Flags::default() }, policy)
    }

    /// What the client says and goes by, inside TLS, too: what it would like to have and the server
    /// offers.
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

/// The greeting, also of the old style, or a reply to an option: which it is, says its first octet.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Header(());

/// The greeting up to what tells its style, and the whole of it in the old one: size, flags, zeros.
const STYLE: usize = 16;
const OLDSTYLE: usize = 152;

impl wire::Header for Header {
    const MAX_PACKET: usize = 20 + MAX_TEXT;

    fn packet_len(input: &[u8]) -> Result<Option<usize>, Error> {
        let is_reply = input.first() == Some(&0);
        if !begins(input, if is_reply { REPLY } else { NBDMAGIC }) {
            return Err(Error::Syntax);
        }
        let rest = input.get(STYLE..);
        Ok(if is_reply {
            rest.and_then(number).map(|data| sum(20, data))
        } else {
            // What is said of the style came with it.
            rest.map(|_| {
                if begins(input.get(8..).unwrap_or_default(), IHAVEOPT) { 18 } else { OLDSTYLE }
            })
        })
    }
}

impl Grammar for ClientGrammar {
    type Framing = Packets<Header>;

    const PROTOCOL: Protocol = Protocol::NBD;
    const MAX_OUTPUT: usize = 20;

    fn reply(&mut self, phase: Phase, packet: &[u8]) -> Result<Reply, Error> {
        const ERROR: u32 = 1 << 31;
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
}
