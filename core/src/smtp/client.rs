use core::marker::PhantomData;
use core::time::Duration;

use super::limits::{COMMAND_WAIT, MAX_DOMAIN, MAX_LINE};
use super::reply::{FIRST, Reply};
use super::{Dialect, Domain};
use crate::client::{self, Grammar, Phase};
use crate::wire::{ReplyLines, Writer, after_word};
use crate::{Error, Policy, Protocol, Untrusted};

/// The grammar of an SMTP or LMTP client up to the upgrade (RFC 3207 §4).
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ClientGrammar<'a, D> {
    domain: Domain<'a>,
    code: u16,
    offered: bool,
    dialect: PhantomData<D>,
}

impl<'a, D: Dialect> crate::Client<ClientGrammar<'a, D>> {
    /// A client that introduces itself as `domain`.
    #[must_use]
    pub fn new(domain: Domain<'a>, policy: Policy) -> Self {
        Self::with_grammar(ClientGrammar::new(domain), policy)
    }
}

impl<'a, D> ClientGrammar<'a, D> {
    /// The grammar of a client that introduces itself as `domain`.
    #[must_use]
    pub const fn new(domain: Domain<'a>) -> Self {
        Self { domain, code: FIRST, offered: false, dialect: PhantomData }
    }
}

/// Whether a reply code means that the server does not know the command. Older servers do not know `EHLO`
/// (RFC 5321 §3.2 and §4.2.4).
pub(crate) const fn is_unknown_command(code: u16) -> bool {
    matches!(code, 500 | 502)
}

impl<D: Dialect> Grammar for ClientGrammar<'_, D> {
    type Framing = ReplyLines<MAX_LINE>;

    const PROTOCOL: Protocol = D::PROTOCOL;
    const MAX_OUTPUT: usize = b"EHLO \r\n".len() + MAX_DOMAIN;
    const HAS_FALLBACK: bool = D::IS_SMTP;

    fn reply(&mut self, phase: Phase, line: &[u8]) -> Result<client::Reply, Error> {
        let first = self.code == FIRST;
        let reply = Reply::parse(Untrusted::new(line))?;
        reply.follow(&mut self.code)?;
        // The first line of the reply to EHLO names the server; keywords follow (RFC 5321 §4.1.1.1). A
        // server named STARTTLS offers nothing by that.
        if phase == Phase::Capabilities && !first {
            self.offered |= after_word(reply.text().octets, b"STARTTLS").is_some();
        }
        if !reply.is_last() {
            return Ok(client::Reply::More);
        }
        match (phase, reply.code()) {
            (Phase::Greeting | Phase::Upgrade, 220)
            | (Phase::Capabilities | Phase::Fallback, 250) => Ok(client::Reply::Yes),
            (_, 421) => Ok(client::Reply::Closing),
            (_, 400..=499) => Ok(client::Reply::NotNow),
            // Only a server that does not know EHLO has no extensions. Any other refusal is of this client,
            // and HELO would make no difference (RFC 5321 §3.2 and §4.1.1.1).
            (Phase::Capabilities, code @ 500..) if !is_unknown_command(code) => {
                Ok(client::Reply::Refused)
            }
            (_, 500..) => Ok(client::Reply::No),
            _ => Err(Error::UnexpectedReply),
        }
    }

    fn offers_upgrade(&self) -> bool {
        self.offered
    }

    fn request(&self, phase: Phase, out: &mut Writer<'_>) {
        out.put(match phase {
            Phase::Upgrade => b"STARTTLS",
            Phase::Fallback => b"HELO ",
            _ => D::HELLO,
        });
        if phase != Phase::Upgrade {
            out.put(self.domain.as_str().as_bytes());
        }
        out.put(b"\r\n");
    }

    fn wait(&self, _: Phase) -> Duration {
        COMMAND_WAIT
    }
}
