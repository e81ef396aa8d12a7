use core::time::Duration;

use super::Messages;
use super::message::{parameter, parse};
use crate::client::{Grammar, Phase, Reply};
use crate::wire::Writer;
use crate::{Error, Policy, Protocol};

/// The grammar of an IRC client up to the upgrade.
#[derive(Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ClientGrammar {
    /// The server has replied to `CAP LS`.
    asked: bool,
}

impl crate::Client<ClientGrammar> {
    /// A client at the start of a fresh connection.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self::with_grammar(ClientGrammar::default(), policy)
    }
}

impl ClientGrammar {
    /// Interprets a reply to `CAP LS`: a list of capabilities, of which all but the last have a star before
    /// them, or a reply that `CAP` is unknown.
    fn capabilities(&mut self, command: &[u8], mut parameters: &[u8]) -> Reply {
        let _nick = parameter(&mut parameters);
        let second = parameter(&mut parameters);
        let reply = match command {
            b"CAP" if second.eq_ignore_ascii_case(b"LS") && parameter(&mut parameters) != b"*" => {
                Reply::Yes
            }
            // The server does not know CAP. The client asks for TLS anyway.
            b"410" | b"451" => Reply::Yes,
            b"421" if second.eq_ignore_ascii_case(b"CAP") => Reply::Yes,
            _ => Reply::More,
        };
        self.asked |= reply != Reply::More;
        reply
    }
}

impl Grammar for ClientGrammar {
    type Framing = Messages<true>;

    const PROTOCOL: Protocol = Protocol::IRC;
    const MAX_OUTPUT: usize = b"CAP LS 302\r\n".len();
    const FIRST: Phase = Phase::Capabilities;
    const IS_CHATTY: bool = true;

    fn reply(&mut self, phase: Phase, line: &[u8]) -> Result<Reply, Error> {
        let (command, mut parameters) = parse(line);
        match command {
            b"670" | b"691" if phase != Phase::Upgrade => Err(Error::Unsolicited),
            b"670" => Ok(Reply::Yes),
            b"691" => Ok(Reply::No),
            b"ERROR" => Ok(Reply::Closing),
            b"" => Err(Error::Syntax),
            _ if phase != Phase::Upgrade => Ok(self.capabilities(command, parameters)),
            b"451" => Ok(Reply::No),
            b"421" => {
                let _nick = parameter(&mut parameters);
                let unknown = parameter(&mut parameters).eq_ignore_ascii_case(b"STARTTLS");
                Ok(if unknown { Reply::No } else { Reply::More })
            }
            _ => Ok(Reply::More),
        }
    }

    fn unasked(&mut self, line: &[u8]) -> Result<Reply, Error> {
        match parse(line).0 {
            b"670" | b"691" => Err(Error::Unsolicited),
            b"ERROR" => Ok(Reply::Closing),
            b"" => Err(Error::Syntax),
            _ => Ok(Reply::More),
        }
    }

    /// True after `CAP LS`: the client asks for an unlisted upgrade, too.
    fn offers_upgrade(&self) -> bool {
        self.asked
    }

    fn request(&self, phase: Phase, out: &mut Writer<'_>) {
        out.put(if phase == Phase::Upgrade { &b"STARTTLS\r\n"[..] } else { b"CAP LS 302\r\n" });
    }

    fn wait(&self, _: Phase) -> Duration {
        Duration::from_secs(30)
    }
}
