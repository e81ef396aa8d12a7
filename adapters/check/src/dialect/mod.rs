//! What the tests know of each protocol: the bytes of both roles around the upgrade.
//!
//! The bytes stand here once more, beside the grammars of the core: a test that used the tested code would agree with it.

mod binary;
mod ftp;
mod imap;
mod irc;
mod ldap;
mod lines;
mod mysql;
mod nbd;
mod nntp;
mod nut;
mod pop3;
mod postgres;
mod rdp;
mod sieve;
mod smtp;
#[cfg(test)]
mod tests;
mod vnc;
mod xmpp;

use starttls::Protocol;

use crate::report::{Case, Level, Role};
use crate::server::CannotRun;

/// All dialects, in the order of [`Protocol::ALL`].
static ALL: [&dyn Dialect; 17] = [
    &smtp::SMTP,
    &smtp::LMTP,
    &imap::Imap,
    &pop3::Pop3,
    &ftp::Ftp,
    &nntp::Nntp,
    &sieve::Sieve,
    &irc::Irc,
    &nut::Nut,
    &postgres::Postgres,
    &ldap::Ldap,
    &mysql::Mysql,
    &nbd::Nbd,
    &xmpp::CLIENT,
    &xmpp::SERVER,
    &vnc::Vnc,
    &rdp::Rdp,
];

/// The dialect of a protocol; all of [`Protocol::ALL`] have one.
pub(crate) fn known(protocol: &Protocol) -> Result<&'static dyn Dialect, CannotRun> {
    let found = ALL.into_iter().find(|dialect| dialect.protocol() == *protocol);
    let unknown = || CannotRun(format!("there are no tests for the protocol {}", protocol.name));
    found.ok_or_else(unknown)
}

/// A case with the weight and the source that it has in this protocol.
pub(crate) fn weighed(dialect: &dyn Dialect, role: Role, case: Case) -> Case {
    match dialect.clause(role, case.id) {
        Some((level, clause)) => Case { level, clause, ..case },
        None => case,
    }
}

/// What a client asks a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Nothing: the server speaks first.
    Greeting,
    /// Introduces the client and asks what the server offers, before TLS.
    Hello,
    /// Asks for TLS.
    Upgrade,
    /// Asks for TLS with a parameter that the protocol does not have.
    Argument,
    /// The first question inside TLS, which every server answers.
    Inside,
    /// The planted command: harmless, and its answer differs from that to [`Inside`](Self::Inside).
    Planted,
    /// Begins a login, but sends no name and no password.
    Login,
    /// Says goodbye.
    Quit,
}

/// What an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Success. To [`Ask::Upgrade`]: the go-ahead.
    Yes,
    /// The server asks for more, as within a login.
    More,
    /// Refused for a time.
    Later,
    /// Refused.
    No,
    /// Nothing that the protocol has in this place.
    Strange,
}

/// State that a server must forget when TLS begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leftover {
    /// The case.
    pub(crate) case: &'static str,
    /// The commands before TLS. Each is sent after the answer to the previous one. Without any, [`Ask::Hello`] has made the
    /// state.
    pub(crate) before: &'static [&'static [u8]],
    /// The question whose answers have the form of the answers to all these commands.
    pub(crate) form: Ask,
    /// What each answer to them looks like where the server takes them.
    pub(crate) taken: Looks,
    /// The commands inside TLS, sent in the same way.
    pub(crate) inside: &'static [&'static [u8]],
    /// What the answer to the last of them looks like where the state survives, and without it does not.
    pub(crate) survives: Looks,
}

/// How an answer is recognised.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Looks {
    /// It is a success.
    Success,
    /// It is a success, or asks for more.
    Progress,
    /// It contains these bytes.
    Has(&'static [u8]),
    /// It is the answer of a server that got all commands inside TLS. They make a login with a made-up name, which fails.
    FailedLogin,
}

/// The server, as far as a client knows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer<'a> {
    /// The host name or domain by which the user names it.
    pub(crate) name: &'a str,
    /// All that it said before TLS on this connection, in order.
    pub(crate) said: &'a [u8],
}

/// A protocol in both roles.
pub(crate) trait Dialect: Sync {
    /// Its name, ports and properties.
    fn protocol(&self) -> Protocol;

    /// Whether the server speaks first on a fresh connection.
    fn greets(&self) -> bool {
        true
    }

    /// Whether the server speaks first inside TLS. What it says there is an answer to [`Ask::Greeting`].
    fn greets_inside(&self, peer: &Peer<'_>) -> bool {
        let _ = peer;
        self.protocol().server_first
    }

    /// The bytes that ask; `None` where the protocol has no such question. `Planted` contains [`MARK`] where the protocol
    /// returns what it was told.
    fn ask(&self, ask: Ask, peer: &Peer<'_>) -> Option<Vec<u8>>;

    /// The length of a whole answer to `ask` at the start of `bytes`, or `None` while it is incomplete. Answers that are
    /// known to precede the answer are part of it. 0 where servers do not answer. `peer.said` does not contain `bytes`.
    fn answer_len(&self, ask: Ask, peer: &Peer<'_>, bytes: &[u8]) -> Option<usize>;

    /// The length of what a server may say at any time without being asked, at the start of `bytes`.
    fn unasked_len(&self, bytes: &[u8]) -> usize {
        let _ = bytes;
        0
    }

    /// Whether what a server says inside TLS before any question refuses what came before TLS, without reading it as a
    /// question. The connection ends with it.
    fn refuses_planted(&self, inside: &[u8]) -> bool {
        let _ = inside;
        false
    }

    /// The meaning of a whole answer. To [`Ask::Inside`] each answer that a server gives to this question is a yes,
    /// also that it does not know the user; only one that it gives to no client is not.
    fn meaning(&self, ask: Ask, answer: &[u8]) -> Answer;

    /// Whether the server offers TLS, by its greeting and its answer to [`Ask::Hello`]. `None`: the protocol does not tell.
    fn offers_tls(&self, greeting: &[u8], hello: &[u8]) -> Option<bool>;

    /// Whether the server offers logins that show the password to everyone on the way, by the same answers. `None`: the
    /// protocol does not tell.
    fn offers_login(&self, greeting: &[u8], hello: &[u8]) -> Option<bool> {
        let _ = (greeting, hello);
        None
    }

    /// Whether what a server sent contains an answer to [`Ask::Planted`].
    fn answers_planted(&self, inside: &[u8]) -> bool;

    /// Whether what a client sent before TLS uses the service: it does more than ask what the server offers. Names and
    /// passwords are looked for anyway.
    fn uses(&self, plaintext: &[u8]) -> bool {
        let _ = plaintext;
        false
    }

    /// Whether a server of this protocol can send a client elsewhere before TLS.
    fn refers(&self) -> bool {
        false
    }

    /// The weight and the source of a case for the tested side, where the protocol's own standard differs from what the
    /// case says for all protocols.
    fn clause(&self, role: Role, case: &str) -> Option<(Level, &'static str)> {
        let _ = (role, case);
        None
    }

    /// The id of the stream that an answer to [`Ask::Hello`] or [`Ask::Inside`] opens, in protocols with streams.
    fn stream_id(&self, answer: &[u8]) -> Option<String> {
        let _ = answer;
        None
    }

    /// State that must not survive.
    fn leftovers(&self) -> &'static [Leftover] {
        &[]
    }

    /// A server without TLS's own part, for tests of clients.
    fn service(&self, setup: Setup) -> Box<dyn Service>;
}

/// The text that tells planted bytes from others.
pub(crate) const MARK: &str = "planted7421";

/// The host name that our side uses: it never exists (RFC 6761 section 6.4).
pub(crate) const HOST: &str = "check.invalid";

/// What a server of ours offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Setup {
    /// Whether it offers TLS before TLS.
    pub(crate) offers: bool,
    /// Whether it offers TLS inside TLS, which no server may.
    pub(crate) offers_inside: bool,
    /// The greeting.
    pub(crate) greeting: Greeting,
    /// The port of another server to which clients are referred before TLS.
    pub(crate) refer: Option<u16>,
    /// Whether it offers one kind of login before TLS and only another one inside.
    pub(crate) logins_change: bool,
}

impl Setup {
    /// As servers should be.
    pub(crate) const CLEAN: Self = Self {
        offers: true,
        offers_inside: false,
        greeting: Greeting::Welcome,
        refer: None,
        logins_change: false,
    };
}

/// How a server greets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Greeting {
    /// As it should be.
    Welcome,
    /// The client is logged in already, so that it may believe that TLS is not necessary.
    LoggedIn,
    /// The server takes no clients.
    Refusal,
    /// Something that is no greeting.
    Strange,
}

/// How a server answers the request for TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// The go-ahead.
    GoAhead,
    /// Refused for a time.
    Later,
    /// Refused.
    No,
    /// A reply that resembles the go-ahead. Clients that look only at its begin take it; the number counts the forms.
    Almost(usize),
}

/// What a server does with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Served {
    /// It answers; perhaps with nothing.
    Answer(Vec<u8>),
    /// The client asks for TLS. [`Service::reply`] has the answers.
    Upgrade,
    /// It answers and closes.
    Close(Vec<u8>),
}

/// A server of one connection, without TLS. It accepts every login and keeps no mail.
pub(crate) trait Service: Send {
    /// What the server says without being asked: on a fresh connection, and inside TLS if the protocol's servers speak
    /// first there.
    fn greeting(&mut self, inside: bool) -> Vec<u8>;

    /// The length of the first whole request in `bytes`.
    fn request_len(&self, bytes: &[u8]) -> Option<usize>;

    /// Serves a whole request.
    fn serve(&mut self, request: &[u8], inside: bool) -> Served;

    /// The answer to a request for TLS; `None` if the protocol has no such answer.
    fn reply(&self, kind: Reply, request: &[u8]) -> Option<Vec<u8>>;

    /// The go-ahead that an attacker sends before the client has asked for it; `None` if it has to know the request.
    fn early_go_ahead(&self) -> Option<Vec<u8>> {
        self.reply(Reply::GoAhead, &[])
    }

    /// What an attacker sends after the go-ahead, or before the request: answers to the client's next requests, with
    /// [`MARK`] where the protocol has room for it. `None` if none makes sense.
    fn planted(&self) -> Option<Vec<u8>>;

    /// TLS begins: forgets everything.
    fn forget(&mut self);

    /// Whether the client used inside TLS a login that was offered only before it.
    fn used_stale_login(&self) -> bool {
        false
    }
}
