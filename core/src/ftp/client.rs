use core::time::Duration;

use super::reply::{Line, Reader};
use super::{MAX_LINE, WAIT};
use crate::client::{Grammar, Phase, Reply};
use crate::wire::{ReplyLines, Writer, split_word};
use crate::{Error, Policy, Protocol};

/// The grammar of an FTP client up to the upgrade.
#[derive(Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ClientGrammar {
    reader: Reader,
    offered: bool,
    /// `AUTH` is listed, with mechanisms other than TLS.
    has_others: bool,
    /// `PBSZ` or `PROT` is listed. They need TLS (RFC 4217 §6) or another mechanism.
    protects: bool,
}

impl crate::Client<ClientGrammar> {
    /// A client at the start of a fresh connection.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self::with_grammar(ClientGrammar::default(), policy)
    }
}

impl ClientGrammar {
    /// Reads a feature: ` AUTH TLS`, `211-AUTH TLS` or ` AUTH TLS;TLS-C;SSL;`.
    ///
    /// Some servers list ` AUTH` without a mechanism, and some list only what comes with TLS. The reply to
    /// `AUTH TLS` decides.
    fn feature(&mut self, line: &[u8]) {
        let (name, list) = split_word(line.strip_prefix(b"211-").unwrap_or(line).trim_ascii());
        let mut mechanisms = list.split(|octet| matches!(octet, b' ' | b';' | b','));
        if name.eq_ignore_ascii_case(b"AUTH") {
            let has_tls = mechanisms.any(|name| {
                name.eq_ignore_ascii_case(b"TLS") || name.eq_ignore_ascii_case(b"TLS-C")
            });
            self.offered |= has_tls || list.is_empty();
            self.has_others |= !has_tls;
        }
        self.protects |= name.eq_ignore_ascii_case(b"PBSZ") || name.eq_ignore_ascii_case(b"PROT");
    }
}

impl Grammar for ClientGrammar {
    type Framing = ReplyLines<MAX_LINE>;

    const PROTOCOL: Protocol = Protocol::FTP;
    const MAX_OUTPUT: usize = b"AUTH TLS\r\n".len();

    fn reply(&mut self, phase: Phase, line: &[u8]) -> Result<Reply, Error> {
        let code = match self.reader.read(line)? {
            Line::Between(211) if phase == Phase::Capabilities => {
                self.feature(line);
                return Ok(Reply::More);
            }
            Line::First(_) | Line::Between(_) => return Ok(Reply::More),
            Line::Last(code) => code,
        };
        match (phase, code) {
            // Ready in a few minutes.
            (Phase::Greeting, 120) => Ok(Reply::More),
            (Phase::Greeting, 220) | (Phase::Capabilities, 211) | (Phase::Upgrade, 234) => {
                Ok(Reply::Yes)
            }
            (Phase::Greeting, 230) => Ok(Reply::Never),
            (_, 421) => Ok(Reply::Closing),
            (_, 400..=499) => Ok(Reply::NotNow),
            // Old servers do not know FEAT. The client asks for TLS anyway.
            (Phase::Capabilities, 500..=599) => {
                self.offered = true;
                Ok(Reply::Yes)
            }
            (_, 500..=599) => Ok(Reply::No),
            _ => Err(Error::UnexpectedReply),
        }
    }

    fn offers_upgrade(&self) -> bool {
        self.offered || self.protects && !self.has_others
    }

    fn request(&self, phase: Phase, out: &mut Writer<'_>) {
        out.put(if phase == Phase::Upgrade { &b"AUTH TLS\r\n"[..] } else { b"FEAT\r\n" });
    }

    fn wait(&self, _: Phase) -> Duration {
        WAIT
    }
}
