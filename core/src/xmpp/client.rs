use core::marker::PhantomData;
use core::time::Duration;

use super::framing::Elements;
use super::link::{ClientToServer, Link, ServerToServer, client_names};
use super::stream::{Frame, Reader, TLS};
use super::xml::attribute;
use super::{Domain, HEADER_END, MAX_HEADER, put_header};
use crate::client::{Grammar, Phase, Reply};
use crate::wire::Writer;
use crate::{Error, Policy, Protocol};

/// The grammar of an XMPP client up to the upgrade.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ClientGrammar<'a, L = ClientToServer> {
    to: Domain<'a>,
    from: Option<Domain<'a>>,
    reader: Reader,
    /// Whether TLS is offered.
    listed: bool,
    /// Whether to ask for TLS even if it is not offered (RFC 7590 §3.1).
    required: bool,
    link: PhantomData<L>,
}

impl<'a> crate::Client<ClientGrammar<'a>> {
    /// A client of the domain `to`, at the start of a fresh connection.
    ///
    /// `to` is the domain of the user's address, and the server's certificate has to be for it. The user is
    /// not named before TLS (RFC 6120 §4.7.1).
    #[must_use]
    pub fn new(to: Domain<'a>, policy: Policy) -> Self {
        Self::with_grammar(ClientGrammar::new(to, None, policy), policy)
    }
}

impl<'a> crate::Client<ClientGrammar<'a, ServerToServer>> {
    /// A connection from the server of the domain `from`, in the role of a client, to the server of the
    /// domain `to`.
    #[must_use]
    pub fn between(from: Domain<'a>, to: Domain<'a>, policy: Policy) -> Self {
        Self::with_grammar(ClientGrammar::new(to, Some(from), policy), policy)
    }
}

impl<'a, L: Link> ClientGrammar<'a, L> {
    fn new(to: Domain<'a>, from: Option<Domain<'a>>, policy: Policy) -> Self {
        let required = policy == Policy::Required;
        let reader = Reader::new(client_names::<L>);
        Self { to, from, reader, listed: false, required, link: PhantomData }
    }
}

/// `version='1.0'` or above.
pub(super) const fn is_version(version: Option<&[u8]>) -> bool {
    matches!(version, Some([b'1'..=b'9', b'.', ..]))
}

impl<L: Link> Grammar for ClientGrammar<'_, L> {
    type Framing = Elements;

    const PROTOCOL: Protocol = L::PROTOCOL;
    const MAX_OUTPUT: usize = MAX_HEADER;
    const FIRST: Phase = Phase::Capabilities;
    const IS_CHATTY: bool = true;

    fn reply(&mut self, phase: Phase, frame: &[u8]) -> Result<Reply, Error> {
        match (phase, self.reader.read(frame).ok_or(Error::Syntax)?) {
            (_, Frame::Blank) | (Phase::Capabilities, Frame::Declaration) => Ok(Reply::More),
            // This is how a server replies that does not know the request.
            (Phase::Upgrade, Frame::End | Frame::Error) if !self.listed => Ok(Reply::Never),
            (_, Frame::End | Frame::Error) => Ok(Reply::Closing),
            (Phase::Capabilities, Frame::Stream) => {
                // A server before 1.0 has no features (RFC 6120 §4.7.5).
                let has_features = is_version(attribute(frame, b"version"));
                Ok(if has_features { Reply::More } else { Reply::Never })
            }
            (Phase::Capabilities, Frame::Features) => {
                self.listed |= self.reader.has(Frame::StartTls);
                Ok(Reply::Yes)
            }
            (Phase::Upgrade, Frame::Proceed) if self.reader.is_empty() => Ok(Reply::Yes),
            // The stream ends with it.
            (Phase::Upgrade, Frame::Failure) if self.listed => Err(Error::Refused),
            (Phase::Upgrade, Frame::Failure) => Err(Error::NotOffered),
            _ => Err(Error::UnexpectedReply),
        }
    }

    fn unasked(&mut self, frame: &[u8]) -> Result<Reply, Error> {
        // Evaluated in a phase in which no frame is a reply.
        self.reply(Phase::Fallback, frame).map_err(|error| match error {
            Error::UnexpectedReply => Error::Unsolicited,
            error => error,
        })
    }

    fn offers_upgrade(&self) -> bool {
        self.listed || self.required
    }

    fn is_listed(&self) -> bool {
        self.listed
    }

    fn request(&self, phase: Phase, out: &mut Writer<'_>) {
        if phase == Phase::Upgrade {
            out.put(b"<starttls xmlns='");
            out.put(TLS);
            return out.put(b"'/>");
        }
        put_header(L::CONTENT, out);
        if let Some(from) = self.from.filter(|_| L::HAS_FROM) {
            out.put(b"' from='");
            out.put(from.as_str().as_bytes());
        }
        out.put(b"' to='");
        out.put(self.to.as_str().as_bytes());
        out.put(HEADER_END);
    }

    fn wait(&self, _: Phase) -> Duration {
        Duration::from_secs(60)
    }
}
