//! The list of cases, with their weights and sources.

use starttls::Protocol;

use super::bench::Bench;
use super::{Trouble, capabilities, injection, limits, logins, requests, smuggling, state, tls};
use crate::dialect::{Ask, Dialect, Peer, weighed};
use crate::judge::Seen;
use crate::report::{Case, Level, Role, cases};

/// What runs a case.
pub(crate) type Run = fn(&Bench<'_>) -> Result<Seen, Trouble>;

/// A case and what runs it.
#[derive(Clone, Copy)]
pub(crate) struct Test {
    pub(crate) case: Case,
    pub(crate) run: Run,
    /// Whether a protocol can have the fault.
    fits: fn(&dyn Dialect) -> bool,
}

/// The case without which no other one can run.
pub(crate) const WORKS: &str = "offer/works";

/// The cases that a protocol can have, with its own clauses.
pub(crate) fn of(dialect: &'static dyn Dialect) -> impl Iterator<Item = Test> {
    ALL.iter()
        .filter(move |test| (test.fits)(dialect))
        .map(move |test| Test { case: weighed(dialect, Role::Server, test.case), ..*test })
}

const fn always(_: &dyn Dialect) -> bool {
    true
}

/// No connection: only whether the protocol has something is asked.
const UNKNOWN: Peer<'_> = Peer { name: "", said: &[] };

fn has(dialect: &dyn Dialect, ask: Ask) -> bool {
    dialect.ask(ask, &UNKNOWN).is_some()
}

fn has_go_ahead(dialect: &dyn Dialect) -> bool {
    dialect.answer_len(Ask::Upgrade, &UNKNOWN, b"") != Some(0)
}

fn has_planted(dialect: &dyn Dialect) -> bool {
    has(dialect, Ask::Planted)
}

fn has_lines(dialect: &dyn Dialect) -> bool {
    dialect.ask(Ask::Upgrade, &UNKNOWN).is_some_and(|request| request.ends_with(b"\r\n"))
}

fn is_mail(dialect: &dyn Dialect) -> bool {
    [Protocol::SMTP, Protocol::LMTP].contains(&dialect.protocol())
}

/// All cases, in the order in which they run.
const ALL: &[Test] = &cases![
    WORKS Must "class/offer",
        "TLS that is offered works",
        "A server that offers TLS answers the request with the go-ahead and completes the handshake.",
        "Give the server a certificate and its key, or stop the offer.",
        requests::works, always;
    "injection/same-segment" Must "cve-2011-0411",
        "a command in the segment of the request",
        "What a client sent before TLS is never read as if it came from inside TLS.",
        "When TLS is requested, close the connection or discard the read buffer if something is in it; build a new reader for TLS.",
        injection::same_segment, has_planted;
    "injection/next-segment" Must "cve-2011-0411",
        "a command in a segment right after the request",
        "What a client sent before TLS is never read as if it came from inside TLS.",
        "Discard or refuse what is read between the request and the handshake, however it is cut into segments.",
        injection::next_segment, has_planted;
    "injection/a-millisecond-later" Must "cve-2011-0411",
        "a command a millisecond after the request",
        "What a client sent before TLS is never read as if it came from inside TLS.",
        "Look at the socket's bytes only through TLS once the go-ahead is sent.",
        injection::later, has_planted;
    "injection/after-the-go-ahead" Must "cve-2011-0411",
        "a command in plaintext after the go-ahead",
        "After the go-ahead a server reads nothing but TLS.",
        "Look at the socket's bytes only through TLS once the go-ahead is sent.",
        injection::after_go_ahead, |dialect| has_planted(dialect) && has_go_ahead(dialect);
    "injection/half-a-line" Must "cve-2011-0411",
        "the begin of a command in the segment of the request",
        "A command that began before TLS is not completed by what comes inside TLS.",
        "Discard the read buffer when TLS is requested, also an unfinished line.",
        injection::half_line, |dialect| has_planted(dialect) && has_lines(dialect);
    "injection/second-request" Must "cve-2011-0411",
        "the request twice in one segment",
        "The second request is not answered inside TLS.",
        "Discard or refuse what follows the request.",
        injection::second_request, has_go_ahead;
    "request/argument" Hardening "class/arguments",
        "the request with a parameter",
        "The request for TLS has no parameters; with one it is a mistake.",
        "Answer with the code for a syntax error, and do not begin TLS.",
        requests::argument, |dialect| has(dialect, Ask::Argument);
    "request/within-login" Must "class/fixation",
        "the request in the middle of a login",
        "TLS does not begin while a login is half done, so that nothing of it is carried over.",
        "Take the line for a response of the login, and refuse it.",
        requests::within_login, |dialect| has(dialect, Ask::Login);
    "request/inside-tls" Should "class/twice",
        "the request inside TLS",
        "TLS begins once on a connection. Inside TLS the request is refused.",
        "Refuse the request when TLS is active.",
        requests::inside, |dialect| has_go_ahead(dialect) && dialect.protocol().begins_anew;
    "request/bare-lf" Hardening "class/smuggling",
        "the request in a line that ends with LF alone",
        "Lines end with CRLF. A server that takes others disagrees with proxies about where commands end.",
        "Do not take LF alone for the end of a command.",
        requests::bare_lf, has_lines;
    "offer/inside-tls" Should "class/twice",
        "the offer inside TLS",
        "A server does not offer TLS inside TLS.",
        "Leave TLS out of the capabilities when it is active.",
        capabilities::inside, |dialect| {
        dialect.offers_tls(b"", b"").is_some()
            && dialect.protocol().begins_anew
            && has(dialect, Ask::Hello)
    };
    "state/hello" Must "rfc3207/4.2",
        "the client's name from before TLS",
        "A server discards what it learned from the client before TLS, such as its name.",
        "Build the session anew when TLS is up.",
        state::hello, |dialect| state::has(dialect, "state/hello");
    "state/transaction" Must "rfc3207/4.2",
        "a transaction from before TLS",
        "A server discards what it learned from the client before TLS: a sender, a selection, a user name.",
        "Build the session anew when TLS is up.",
        state::transaction, |dialect| state::has(dialect, "state/transaction");
    "state/user" Hardening "class/fixation",
        "a user's name from before TLS",
        "A server discards what it learned from the client before TLS, such as the name for a login.",
        "Build the session anew when TLS is up.",
        state::user, |dialect| state::has(dialect, "state/user");
    "state/capabilities" Hardening "class/fixation",
        "a capability that was requested before TLS",
        "A server discards what was agreed on before TLS, such as capabilities.",
        "Build the session anew when TLS is up.",
        state::capabilities, |dialect| state::has(dialect, "state/capabilities");
    "state/options" Hardening "class/fixation",
        "an option that was agreed on before TLS",
        "A server discards what was agreed on before TLS, such as options.",
        "Build the session anew when TLS is up.",
        state::options, |dialect| state::has(dialect, "state/options");
    "state/stream-id" Hardening "class/fixation",
        "the id of the stream from before TLS",
        "Inside TLS a server opens a new stream, with an id of its own.",
        "Make a new id for each stream.",
        state::stream_id, |dialect| dialect.stream_id(b"<stream:stream id='a'>").is_some();
    "login/offered-in-plaintext" Should "rfc8314/4.1",
        "logins by password are offered before TLS",
        "A server offers logins that show the password only inside TLS.",
        "Offer PLAIN, LOGIN and the like only inside TLS.",
        logins::offered, |dialect| dialect.offers_login(b"", b"").is_some();
    "login/begun-in-plaintext" Should "rfc8314/4.1",
        "a login by password begins before TLS",
        "A server refuses logins that show the password outside TLS, before the client has sent it.",
        "Answer AUTH, USER and the like before TLS with an error that asks for TLS.",
        logins::begun, |dialect| has(dialect, Ask::Login);
    "tls/hello-in-pieces" Must "rfc8446/5.1",
        "a ClientHello in three segments",
        "A ClientHello may arrive in any number of segments.",
        "Read until the TLS library has the whole record; do not peek at the first segment alone.",
        tls::in_pieces, always;
    "tls/large-hello" Must "rfc8446/4.1.2",
        "a ClientHello of 1,800 bytes",
        "A ClientHello may be larger than a segment: with post-quantum key shares it is.",
        "Do not limit the first record to the size of a segment.",
        tls::large, always;
    "tls/after-a-failed-handshake" Hardening "class/downgrade",
        "plaintext after a failed handshake",
        "When the handshake fails, the connection ends; commands in plaintext are not served on it.",
        "Close the connection when the handshake fails.",
        tls::after_failure, always;
    "tls/old-versions" Must "rfc8996/4",
        "TLS 1.0 and 1.1",
        "TLS 1.0 and 1.1 are not negotiated.",
        "Set the lowest version to TLS 1.2.",
        tls::old_versions, always;
    "tls/certificate" Should "rfc9525/6",
        "the certificate",
        "A client that knows the CA can verify the certificate for the name that it uses.",
        "Use a certificate for this name, in time, with its whole chain; or pass the right CA to this test.",
        tls::certificate, always;
    "tls/other-port" Hardening "class/opossum",
        "the same certificate on the port for implicit TLS",
        "Where TLS begins in two ways under one name, an attacker can lead a client of one to the other. ALPN tells them apart.",
        "Serve only one of the two, or refuse clients without the ALPN id on the port for implicit TLS.",
        tls::other_port, |dialect| dialect.protocol().implicit_port.is_some() && !dialect.protocol().demands_alpn();
    "tls/direct-without-alpn" Must "class/cross-protocol",
        "implicit TLS on the same port without ALPN",
        "Where implicit TLS shares the port with plaintext, a client without the ALPN id is refused.",
        "Demand the ALPN id on connections that begin with TLS.",
        tls::direct_without_alpn, |dialect| dialect.protocol().demands_alpn();
    "limit/silence-after-the-go-ahead" Hardening "cve-2026-25949",
        "a client that is silent after the go-ahead",
        "A server waits for a ClientHello for a limited time.",
        "Set a deadline for the whole handshake, from the go-ahead on.",
        limits::silence, always;
    "limit/slow-hello" Hardening "class/exhaustion",
        "a ClientHello in single bytes, slowly",
        "A server waits for a whole handshake for a limited time. Single bytes gain no time.",
        "Set a deadline for the whole handshake, not for each read.",
        limits::slow_hello, has_go_ahead;
    "limit/slow-command" Hardening "class/exhaustion",
        "a command in single bytes, slowly",
        "A server waits for a whole command for a limited time. Single bytes gain no time.",
        "Set a deadline for each command, not for each read.",
        limits::slow_command, has_planted;
    "limit/endless-line" Hardening "class/exhaustion",
        "a line of a mebibyte without an end",
        "A server limits the length of a line, and says so or closes.",
        "Limit what is kept of a line that has not ended, and answer or close then. From outside a server that discards the rest looks like one that keeps it: if yours does, ignore this.",
        limits::endless_line, has_lines;
    "smuggling/end-of-data" Must "cve-2023-51764",
        "what looks like the end of a message",
        "Only CRLF, a dot and CRLF end a message. Everything else is a part of it or an error.",
        "Do not take a lone CR or LF for the end of a line in a message.",
        smuggling::end_of_data, is_mail;
];
