//! XMPP, between clients and servers and between servers.

mod xml;

use starttls::Protocol;

use super::lines::contains;
use super::{Answer, Ask, Dialect, Greeting, HOST, MARK, Peer, Reply, Served, Service, Setup};
use crate::report::{Level, Role};
use xml::{attribute, first_len, name, part};

pub(super) static CLIENT: Xmpp = Xmpp { protocol: Protocol::XMPP, content: "jabber:client" };
pub(super) static SERVER: Xmpp = Xmpp { protocol: Protocol::XMPP_SERVER, content: "jabber:server" };

/// Both differ in the namespace of what a stream carries. A server names itself; a client does not, before TLS.
pub(super) struct Xmpp {
    protocol: Protocol,
    content: &'static str,
}

const TLS: &str = "urn:ietf:params:xml:ns:xmpp-tls";
const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
const STREAMS: &str = "urn:ietf:params:xml:ns:xmpp-streams";
const END: &str = "</stream:stream>";

impl Xmpp {
    fn is_between_servers(&self) -> bool {
        self.content == "jabber:server"
    }

    fn header(&self, attributes: &str) -> String {
        format!(
            "<?xml version='1.0'?><stream:stream xmlns='{}' \
             xmlns:stream='http://etherx.jabber.org/streams' {attributes} version='1.0'>",
            self.content
        )
    }
}

impl Dialect for Xmpp {
    fn protocol(&self) -> Protocol {
        self.protocol
    }

    fn greets(&self) -> bool {
        false
    }

    fn ask(&self, ask: Ask, peer: &Peer<'_>) -> Option<Vec<u8>> {
        let to = peer.name;
        Some(
            match ask {
                Ask::Greeting => return None,
                Ask::Hello | Ask::Inside if self.is_between_servers() => {
                    self.header(&format!("from='{HOST}' to='{to}'"))
                }
                Ask::Hello | Ask::Inside => self.header(&format!("to='{to}'")),
                Ask::Upgrade => format!("<starttls xmlns='{TLS}'/>"),
                Ask::Argument => format!("<starttls xmlns='{TLS}'><now/></starttls>"),
                // The answer is for whom the header is from (RFC 6120 section 4.7.2).
                Ask::Planted if self.is_between_servers() => {
                    self.header(&format!("from='{MARK}.invalid' to='{to}'"))
                }
                Ask::Planted => self.header(&format!("from='{MARK}@{to}' to='{to}'")),
                Ask::Login if self.is_between_servers() => return None,
                Ask::Login => format!("<auth xmlns='{SASL}' mechanism='PLAIN'/>"),
                Ask::Quit => END.to_owned(),
            }
            .into(),
        )
    }

    fn answer_len(&self, ask: Ask, _: &Peer<'_>, bytes: &[u8]) -> Option<usize> {
        let mut length = 0;
        loop {
            let more = first_len(&bytes[length..])?;
            let frame = &bytes[length..length + more];
            length += more;
            let ends = match ask {
                _ if frame.trim_ascii().is_empty() || frame.starts_with(b"<?") => false,
                Ask::Hello | Ask::Inside | Ask::Planted => name(frame) != "stream:stream",
                Ask::Quit => frame.starts_with(b"</"),
                _ => true,
            };
            if ends {
                return Some(length);
            }
        }
    }

    fn meaning(&self, ask: Ask, answer: &[u8]) -> Answer {
        let last = last(answer);
        let is_of = |namespace: &str| attribute(last, "xmlns") == Some(namespace.to_owned());
        match (ask, name(last)) {
            (Ask::Quit, "/stream:stream") => Answer::Yes,
            (_, "stream:error" | "/stream:stream") => Answer::No,
            (Ask::Hello | Ask::Inside | Ask::Planted, "stream:features") => Answer::Yes,
            (Ask::Upgrade | Ask::Argument, "proceed") if is_of(TLS) && xml::is_empty(last) => {
                Answer::Yes
            }
            (Ask::Upgrade | Ask::Argument, "failure") if is_of(TLS) => Answer::No,
            (Ask::Login, "challenge") if is_of(SASL) => Answer::More,
            (Ask::Login, "success") if is_of(SASL) => Answer::Yes,
            (Ask::Login, "failure") if is_of(SASL) && contains(last, "temporary-auth-failure") => {
                Answer::Later
            }
            (Ask::Login, "failure") if is_of(SASL) => Answer::No,
            _ => Answer::Strange,
        }
    }

    fn offers_tls(&self, _: &[u8], hello: &[u8]) -> Option<bool> {
        let features = last(hello);
        let offers = part(features, "starttls")
            .is_some_and(|offer| attribute(offer, "xmlns") == Some(TLS.to_owned()));
        (name(features) == "stream:features").then_some(offers)
    }

    fn offers_login(&self, _: &[u8], hello: &[u8]) -> Option<bool> {
        let features = last(hello);
        if self.is_between_servers() || name(features) != "stream:features" {
            return None;
        }
        let shows = |mechanism| contains(features, &format!("<mechanism>{mechanism}</mechanism>"));
        Some(shows("PLAIN") || shows("LOGIN"))
    }

    fn uses(&self, plaintext: &[u8]) -> bool {
        ["<auth", "<iq", "<message", "<presence"].iter().any(|stanza| contains(plaintext, stanza))
    }

    fn answers_planted(&self, inside: &[u8]) -> bool {
        // A server without the name in its answer sends a header, which the first question has too.
        let headers = inside.windows(14).filter(|at| *at == b"<stream:stream");
        contains(inside, MARK) || headers.count() > 1
    }

    fn refers(&self) -> bool {
        true
    }

    fn stream_id(&self, mut answer: &[u8]) -> Option<String> {
        while let Some((first, rest)) =
            first_len(answer).and_then(|end| answer.split_at_checked(end))
        {
            if name(first) == "stream:stream" {
                return attribute(first, "id");
            }
            answer = rest;
        }
        None
    }

    fn clause(&self, role: Role, case: &str) -> Option<(Level, &'static str)> {
        Some(match (role, case) {
            (Role::Server, "offer/inside-tls" | "state/stream-id") => {
                (Level::Must, "rfc6120/5.4.3.3")
            }
            (Role::Server, "tls/after-a-failed-handshake") => (Level::Must, "rfc6120/5.4.3.2"),
            _ => return None,
        })
    }

    fn service(&self, setup: Setup) -> Box<dyn Service> {
        let Self { protocol, content } = *self;
        let xmpp = Self { protocol, content };
        Box::new(Server { xmpp, setup, logged_in: false, stale: false })
    }
}

/// The last tag or element of an answer, without blanks before it.
fn last(mut answer: &[u8]) -> &[u8] {
    let mut last: &[u8] = &[];
    while let Some((first, rest)) = first_len(answer).and_then(|end| answer.split_at_checked(end)) {
        if !first.trim_ascii().is_empty() {
            last = first;
        }
        answer = rest;
    }
    last
}

struct Server {
    xmpp: Xmpp,
    setup: Setup,
    logged_in: bool,
    stale: bool,
}

/// The mechanism that a client has to choose only before TLS where logins change.
const EARLIER: &str = "SCRAM-SHA-1";

impl Server {
    fn features(&self, inside: bool) -> String {
        let offers = if inside { self.setup.offers_inside } else { self.setup.offers };
        let tls = if offers { format!("<starttls xmlns='{TLS}'/>") } else { String::new() };
        let others = match (self.setup.logins_change, inside) {
            _ if self.xmpp.is_between_servers() => {
                "<dialback xmlns='urn:xmpp:features:dialback'/>".to_owned()
            }
            _ if self.logged_in => "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>\
                 <session xmlns='urn:ietf:params:xml:ns:xmpp-session'><optional/></session>"
                .to_owned(),
            (true, false) => mechanism(EARLIER),
            _ => mechanism("PLAIN"),
        };
        format!("<stream:features>{tls}{others}</stream:features>")
    }

    /// The answer to a header.
    fn open(&mut self, header: &[u8], inside: bool) -> Served {
        let to = attribute(header, "from").map(|from| format!(" to='{from}'")).unwrap_or_default();
        let from = attribute(header, "to").unwrap_or_else(|| HOST.to_owned());
        let id = if inside { "check-2" } else { "check-1" };
        let header = self.xmpp.header(&format!("from='{from}'{to} id='{id}'"));
        let error = |condition: &str| {
            Served::Close(format!("{header}<stream:error>{condition}</stream:error>{END}").into())
        };
        if let Some(port) = self.setup.refer.filter(|_| !inside) {
            return error(&format!(
                "<see-other-host xmlns='{STREAMS}'>127.0.0.1:{port}</see-other-host>"
            ));
        }
        let features = match self.setup.greeting {
            Greeting::Refusal if !inside => {
                return error(&format!("<host-unknown xmlns='{STREAMS}'/>"));
            }
            Greeting::Strange if !inside => "<hello/>".to_owned(),
            // As after a login, without an offer of TLS.
            Greeting::LoggedIn if !inside => "<stream:features>\
                 <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>"
                .to_owned(),
            _ => self.features(inside),
        };
        Served::Answer(format!("{header}{features}").into())
    }

    fn login(&mut self, auth: &[u8], inside: bool) -> String {
        let mechanism = attribute(auth, "mechanism").unwrap_or_default();
        if self.setup.logins_change && inside && mechanism == EARLIER {
            self.stale = true;
        }
        if mechanism != "PLAIN" {
            return format!("<failure xmlns='{SASL}'><invalid-mechanism/></failure>");
        }
        if xml::is_empty(auth) {
            return format!("<challenge xmlns='{SASL}'/>");
        }
        self.success()
    }

    fn success(&mut self) -> String {
        self.logged_in = true;
        format!("<success xmlns='{SASL}'/>")
    }

    fn query(query: &[u8]) -> String {
        let id = attribute(query, "id").unwrap_or_default();
        if part(query, "bind").is_none() {
            return format!("<iq type='result' id='{id}'/>");
        }
        let jid = format!("<jid>check@{HOST}/check</jid>");
        format!(
            "<iq type='result' id='{id}'>\
             <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>{jid}</bind></iq>"
        )
    }
}

fn mechanism(name: &str) -> String {
    format!("<mechanisms xmlns='{SASL}'><mechanism>{name}</mechanism></mechanisms>")
}

impl Service for Server {
    /// Servers do not greet: their header answers the client's, and [`Greeting`] tells how.
    fn greeting(&mut self, _: bool) -> Vec<u8> {
        Vec::new()
    }

    fn request_len(&self, bytes: &[u8]) -> Option<usize> {
        first_len(bytes)
    }

    fn serve(&mut self, request: &[u8], inside: bool) -> Served {
        let answer = match name(request) {
            "stream:stream" => return self.open(request, inside),
            "starttls" => return Served::Upgrade,
            "/stream:stream" => return Served::Close(END.into()),
            "auth" => self.login(request, inside),
            // The response to the empty challenge.
            "response" => self.success(),
            "iq" if attribute(request, "type")
                .is_some_and(|kind| kind == "get" || kind == "set") =>
            {
                Self::query(request)
            }
            // A server that proves its domain by a secret of its own.
            "db:result" => {
                let [from, to] =
                    ["to", "from"].map(|at| attribute(request, at).unwrap_or_default());
                format!(
                    "<db:result xmlns:db='jabber:server:dialback' from='{from}' to='{to}' type='valid'/>"
                )
            }
            _ => String::new(),
        };
        Served::Answer(answer.into())
    }

    fn reply(&self, kind: Reply, _: &[u8]) -> Option<Vec<u8>> {
        let text = match kind {
            Reply::GoAhead => format!("<proceed xmlns='{TLS}'/>"),
            Reply::Later => return None,
            Reply::No => format!("<failure xmlns='{TLS}'/>{END}"),
            // Without a namespace, and with those of logins; other names; and inside of something, or with something.
            Reply::Almost(0) => "<proceed/>".to_owned(),
            Reply::Almost(1) => format!("<proceed xmlns='{SASL}'/>"),
            Reply::Almost(2) => format!("<success xmlns='{TLS}'/>"),
            Reply::Almost(3) => format!("<proceeding xmlns='{TLS}'/>"),
            Reply::Almost(4) => format!("<message><proceed xmlns='{TLS}'/></message>"),
            Reply::Almost(5) => format!("<proceed xmlns='{TLS}'><failure/></proceed>"),
            Reply::Almost(_) => return None,
        };
        Some(text.into())
    }

    fn planted(&self) -> Option<Vec<u8>> {
        // The answer to the client's next header.
        let header = self.xmpp.header(&format!("from='{HOST}' id='{MARK}'"));
        let mechanism = mechanism("PLAIN");
        Some(format!("{header}<stream:features>{mechanism}</stream:features>").into())
    }

    fn forget(&mut self) {
        self.logged_in = false;
    }

    fn used_stale_login(&self) -> bool {
        self.stale
    }
}
