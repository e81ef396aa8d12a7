//! What the engines' targets have to know of XMPP.

use starttls::client::Client;
use starttls::{Policy, Server, server, xmpp};

use super::{ClientSide, ServerSide};

/// XMPP.
#[derive(Clone, Copy, Debug)]
pub struct Xmpp;

const PROCEED: &[u8] = b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";

fn domain() -> xmpp::Domain<'static> {
    xmpp::Domain::new("im.example.org").expect("a domain")
}

fn has(octets: &[u8], part: &[u8]) -> bool {
    octets.windows(part.len()).any(|window| window == part)
}

/// Elements, of which the first may be that of a stream.
fn assert_markup(written: &[u8]) {
    assert!(written.starts_with(b"<") && written.ends_with(b">"), "{}", written.escape_ascii());
    assert!(written.iter().all(|octet| matches!(octet, b' '..=b'~')));
}

impl ClientSide for Xmpp {
    type Grammar = xmpp::ClientGrammar<'static>;

    const REQUEST: &'static [u8] = b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";

    fn new(policy: Policy) -> Client<Self::Grammar> {
        xmpp::Client::new(domain(), policy)
    }

    fn is_go_ahead(frame: &[u8]) -> bool {
        frame.starts_with(b"<") && has(frame, b"proceed")
    }

    fn assert_request(written: &[u8]) {
        assert_markup(written);
    }
}

impl ServerSide for Xmpp {
    type Grammar = xmpp::ServerGrammar<'static>;

    const ANSWER: &'static str = "<a/>";

    fn new(config: server::Config) -> Server<Self::Grammar> {
        xmpp::Server::new(domain(), xmpp::StreamId::new(7), config)
    }

    fn asks(command: &[u8]) -> bool {
        has(command, b"starttls")
    }

    fn is_go_ahead(reply: &[u8]) -> bool {
        reply == PROCEED
    }

    fn is_goodbye(reply: &[u8]) -> bool {
        reply.ends_with(b"</stream:stream>")
    }

    /// The stream ends in both cases.
    fn is_farewell(reply: &[u8]) -> bool {
        reply.is_empty() || Self::is_goodbye(reply)
    }

    fn assert_reply(written: &[u8]) {
        assert_markup(written);
    }
}
