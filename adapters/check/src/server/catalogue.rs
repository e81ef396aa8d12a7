//! The list of cases, with their weights and sources.

use starttls::Protocol;

use super::bench::Bench;
use super::{Trouble, capabilities, injection, limits, logins, requests, smuggling, state, tls};
use crate::dialect::{Ask, Dialect, Peer, weighed};
use crate::judge::Seen;
use crate::report::{Case, Level, Role};

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

const fn test(case: Case, run: Run) -> Test {
    Test { case, run, fits: |_| true }
}

impl Test {
    const fn fits(self, fits: fn(&dyn Dialect) -> bool) -> Self {
        Self { fits, ..self }
    }
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
const ALL: &[Test] = &[
    test(
        Case {
            id: WORKS,
            level: Level::Must,
            clause: "class/offer",
            title: "TLS that is offered works",
            demand: "A server that offers TLS answers the request with the go-ahead and completes the handshake.",
            remedy: "Give the server a certificate and its key, or stop the offer.",
        },
        requests::works,
    ),
    test(
        Case {
            id: "injection/same-segment",
            level: Level::Must,
            clause: "cve-2011-0411",
            title: "a command in the segment of the request",
            demand: "What a client sent before TLS is never read as if it came from inside TLS.",
            remedy: "When TLS is requested, close the connection or discard the read buffer if something is in it; build a new reader for TLS.",
        },
        injection::same_segment,
    )
    .fits(has_planted),
    test(
        Case {
            id: "injection/next-segment",
            level: Level::Must,
            clause: "cve-2011-0411",
            title: "a command in a segment right after the request",
            demand: "What a client sent before TLS is never read as if it came from inside TLS.",
            remedy: "Discard or refuse what is read between the request and the handshake, however it is cut into segments.",
        },
        injection::next_segment,
    )
    .fits(has_planted),
    test(
        Case {
            id: "injection/a-millisecond-later",
            level: Level::Must,
            clause: "cve-2011-0411",
            title: "a command a millisecond after the request",
            demand: "What a client sent before TLS is never read as if it came from inside TLS.",
            remedy: "Look at the socket's bytes only through TLS once the go-ahead is sent.",
        },
        injection::later,
    )
    .fits(has_planted),
    test(
        Case {
            id: "injection/after-the-go-ahead",
            level: Level::Must,
            clause: "cve-2011-0411",
            title: "a command in plaintext after the go-ahead",
            demand: "After the go-ahead a server reads nothing but TLS.",
            remedy: "Look at the socket's bytes only through TLS once the go-ahead is sent.",
        },
        injection::after_go_ahead,
    )
    .fits(|dialect| has_planted(dialect) && has_go_ahead(dialect)),
    test(
        Case {
            id: "injection/half-a-line",
            level: Level::Must,
            clause: "cve-2011-0411",
            title: "the begin of a command in the segment of the request",
            demand: "A command that began before TLS is not completed by what comes inside TLS.",
            remedy: "Discard the read buffer when TLS is requested, also an unfinished line.",
        },
        injection::half_line,
    )
    .fits(|dialect| has_planted(dialect) && has_lines(dialect)),
    test(
        Case {
            id: "injection/second-request",
            level: Level::Must,
            clause: "cve-2011-0411",
            title: "the request twice in one segment",
            demand: "The second request is not answered inside TLS.",
            remedy: "Discard or refuse what follows the request.",
        },
        injection::second_request,
    )
    .fits(has_go_ahead),
    test(
        Case {
            id: "request/argument",
            level: Level::Hardening,
            clause: "class/arguments",
            title: "the request with a parameter",
            demand: "The request for TLS has no parameters; with one it is a mistake.",
            remedy: "Answer with the code for a syntax error, and do not begin TLS.",
        },
        requests::argument,
    )
    .fits(|dialect| has(dialect, Ask::Argument)),
    test(
        Case {
            id: "request/within-login",
            level: Level::Must,
            clause: "class/fixation",
            title: "the request in the middle of a login",
            demand: "TLS does not begin while a login is half done, so that nothing of it is carried over.",
            remedy: "Take the line for a response of the login, and refuse it.",
        },
        requests::within_login,
    )
    .fits(|dialect| has(dialect, Ask::Login)),
    test(
        Case {
            id: "request/inside-tls",
            level: Level::Should,
            clause: "class/twice",
            title: "the request inside TLS",
            demand: "TLS begins once on a connection. Inside TLS the request is refused.",
            remedy: "Refuse the request when TLS is active.",
        },
        requests::inside,
    )
    .fits(|dialect| has_go_ahead(dialect) && dialect.protocol().begins_anew),
    test(
        Case {
            id: "request/bare-lf",
            level: Level::Hardening,
            clause: "class/smuggling",
            title: "the request in a line that ends with LF alone",
            demand: "Lines end with CRLF. A server that takes others disagrees with proxies about where commands end.",
            remedy: "Do not take LF alone for the end of a command.",
        },
        requests::bare_lf,
    )
    .fits(has_lines),
    test(
        Case {
            id: "offer/inside-tls",
            level: Level::Should,
            clause: "class/twice",
            title: "the offer inside TLS",
            demand: "A server does not offer TLS inside TLS.",
            remedy: "Leave TLS out of the capabilities when it is active.",
        },
        capabilities::inside,
    )
    .fits(|dialect| {
        dialect.offers_tls(b"", b"").is_some()
            && dialect.protocol().begins_anew
            && has(dialect, Ask::Hello)
    }),
    test(
        Case {
            id: "state/hello",
            level: Level::Must,
            clause: "rfc3207/4.2",
            title: "the client's name from before TLS",
            demand: "A server discards what it learned from the client before TLS, such as its name.",
            remedy: "Build the session anew when TLS is up.",
        },
        state::hello,
    )
    .fits(|dialect| dialect.leftovers().iter().any(|left| left.case == "state/hello")),
    test(
        Case {
            id: "state/transaction",
            level: Level::Must,
            clause: "rfc3207/4.2",
            title: "a transaction from before TLS",
            demand: "A server discards what it learned from the client before TLS: a sender, a selection, a user name.",
            remedy: "Build the session anew when TLS is up.",
        },
        state::transaction,
    )
    .fits(|dialect| dialect.leftovers().iter().any(|left| left.case == "state/transaction")),
    test(
        Case {
            id: "login/offered-in-plaintext",
            level: Level::Should,
            clause: "rfc8314/4.1",
            title: "logins by password are offered before TLS",
            demand: "A server offers logins that show the password only inside TLS.",
            remedy: "Offer PLAIN, LOGIN and the like only inside TLS.",
        },
        logins::offered,
    )
    .fits(|dialect| dialect.offers_login(b"", b"").is_some()),
    test(
        Case {
            id: "login/begun-in-plaintext",
            level: Level::Should,
            clause: "rfc8314/4.1",
            title: "a login by password begins before TLS",
            demand: "A server refuses logins that show the password outside TLS, before the client has sent it.",
            remedy: "Answer AUTH, USER and the like before TLS with an error that asks for TLS.",
        },
        logins::begun,
    )
    .fits(|dialect| has(dialect, Ask::Login)),
    test(
        Case {
            id: "tls/hello-in-pieces",
            level: Level::Must,
            clause: "rfc8446/5.1",
            title: "a ClientHello in three segments",
            demand: "A ClientHello may arrive in any number of segments.",
            remedy: "Read until the TLS library has the whole record; do not peek at the first segment alone.",
        },
        tls::in_pieces,
    ),
    test(
        Case {
            id: "tls/large-hello",
            level: Level::Must,
            clause: "rfc8446/4.1.2",
            title: "a ClientHello of 1,800 bytes",
            demand: "A ClientHello may be larger than a segment: with post-quantum key shares it is.",
            remedy: "Do not limit the first record to the size of a segment.",
        },
        tls::large,
    ),
    test(
        Case {
            id: "tls/after-a-failed-handshake",
            level: Level::Hardening,
            clause: "class/downgrade",
            title: "plaintext after a failed handshake",
            demand: "When the handshake fails, the connection ends; commands in plaintext are not served on it.",
            remedy: "Close the connection when the handshake fails.",
        },
        tls::after_failure,
    ),
    test(
        Case {
            id: "tls/old-versions",
            level: Level::Must,
            clause: "rfc8996/4",
            title: "TLS 1.0 and 1.1",
            demand: "TLS 1.0 and 1.1 are not negotiated.",
            remedy: "Set the lowest version to TLS 1.2.",
        },
        tls::old_versions,
    ),
    test(
        Case {
            id: "tls/certificate",
            level: Level::Should,
            clause: "rfc9525/6",
            title: "the certificate",
            demand: "A client that knows the CA can verify the certificate for the name that it uses.",
            remedy: "Use a certificate for this name, in time, with its whole chain; or pass the right CA to this test.",
        },
        tls::certificate,
    ),
    test(
        Case {
            id: "tls/other-port",
            level: Level::Hardening,
            clause: "class/opossum",
            title: "the same certificate on the port for implicit TLS",
            demand: "Where TLS begins in two ways under one name, an attacker can lead a client of one to the other. ALPN tells them apart.",
            remedy: "Serve only one of the two, or refuse clients without the ALPN id on the port for implicit TLS.",
        },
        tls::other_port,
    )
    .fits(|dialect| dialect.protocol().implicit_port.is_some() && !dialect.protocol().demands_alpn()),
    test(
        Case {
            id: "tls/direct-without-alpn",
            level: Level::Must,
            clause: "class/cross-protocol",
            title: "implicit TLS on the same port without ALPN",
            demand: "Where implicit TLS shares the port with plaintext, a client without the ALPN id is refused.",
            remedy: "Demand the ALPN id on connections that begin with TLS.",
        },
        tls::direct_without_alpn,
    )
    .fits(|dialect| dialect.protocol().demands_alpn()),
    test(
        Case {
            id: "limit/silence-after-the-go-ahead",
            level: Level::Hardening,
            clause: "cve-2026-25949",
            title: "a client that is silent after the go-ahead",
            demand: "A server waits for a ClientHello for a limited time.",
            remedy: "Set a deadline for the whole handshake, from the go-ahead on.",
        },
        limits::silence,
    ),
    test(
        Case {
            id: "limit/endless-line",
            level: Level::Hardening,
            clause: "class/exhaustion",
            title: "a line of a mebibyte without an end",
            demand: "A server limits the length of a line, and says so or closes.",
            remedy: "Limit what is kept of a line that has not ended.",
        },
        limits::endless_line,
    )
    .fits(has_lines),
    test(
        Case {
            id: "smuggling/end-of-data",
            level: Level::Must,
            clause: "cve-2023-51764",
            title: "ends of a message that are none",
            demand: "Only CRLF, a dot and CRLF end a message. Everything else is a part of it or an error.",
            remedy: "Do not take a lone CR or LF for the end of a line in a message.",
        },
        smuggling::end_of_data,
    )
    .fits(is_mail),
];
