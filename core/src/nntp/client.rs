use core::time::Duration;

use super::MAX_LINE;
use crate::client::{Grammar, Phase, Reply};
use crate::wire::{ReplyLines, Writer, code};
use crate::{Error, Policy, Protocol};

/// The grammar of an NNTP client up to the upgrade.
#[derive(Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ClientGrammar {
    /// The reply's next lines are capabilities.
    listing: bool,
    /// The list has STARTTLS.
    listed: bool,
    /// The server has replied to CAPABILITIES.
    asked: bool,
}

impl crate::Client<ClientGrammar> {
    /// A client at the start of a fresh connection.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self::with_grammar(ClientGrammar::default(), policy)
    }
}

impl Grammar for ClientGrammar {
    type Framing = ReplyLines<MAX_LINE>;

    const PROTOCOL: Protocol = Protocol::NNTP;
    const MAX_OUTPUT: usize = b"CAPABILITIES\r\n".len();

    fn reply(&mut self, phase: Phase, line: &[u8]) -> Result<Reply, Error> {
        if self.listing {
            // Blanks may precede the CRLF (RFC 3977 §9.4.3).
            self.listed |= line.trim_ascii_end().eq_ignore_ascii_case(b"STARTTLS");
            self.listing = line != b".";
            return Ok(if self.listing { Reply::More } else { Reply::Yes });
        }
        // `response = 3DIGIT [SP …]` (RFC 3977 §9.4).
        let (code, [] | [b' ', ..]) = code(line).ok_or(Error::Syntax)? else {
            return Err(Error::Syntax);
        };
        self.asked |= phase == Phase::Capabilities;
        match (phase, code) {
            (Phase::Greeting, 200 | 201) | (Phase::Upgrade, 382) => Ok(Reply::Yes),
            (Phase::Capabilities, 101) => {
                self.listing = true;
                Ok(Reply::More)
            }
            (_, 400) => Ok(Reply::Closing),
            // Old servers do not know CAPABILITIES, and others first want a login (RFC 4643 §2.2) or
            // encryption (RFC 4642 §2.2.2). The client asks for TLS anyway, and the reply to that decides.
            (Phase::Capabilities, 480 | 483 | 500..=599) => Ok(Reply::Yes),
            (_, 401..=499) => Ok(Reply::NotNow),
            (Phase::Upgrade, 500) if !self.listed => Ok(Reply::Never),
            (_, 500..=599) => Ok(Reply::No),
            _ => Err(Error::UnexpectedReply),
        }
    }

    /// True after CAPABILITIES: the client asks for an unlisted upgrade, too.
    fn offers_upgrade(&self) -> bool {
        self.asked
    }

    fn is_listed(&self) -> bool {
        self.listed
    }

    fn request(&self, phase: Phase, out: &mut Writer<'_>) {
        out.put(match phase {
            Phase::Upgrade => &b"STARTTLS\r\n"[..],
            _ => b"CAPABILITIES\r\n",
        });
    }

    fn wait(&self, _: Phase) -> Duration {
        Duration::from_secs(3 * 60)
    }
}
