//! The list of cases, with their weights and sources.

use starttls::Protocol;

use super::cases::{self, Judged};
use super::{Bench, Run};
use crate::dialect::{Dialect, Reply, Setup, weighed};
use crate::report::{Case, Level, Role, cases};

/// A case and what runs it. It gets the clean run.
#[derive(Clone, Copy)]
pub(super) struct Test {
    pub(super) case: Case,
    pub(super) run: fn(&Bench<'_>, &Run) -> Judged,
    /// Whether a protocol can have the fault.
    fits: fn(&dyn Dialect) -> bool,
}

/// The cases that a protocol can have, with its own clauses.
pub(super) fn of(dialect: &'static dyn Dialect) -> impl Iterator<Item = Test> {
    ALL.iter()
        .filter(move |test| (test.fits)(dialect))
        .map(move |test| Test { case: weighed(dialect, Role::Client, test.case), ..*test })
}

fn has_go_ahead(dialect: &dyn Dialect) -> bool {
    dialect.service(Setup::CLEAN).reply(Reply::Almost(0), b"x x\r\n").is_some()
}

fn has_planted(dialect: &dyn Dialect) -> bool {
    dialect.service(Setup::CLEAN).planted().is_some()
}

fn offers(dialect: &dyn Dialect) -> bool {
    dialect.offers_tls(b"", b"").is_some() && dialect.protocol().begins_anew
}

fn is_mail(dialect: &dyn Dialect) -> bool {
    [Protocol::SMTP, Protocol::LMTP].contains(&dialect.protocol())
}

fn greets(dialect: &dyn Dialect) -> bool {
    dialect.greets() && dialect.protocol().begins_anew
}

const ALL: &[Test] = &cases![
    "stripping/not-offered" Must "class/stripping",
        "TLS is not offered, and refused",
        "A client that requires TLS sends no login and does nothing without it.",
        "End the connection when the server does not offer TLS.",
        cases::not_offered, |_| true;
    "stripping/refused-for-a-time" Must "cve-2016-0772",
        "the request is refused for a time",
        "A client that requires TLS sends no login and does nothing without it.",
        "Look at the reply to the request for TLS, and end the connection if it is not the go-ahead.",
        cases::refused_for_a_time, |_| true;
    "stripping/refused" Must "cve-2016-0772",
        "the request is refused",
        "A client that requires TLS sends no login and does nothing without it.",
        "Look at the reply to the request for TLS, and end the connection if it is not the go-ahead.",
        cases::refused, |_| true;
    "stripping/closed" Must "class/stripping",
        "the connection ends instead of a reply to the request",
        "A client that requires TLS does not try again without it.",
        "Keep the requirement for all further connections to the server.",
        cases::closed, |_| true;
    "stripping/other-replies" Must "cve-2021-32066",
        "replies that resemble the go-ahead, and no TLS after them",
        "Only the one go-ahead of the protocol begins TLS; after every other reply a client that requires TLS ends.",
        "Compare the whole reply: its code or tag and its status.",
        cases::other_replies, has_go_ahead;
    "go-ahead/other-replies" Should "class/go-ahead",
        "replies that resemble the go-ahead",
        "Only the one go-ahead of the protocol begins TLS.",
        "Compare the whole reply: its code or tag and its status.",
        cases::no_go_ahead, has_go_ahead;
    "injection/same-segment" Must "cve-2021-22947",
        "replies in the segment of the go-ahead",
        "What a server sent before TLS is never read as if it came from inside TLS.",
        "End the connection if something follows the go-ahead, or discard the read buffer; build a new reader for TLS.",
        cases::same_segment, has_planted;
    "injection/next-segment" Must "cve-2021-22947",
        "replies in a segment right after the go-ahead",
        "What a server sent before TLS is never read as if it came from inside TLS.",
        "Look at the socket's bytes only through TLS after the go-ahead.",
        cases::next_segment, has_planted;
    "injection/a-millisecond-later" Must "cve-2021-22947",
        "replies a millisecond after the go-ahead",
        "What a server sent before TLS is never read as if it came from inside TLS.",
        "Look at the socket's bytes only through TLS after the go-ahead.",
        cases::later, has_planted;
    "injection/early-go-ahead" Hardening "cve-2026-42246",
        "the go-ahead before the request",
        "A reply answers a request that was sent before it.",
        "Refuse replies that arrive before their request; make tags unpredictable.",
        cases::early_reply, |dialect| offers(dialect) && has_go_ahead(dialect);
    "injection/greeting-inside-tls" Hardening "class/opossum",
        "a greeting inside TLS, where the client speaks first",
        "A client that was led to the port for implicit TLS takes the greeting there for no answer.",
        "Refuse what arrives inside TLS before the first request, or what does not answer it.",
        cases::greeting_inside, |dialect| greets(dialect) && !dialect.protocol().server_first;
    "state/logins" Must "class/forgotten-capabilities",
        "other logins are offered inside TLS than before",
        "A client discards what it learned from the server before TLS.",
        "Ask for the capabilities again inside TLS, and use only those.",
        cases::stale_logins, |dialect| dialect.offers_login(b"", b"").is_some();
    "state/hello" Should "rfc3207/4.2",
        "the first command inside TLS",
        "The first command inside TLS is EHLO.",
        "Introduce the client again when TLS is up.",
        cases::hello_again, is_mail;
    "greeting/logged-in" Must "class/greeting",
        "a greeting that says that the client is logged in",
        "A client that requires TLS does not go on without it, whatever the greeting says.",
        "End the connection when the greeting does not allow the request for TLS.",
        cases::logged_in, greets;
    "greeting/refusal" Must "class/greeting",
        "a greeting that refuses",
        "A client that requires TLS does not go on without it, whatever the greeting says.",
        "End the connection after a greeting that refuses.",
        cases::refusing, greets;
    "greeting/strange" Must "cve-2020-28896",
        "a greeting that is none",
        "A client that requires TLS does not go on without it, whatever the greeting says.",
        "End the connection after a greeting that the protocol does not have.",
        cases::strange, greets;
    "referral/before-tls" Must "class/referral",
        "a referral to another server before TLS",
        "What a server says before TLS does not lead the client elsewhere.",
        "Ignore referrals before TLS.",
        cases::referred, |dialect| dialect.refers();
    "certificate/self-signed" Must "rfc9525/6",
        "a self-signed certificate",
        "A client verifies the certificate's chain.",
        "Verify the certificate, and end the connection if that fails.",
        cases::self_signed, |_| true;
    "certificate/unknown-ca" Must "rfc9525/6",
        "a certificate of an unknown CA",
        "A client verifies the certificate's chain.",
        "Verify the certificate, and end the connection if that fails.",
        cases::other_ca, |_| true;
    "certificate/expired" Must "rfc5280/6.1",
        "a certificate whose time is over",
        "A client verifies the certificate's validity.",
        "Verify the certificate's dates, and end the connection if that fails.",
        cases::expired, |_| true;
    "certificate/not-yet-valid" Must "rfc5280/6.1",
        "a certificate whose time has not come",
        "A client verifies the certificate's validity.",
        "Verify the certificate's dates, and end the connection if that fails.",
        cases::not_yet, |_| true;
    "certificate/other-name" Must "rfc9525/6",
        "a certificate for another name",
        "A client verifies that the certificate is for the name that it was told to use.",
        "Verify the certificate's name against the name that the user gave.",
        cases::other_name, |_| true;
    "certificate/for-clients" Should "rfc5280/4.2.1.12",
        "a certificate that is for clients only",
        "A client verifies that the certificate may be used by a server.",
        "Verify the extended key usage.",
        cases::for_clients, |_| true;
    "certificate/revoked" Should "rfc5280/6.3",
        "a certificate that the CA has revoked",
        "A client that has a list of revoked certificates refuses those on it.",
        "Check the whole chain against the list, and end the connection if a certificate is on it.",
        cases::revoked, |_| true;
    "tls/alert" Must "class/downgrade",
        "the handshake fails by an alert",
        "After a failed handshake a client does not go on, or try again, in plaintext.",
        "End the connection when the handshake fails.",
        cases::alert, |_| true;
    "tls/plaintext" Must "class/downgrade",
        "plaintext instead of a ServerHello",
        "After a failed handshake a client does not go on, or try again, in plaintext.",
        "End the connection when the handshake fails.",
        cases::plaintext, |_| true;
    "tls/ssl3" Must "rfc7568/3",
        "a ServerHello of SSL 3",
        "SSL 3 is not negotiated.",
        "Set the lowest version to TLS 1.2.",
        cases::old_version, |_| true;
    "limit/silence-after-the-go-ahead" Hardening "cve-2011-1947",
        "a server that is silent after the go-ahead",
        "A client waits for the handshake for a limited time.",
        "Set a deadline for the whole handshake.",
        cases::silence, |_| true;
    "limit/cut-inside-tls" Hardening "rfc8446/6.1",
        "a connection that is cut inside TLS",
        "A client ends when the connection does.",
        "Take the end of the connection for an error.",
        cases::cut, |_| true;
    "offer/inside-tls" Hardening "class/twice",
        "TLS is offered inside TLS",
        "A client does not ask for TLS inside TLS.",
        "Ignore the offer when TLS is active.",
        cases::offered_inside, offers;
];
