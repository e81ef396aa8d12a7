use core::marker::PhantomData;
use core::str;
use core::time::Duration;

use super::client::is_version;
use super::framing::Elements;
use super::link::{ClientToServer, Link, server_names};
use super::stream::{Frame, Reader};
use super::xml::attribute;
use super::{Domain, HEADER_END, MAX_HEADER, MAX_JID, put_header};
use crate::conceal::conceal;
use crate::server::{Answer, Command, Config, Grammar, Said};
use crate::wire::{Kept, Writer};
use crate::{Policy, Protocol};

/// The id of a stream, which an attacker must not guess (RFC 6120 §4.7.3). The stream inside TLS has
/// another one.
///
/// ```
/// use starttls::server::Config;
/// use starttls::xmpp::{Domain, Server, StreamId};
///
/// let domain = Domain::new("im.example.org").unwrap();
/// let random = 0x0123_4567_89ab_cdef; // a fresh random number for each stream
/// let server = Server::new(domain, StreamId::new(random), Config::default());
/// # let _ = server;
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct StreamId(u64);

conceal!("StreamId", StreamId);

impl StreamId {
    /// An id made of a random number. Use a fresh one for each stream.
    #[must_use]
    pub const fn new(random: u64) -> Self {
        Self(random)
    }

    /// One letter for each four bits.
    pub(super) fn letters(self) -> impl Iterator<Item = u8> {
        let letter = |bits: u8| b'a'.wrapping_add(bits & 0xf);
        self.0.to_be_bytes().into_iter().flat_map(move |octet| [letter(octet >> 4), letter(octet)])
    }
}

/// The grammar of an XMPP server up to the upgrade.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ServerGrammar<'a, L = ClientToServer> {
    name: Domain<'a>,
    id: StreamId,
    reader: Reader,
    /// The domain that the client wants.
    to: Kept<{ Domain::MAX }>,
    /// The client's address, for the `to` of the server's header; empty if the client gave none.
    from: Kept<MAX_JID>,
    /// Whether the server's header was sent.
    open: bool,
    required: bool,
    link: PhantomData<L>,
}

impl<L: Link> crate::Server<ServerGrammar<'_, L>> {
    /// The domain that the client wants, once its header has arrived. Check that you serve it, and show its
    /// certificate (RFC 6120 §5.4.3.1).
    #[must_use]
    pub fn to(&self) -> Option<Domain<'_>> {
        self.grammar().wanted()
    }
}

impl<'a, L: Link> crate::Server<ServerGrammar<'a, L>> {
    /// A server of the domain `name`, at the start of a fresh connection.
    #[must_use]
    pub fn new(name: Domain<'a>, id: StreamId, config: Config) -> Self {
        let grammar = ServerGrammar {
            name,
            id,
            reader: Reader::new(server_names::<L>),
            to: Kept::default(),
            from: Kept::default(),
            open: false,
            required: config.policy == Policy::Required,
            link: PhantomData,
        };
        Self::with_grammar(grammar, config)
    }
}

impl<L: Link> ServerGrammar<'_, L> {
    fn wanted(&self) -> Option<Domain<'_>> {
        Domain::new(str::from_utf8(self.to.as_bytes()).ok()?).ok()
    }

    fn header(&mut self, frame: &[u8]) -> Command<Reply> {
        // Ahead of what may be wrong with it: the header in front of an error has it as well.
        self.from.set(attribute(frame, b"from").and_then(answered::<L>).unwrap_or_default());
        if !is_version(attribute(frame, b"version")) {
            return Command::Fault(Reply::UnsupportedVersion);
        }
        let to = attribute(frame, b"to").unwrap_or_default();
        if to.len() > Domain::MAX {
            return Command::Fault(Reply::ImproperAddressing);
        }
        self.to.set(to);
        if self.wanted().is_none() {
            return Command::Fault(Reply::ImproperAddressing);
        }
        self.open = true;
        Command::Hello(Reply::Features)
    }

    fn put_error(&self, condition: &[u8], out: &mut Writer<'_>) {
        if !self.open {
            self.put_header(out);
        }
        out.put(b"<stream:error><");
        out.put(condition);
        out.put(b" xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>");
        out.put(END);
    }

    fn put_header(&self, out: &mut Writer<'_>) {
        put_header(L::CONTENT, out);
        out.put(b"' from='");
        out.put(self.name.as_str().as_bytes());
        if !self.from.as_bytes().is_empty() {
            out.put(b"' to='");
            out.put(self.from.as_bytes());
        }
        out.put(b"' id='");
        for letter in self.id.letters() {
            out.push(letter);
        }
        out.put(HEADER_END);
    }
}

/// The `to` of the answer to a header with this `from` (RFC 6120 §4.7.2): the bare address of a user, the domain
/// of a server; nothing where it is too long or no address.
///
/// It is not escaped, but left out where it would have to be: whatever could end an attribute or begin a reference
/// is in neither part of an address (RFC 7622 §3.2, §3.3.1), so that no address is lost by that.
fn answered<L: Link>(from: &[u8]) -> Option<&[u8]> {
    let bare = from.split(|octet| *octet == b'/').next()?;
    let mut parts = bare.rsplitn(2, |octet| *octet == b'@');
    let domain = parts.next()?;
    let is_part = |part| str::from_utf8(part).is_ok_and(|part| Domain::new(part).is_ok());
    let is_address = is_part(domain) && parts.next().is_none_or(is_part) && bare.len() <= MAX_JID;
    is_address.then_some(if L::HAS_FROM { domain } else { bare })
}

/// The replies of an XMPP server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Reply {
    /// The reply to the header of a stream.
    Features,
    /// The reply to a `<starttls/>` that is not empty.
    Failure,
    /// The reply to a header that does not belong to a stream, or to a stream of this kind.
    InvalidNamespace,
    /// The reply to a header without version 1.0.
    UnsupportedVersion,
    /// The reply to a header without a valid domain.
    ImproperAddressing,
    /// The reply to an encoding other than UTF-8.
    UnsupportedEncoding,
}

const END: &[u8] = b"</stream:stream>";

impl<L: Link> Grammar for ServerGrammar<'_, L> {
    type Framing = Elements;
    type Reply = Reply;

    const PROTOCOL: Protocol = L::PROTOCOL;
    const MAX_OUTPUT: usize = MAX_HEADER;
    const GREETS: bool = false;
    const HELLO_FIRST: bool = true;
    const MAX_BLANKS: usize = 16;
    const WAIT: Duration = Duration::from_secs(5 * 60);

    fn command(&mut self, frame: &[u8]) -> Command<Reply> {
        match self.reader.read(frame) {
            None => Command::Malformed,
            Some(Frame::Blank | Frame::Declaration) => Command::Ignored,
            Some(Frame::OtherEncoding) => Command::Fault(Reply::UnsupportedEncoding),
            Some(Frame::Stream) => self.header(frame),
            Some(Frame::OtherStream) => Command::Fault(Reply::InvalidNamespace),
            Some(Frame::StartTls) if self.reader.is_empty() => Command::Upgrade,
            Some(Frame::StartTls | Frame::Proceed | Frame::Failure) => {
                Command::Fault(Reply::Failure)
            }
            Some(Frame::End | Frame::Error) => Command::Quit,
            Some(Frame::Login) => Command::Credentials,
            Some(_) if self.reader.has(Frame::Login) => Command::Credentials,
            Some(_) => Command::SkipUpgrade,
        }
    }

    fn print(&self, reply: Said<Reply>, offer: bool, out: &mut Writer<'_>) {
        let condition: &[u8] = match reply {
            Said::Grammar(Reply::Features) => {
                self.put_header(out);
                return out.put(match (offer, self.required) {
                    (true, true) => {
                        b"<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'>\
                          <required/></starttls></stream:features>"
                    }
                    (true, false) => {
                        b"<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>\
                          </stream:features>"
                    }
                    (false, _) => &b"<stream:features/>"[..],
                });
            }
            Said::Engine(Answer::GoAhead) => {
                return out.put(b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
            }
            Said::Engine(Answer::EncryptionRequired) => {
                return out.put(
                    b"<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><encryption-required/>\
                      </failure>",
                );
            }
            Said::Engine(Answer::Unavailable) | Said::Grammar(Reply::Failure) => {
                out.put(b"<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
                return out.put(END);
            }
            Said::Engine(Answer::Bye) => return out.put(END),
            Said::Engine(Answer::TooSlow) => b"connection-timeout",
            Said::Engine(Answer::Malformed) => b"not-well-formed",
            Said::Engine(_) => b"policy-violation",
            Said::Grammar(Reply::InvalidNamespace) => b"invalid-namespace",
            Said::Grammar(Reply::UnsupportedVersion) => b"unsupported-version",
            Said::Grammar(Reply::ImproperAddressing) => b"improper-addressing",
            Said::Grammar(Reply::UnsupportedEncoding) => b"unsupported-encoding",
        };
        self.put_error(condition, out);
    }

    /// An error or a failure ends the stream.
    fn ends(&self, reply: Said<Reply>) -> bool {
        !matches!(
            reply,
            Said::Grammar(Reply::Features)
                | Said::Engine(Answer::GoAhead | Answer::EncryptionRequired)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xmpp::Server;
    use crate::xmpp::link::ServerToServer;
    use crate::{Machine, Step};

    /// The domain that the server reports if the client's header has this attribute.
    fn wanted(to: &str) -> Option<heapless::String<255>> {
        let mut header = heapless::Vec::<u8, 512>::new();
        for part in [
            "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' ",
            to,
            " version='1.0'>",
        ] {
            header.extend_from_slice(part.as_bytes()).expect("room");
        }
        let name = Domain::new("im.example.org").expect("a domain");
        let mut server = Server::new(name, StreamId::new(7), Config::default());
        assert_eq!(server.to(), None);
        let mut input = &header[..];
        while let Ok(Step::Event(_)) = server.step(&mut input, &mut []) {}
        server.to().map(|domain| domain.as_str().parse().expect("room"))
    }

    #[test]
    fn an_answer_names_bare_addresses_and_nothing_else() {
        for (from, user, server) in [
            ("me@im.example.org", Some("me@im.example.org"), Some("im.example.org")),
            ("me@im.example.org/a/b@c'<", Some("me@im.example.org"), Some("im.example.org")),
            ("im.example.org", Some("im.example.org"), Some("im.example.org")),
            ("\u{fc}@b\u{fc}", Some("\u{fc}@b\u{fc}"), Some("b\u{fc}")),
            ("", None, None),
            ("/a", None, None),
            ("@b", None, None),
            ("a@", None, None),
            ("a@b@c", None, None),
        ] {
            let octets = from.as_bytes();
            assert_eq!(answered::<ClientToServer>(octets), user.map(str::as_bytes), "{from}");
            assert_eq!(answered::<ServerToServer>(octets), server.map(str::as_bytes), "{from}");
        }
        // Each character that could end the attribute, begin a reference, or that XML cannot have or discourages.
        let controls = (char::MIN..=char::MAX).filter(|letter| letter.is_control());
        for letter in controls.chain(" '\"<>&\u{fffe}\u{ffff}".chars()) {
            for from in [std::format!("{letter}@b"), std::format!("a@{letter}")] {
                assert_eq!(answered::<ClientToServer>(from.as_bytes()), None, "{from:?}");
                assert_eq!(answered::<ServerToServer>(from.as_bytes()), None, "{from:?}");
            }
        }
    }

    #[test]
    fn the_wanted_domain_is_reported() {
        for (to, expected) in [
            ("to='im.example.org'", Some("im.example.org")),
            ("id='x' to = \"b\u{fc}cher.example\"", Some("b\u{fc}cher.example")),
            ("to=''", None),
            ("from='im.example.org'", None),
            ("x:to='im.example.org' xmlns:x='urn:x'", None),
            ("to='me@im.example.org'", None),
            ("to='a&#46;b'", None),
        ] {
            assert_eq!(wanted(to).as_deref(), expected, "{to}");
        }
    }
}
