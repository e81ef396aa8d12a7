use core::marker::PhantomData;
use core::str;
use core::time::Duration;

use super::client::is_version;
use super::framing::Elements;
use super::link::{ClientToServer, Link, server_names};
use super::stream::{Frame, Reader};
use super::xml::attribute;
use super::{Domain, HEADER_END, MAX_HEADER, put_header};
use crate::server::{Answer, Command, Config, Grammar, Said};
use crate::wire::{Kept, Writer};
use crate::{Policy, Protocol};

/// The id of a stream, which nobody can guess (RFC 6120 §4.7.3); the stream inside TLS has another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct StreamId(u64);

impl StreamId {
    /// An id from a random number, another one for each stream.
    #[must_use]
    pub const fn new(random: u64) -> Self {
        Self(random)
    }

    /// A letter for each four bits.
    pub(super) fn letters(self) -> impl Iterator<Item = u8> {
        let letter = |bits: u8| b'a'.wrapping_add(bits & 0xf);
        self.0.to_be_bytes().into_iter().flat_map(move |octet| [letter(octet >> 4), letter(octet)])
    }
}

/// The XMPP server's grammar up to the upgrade.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ServerGrammar<'a, L = ClientToServer> {
    name: Domain<'a>,
    id: StreamId,
    reader: Reader,
    /// Whom the client wants.
    to: Kept<{ Domain::MAX }>,
    /// Whether our header was sent.
    open: bool,
    required: bool,
    link: PhantomData<L>,
}

impl<L: Link> crate::Server<ServerGrammar<'_, L>> {
    /// The domain that the client wants, as soon as it said so: whose certificate to show it (RFC 6120
    /// §5.4.3.1), and whether there is such a domain.
    #[must_use]
    pub fn to(&self) -> Option<Domain<'_>> {
        self.grammar().wanted()
    }
}

impl<'a, L: Link> crate::Server<ServerGrammar<'a, L>> {
    /// A server of the domain `name` at the start of a fresh connection.
    #[must_use]
    pub fn new(name: Domain<'a>, id: StreamId, config: Config) -> Self {
        let grammar = ServerGrammar {
            name,
            id,
            reader: Reader::new(server_names::<L>),
            to: Kept::default(),
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
        out.put(b"' id='");
        for letter in self.id.letters() {
            out.push(letter);
        }
        out.put(HEADER_END);
    }
}

/// The replies of an XMPP server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Reply {
    /// To the header of a stream.
    Features,
    /// To a `<starttls/>` that is not empty.
    Failure,
    /// To a header that is no stream's, or a stream's of another kind.
    InvalidNamespace,
    /// To a header without the version 1.0.
    UnsupportedVersion,
    /// To a header without a domain.
    ImproperAddressing,
    /// To an encoding that is not UTF-8.
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

    fn print(&self, said: Said<Reply>, offer: bool, out: &mut Writer<'_>) {
        let condition: &[u8] = match said {
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

    /// A stream that was told of an error or a failure has ended.
    fn ends(&self, said: Said<Reply>) -> bool {
        !matches!(
            said,
            Said::Grammar(Reply::Features)
                | Said::Engine(Answer::GoAhead | Answer::EncryptionRequired)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xmpp::Server;
    use crate::{Machine, Step};

    /// Whom a client is said to want that sends this in its header.
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
    fn whom_the_client_wants_is_told() {
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
