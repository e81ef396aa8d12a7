use core::marker::PhantomData;
use core::time::Duration;

use super::framing::Elements;
use super::link::{ClientToServer, Link, ServerToServer, client_names};
use super::reader::{Frame, Kind, Reader};
use super::{Domain, MAX_HEADER, put_header};
use crate::client::{Grammar, Phase, Reply};
use crate::wire::Writer;
use crate::{Error, Policy, Protocol};

/// The XMPP client's grammar up to the upgrade.
#[derive(Debug)]
pub struct ClientGrammar<'a, L = ClientToServer> {
    to: Domain<'a>,
    from: Option<Domain<'a>>,
    reader: Reader,
    /// Whether to ask for TLS where it is not offered (RFC 7590 §3.1).
    insists: bool,
    offered: bool,
    link: PhantomData<L>,
}

impl<'a> crate::Client<ClientGrammar<'a>> {
    /// A client at the start of a fresh connection to the server of a domain: that of the user's
    /// address, for which the certificate has to be. The user is not named before TLS (RFC 6120 §4.7.1).
    #[must_use]
    pub fn new(to: Domain<'a>, policy: Policy) -> Self {
        Self::with_grammar(ClientGrammar::new(to, None, policy), policy)
    }
}

impl<'a> crate::Client<ClientGrammar<'a, ServerToServer>> {
    /// The server of the domain `from`, as the client of that of the domain `to`, at the start of a fresh
    /// connection.
    #[must_use]
    pub fn between(from: Domain<'a>, to: Domain<'a>, policy: Policy) -> Self {
        Self::with_grammar(ClientGrammar::new(to, Some(from), policy), policy)
    }
}

impl<'a, L: Link> ClientGrammar<'a, L> {
    fn new(to: Domain<'a>, from: Option<Domain<'a>>, policy: Policy) -> Self {
        let insists = policy == Policy::Required;
        let reader = Reader::new(client_names::<L>());
        Self { to, from, reader, insists, offered: false, link: PhantomData }
    }
}

/// `version='1.0'` or above.
pub(super) fn is_version(version: Option<&[u8]>) -> bool {
    match version {
        Some([b'1'..=b'9', b'.', rest @ ..]) => {
            !rest.is_empty() && rest.iter().all(u8::is_ascii_digit)
        }
        _ => false,
    }
}

impl<L: Link> Grammar for ClientGrammar<'_, L> {
    type Framing = Elements;

    const PROTOCOL: Protocol = L::PROTOCOL;
    const MAX_OUTPUT: usize = MAX_HEADER;
    const FIRST: Phase = Phase::Capabilities;
    const IS_CHATTY: bool = true;

    fn reply(&mut self, phase: Phase, frame: &[u8]) -> Result<Reply, Error> {
        let child = match self.reader.read(frame).ok_or(Error::Syntax)? {
            Frame::Blank => return Ok(Reply::More),
            Frame::End => return Ok(Reply::Closing),
            Frame::Child(child) => child,
            Frame::Declaration(true) if phase == Phase::Capabilities => return Ok(Reply::More),
            Frame::Header(Some(attributes)) if phase == Phase::Capabilities => {
                // A server before 1.0 has no features (RFC 6120 §4.7.5).
                let has_features = is_version(attributes.value(b"version"));
                return Ok(if has_features { Reply::More } else { Reply::Never });
            }
            Frame::Declaration(_) | Frame::Header(_) => return Err(Error::UnexpectedReply),
        };
        match (phase, child.kind) {
            (_, Kind::Error) => Ok(Reply::Closing),
            (Phase::Capabilities, Kind::Features) => {
                self.offered = child.offers;
                Ok(Reply::Yes)
            }
            (Phase::Upgrade, Kind::Proceed) if child.is_empty => Ok(Reply::Yes),
            // The stream ends with it.
            (Phase::Upgrade, Kind::Failure) => Err(Error::Refused),
            _ => Err(Error::UnexpectedReply),
        }
    }

    fn unasked(&mut self, frame: &[u8]) -> Result<Reply, Error> {
        // In a phase in which it is no answer.
        self.reply(Phase::Fallback, frame).map_err(|error| match error {
            Error::UnexpectedReply => Error::Unsolicited,
            error => error,
        })
    }

    fn offers_upgrade(&self) -> bool {
        self.offered || self.insists
    }

    fn request(&self, phase: Phase, out: &mut Writer<'_>) {
        if phase == Phase::Upgrade {
            return out.put(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
        }
        put_header(L::CONTENT, &[(b"from", self.from), (b"to", Some(self.to))], None, out);
    }

    fn wait(&self, _: Phase) -> Duration {
        Duration::from_secs(60)
    }
}
