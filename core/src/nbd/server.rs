use core::time::Duration;

use super::{ACK, Flags, IHAVEOPT, MAX_OPTION, NBDMAGIC, REPLY, STARTTLS, begins, number, sum};
use crate::server::{Answer, Command, Config, Grammar, Said};
use crate::wire::{Framing, Writer};
use crate::{Error, Protocol};

/// The grammar of an NBD server up to the upgrade.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ServerGrammar {
    offered: Flags,
    flags: Option<Flags>,
    /// The option to answer.
    option: u32,
}

impl crate::Server<ServerGrammar> {
    /// A server at the start of a fresh connection, which offers these flags.
    #[must_use]
    pub fn new(flags: Flags, config: Config) -> Self {
        let offered = flags.with(Flags::FIXED_NEWSTYLE);
        Self::with_grammar(ServerGrammar { offered, flags: None, option: 0 }, config)
    }

    /// The client's flags, once it has sent them. They hold inside TLS, too.
    #[must_use]
    pub const fn flags(&self) -> Option<Flags> {
        self.grammar().flags
    }
}

/// The replies of an NBD server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Reply {
    /// The reply to a STARTTLS with data.
    Invalid,
    /// The reply to STARTTLS of a client without fixed newstyle.
    Policy,
}

/// The client's flags first, then its options with their data.
#[derive(Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Haggling {
    begun: bool,
}

impl Framing for Haggling {
    const MAX_FRAME: usize = 16 + MAX_OPTION;

    fn next<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<&'i [u8]>, Error> {
        let mut length = 4;
        if self.begun {
            if !begins(input, IHAVEOPT) {
                return Err(Error::Syntax);
            }
            let Some(data) = input.get(12..).and_then(number) else { return Ok(None) };
            length = sum(16, data);
            if length > Self::MAX_FRAME {
                return Err(Error::FrameTooLong);
            }
        }
        let frame = input.split_off(..length);
        self.begun |= frame.is_some();
        Ok(frame)
    }
}

const EXPORT_NAME: u32 = 1;
const ABORT: u32 = 2;

const ERR_POLICY: u32 = 1 << 31 | 2;
const ERR_INVALID: u32 = 1 << 31 | 3;
const ERR_TLS_REQD: u32 = 1 << 31 | 5;

impl ServerGrammar {
    /// Whether both sides have fixed newstyle. Without it there are neither TLS nor replies.
    fn is_fixed(&self) -> bool {
        self.flags.is_some_and(|flags| flags.has(Flags::FIXED_NEWSTYLE))
    }
}

impl Grammar for ServerGrammar {
    type Framing = Haggling;
    type Reply = Reply;

    const PROTOCOL: Protocol = Protocol::NBD;
    const MAX_OUTPUT: usize = 20;
    const WAIT: Duration = Duration::from_secs(60);

    fn command(&mut self, packet: &[u8]) -> Command<Reply> {
        let Some(option) = packet.get(8..).and_then(number) else {
            let flags = number(packet).map(Flags).unwrap_or_default();
            if !self.offered.has(flags) {
                return Command::Malformed;
            }
            self.flags = Some(flags);
            return Command::Ignored;
        };
        self.option = option;
        match option {
            STARTTLS if !self.is_fixed() => Command::Fault(Reply::Policy),
            STARTTLS if packet.len() > 16 => Command::Fault(Reply::Invalid),
            STARTTLS => Command::Upgrade,
            ABORT => Command::Quit,
            _ => Command::SkipUpgrade,
        }
    }

    fn print(&self, reply: Said<Reply>, offer: bool, out: &mut Writer<'_>) {
        let kind = match reply {
            Said::Engine(Answer::Greeting) => {
                out.put(NBDMAGIC);
                out.put(IHAVEOPT);
                let [.., high, low] = self.offered.0.to_be_bytes();
                return out.put(&[high, low]);
            }
            Said::Engine(Answer::GoAhead) => ACK,
            Said::Engine(Answer::Bye) if self.is_fixed() => ACK,
            Said::Engine(Answer::Unavailable) | Said::Grammar(Reply::Policy) => ERR_POLICY,
            Said::Grammar(Reply::Invalid) => ERR_INVALID,
            Said::Engine(Answer::TlsRequired) if !self.ends(reply) => {
                // An unavailable upgrade is not advertised.
                if offer { ERR_TLS_REQD } else { ERR_POLICY }
            }
            Said::Engine(_) => return,
        };
        out.put(REPLY);
        out.put(&self.option.to_be_bytes());
        out.put(&kind.to_be_bytes());
        out.put(&[0; 4]);
    }

    fn ends(&self, reply: Said<Reply>) -> bool {
        // Without fixed newstyle there are no replies, and EXPORT_NAME never has one.
        reply == Said::Engine(Answer::TlsRequired)
            && (self.option == EXPORT_NAME || !self.is_fixed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_fits() {
        let grammar = ServerGrammar { offered: Flags(3), flags: Some(Flags(1)), option: 5 };
        for reply in [Said::Engine(Answer::Greeting), Said::Grammar(Reply::Invalid)] {
            let mut output = [0; ServerGrammar::MAX_OUTPUT];
            let mut out = Writer::new(&mut output);
            grammar.print(reply, true, &mut out);
            assert!(matches!(out.finish(), Ok(18 | 20)));
        }
    }
}
