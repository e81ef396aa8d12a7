//! The end of a command: exit codes, one line with advice, and JSON.

use std::ffi::OsStr;

use serde::Serialize;
use starttls::mail::session::{Command, Fate};
use starttls::{Error as Rule, Kind};
use starttls_std::{Doing, Error};

use crate::advice::advice;
use crate::certificate::Certificate;
use crate::ladder::Ladder;
use crate::misfit::hint;
use crate::out::{out, tell};
use crate::picture::Tone;
use crate::security::Security;
use crate::url::Url;

/// A message for standard error and an exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) message: String,
    pub(crate) code: u8,
}

impl Failure {
    /// Usage or I/O.
    pub(crate) fn local(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 1 }
    }

    pub(crate) fn from_io(error: std::io::Error) -> Self {
        Self::local(error.to_string())
    }
}

/// Lookups that failed temporarily.
pub(crate) const TEMPORARY: u8 = 10;

/// A mail with an unknown fate.
pub(crate) const UNKNOWN: u8 = 11;

/// A signal before every mail was tried.
pub(crate) const STOPPED: u8 = 12;

/// Mails that a run of the queue has not delivered.
pub(crate) const WAITING: u8 = 13;

/// The exit codes, each with the verdict on the server and its meaning.
const EXITS: [(u8, &str, &str); 14] = [
    (0, "", "upgraded and verified (sent)"),
    (1, "not known", "usage error, or a problem on this machine: a file, a setting"),
    (2, "not upgraded", "not upgraded: TLS is not offered"),
    (3, "not upgraded", "not upgraded: refused"),
    (4, "not upgraded", "not upgraded: protocol violation; the message names the rule"),
    (5, "not verified", "not verified, or TLS failed; the message says why"),
    (6, "", "a mail was rejected"),
    (7, "", "no host of the domain may receive the mail"),
    (8, "not reachable", "not reachable: the name has no address, or the connection failed"),
    (9, "not upgraded", "not upgraded, or not sent: the connection was lost or timed out"),
    (TEMPORARY, "", "a lookup failed; try again later"),
    (UNKNOWN, "", "the fate of a mail is unknown: it may arrive twice if sent again"),
    (STOPPED, "", "stopped by a signal before every mail was tried"),
    (WAITING, "", "mails wait in the queue for a later attempt"),
];

/// Findings of the tests.
pub(crate) const FINDINGS: u8 = 1;

/// The tests have no result.
pub(crate) const NO_RESULT: u8 = 2;

/// The commands that test other programs. CI tells by their codes a finding from a run that failed itself.
const TESTS: [&str; 2] = ["check", "test-client"];

/// The exit codes of these commands.
const EXITS_OF_TESTS: [(u8, &str); 3] = [
    (0, "no findings that count"),
    (FINDINGS, "findings: the tested side violates a demand"),
    (
        NO_RESULT,
        "no result: wrong usage, a clean dialogue that failed, or a report that was not written",
    ),
];

/// The exit codes of all commands but those of tests, for `--help`.
pub(crate) fn exit_codes(codes: &[u8]) -> String {
    listed(&EXITS.map(|(code, _, meaning)| (code, meaning)), codes)
}

/// The exit codes of a command, for its `--help`.
pub(crate) fn exit_codes_of(command: &str, codes: &[u8]) -> String {
    if TESTS.contains(&command) { listed(&EXITS_OF_TESTS, codes) } else { exit_codes(codes) }
}

fn listed(exits: &[(u8, &str)], codes: &[u8]) -> String {
    let lines = exits.iter().filter(|(code, _)| codes.contains(code));
    let lines: Vec<_> = lines.map(|(code, meaning)| format!("  {code}  {meaning}")).collect();
    format!("Exit codes:\n{}", lines.join("\n"))
}

/// The exit code for wrong arguments of a command.
pub(crate) fn of_usage(command: Option<&OsStr>) -> u8 {
    let tests = |command: &OsStr| TESTS.iter().any(|test| command == *test);
    if command.is_some_and(tests) { NO_RESULT } else { 1 }
}

/// The exit code of an error.
pub(crate) fn code(error: &Error) -> u8 {
    match error {
        Error::Unfinished { fate: Fate::Unknown, .. } => UNKNOWN,
        Error::Unfinished { error, .. } => code(error),
        Error::Tls(_) => 5,
        // The server was not reached.
        Error::Proxy { .. } => 8,
        // A problem of this machine, not of a mail.
        Error::Rejected { command: Command::Greeting | Command::Hello | Command::Helo, .. } => 3,
        Error::Rejected { .. } | Error::Protocol { error: Rule::MessageTooLarge, .. } => 6,
        Error::Protocol { error, .. } => match error.kind() {
            Kind::NotOffered => 2,
            Kind::Refused => 3,
            Kind::Violation => 4,
            Kind::Unverified => 5,
            Kind::Lost => 9,
            _ => 1,
        },
        Error::Io { doing, .. } => match doing {
            Doing::LookingUp | Doing::Connecting => 8,
            Doing::Handshake => 5,
            Doing::Sending | Doing::Receiving | Doing::Closing => 9,
            _ => 1,
        },
        _ => 1,
    }
}

/// The advice if a server refuses this machine's name.
pub(crate) const NAME_ANOTHER: &str =
    "Pass a name of this machine that the server accepts with --helo, or ask its operator.";

/// Whether the refusal of the name caused the failure; `introducing` if the name was the client's last command.
pub(crate) fn is_of_name(error: &Error, introducing: bool) -> bool {
    match error {
        Error::Rejected { command: Command::Hello | Command::Helo, .. } => true,
        Error::Protocol { error: Rule::Refused, .. } => introducing,
        Error::Unfinished { error, .. } => is_of_name(error, introducing),
        _ => false,
    }
}

/// The reason why a mail to `url` failed, with advice.
pub(crate) fn of_mail(error: &Error, url: &Url, ladder: &Ladder) -> Failure {
    if is_of_name(error, ladder.introducing) {
        return Failure { message: format!("{error}. {NAME_ANOTHER}"), code: code(error) };
    }
    Failure::at(error, url, &ladder.greeting)
}

/// The final verdict on a server, one for each kind of exit code: whether it is reachable, upgrades, and is verified. A
/// failure of this machine gives no verdict.
pub(crate) fn verdict(outcome: Result<(), &Error>) -> (String, Tone) {
    let Err(error) = outcome else {
        return ("upgraded and verified".to_owned(), Tone::Good);
    };
    let code = code(error);
    let word = EXITS.iter().find(|(known, ..)| *known == code).map(|(_, word, _)| *word);
    let word = word.filter(|word| !word.is_empty()).unwrap_or("not known");
    (format!("{word}: {error}"), Tone::Bad)
}

impl Failure {
    /// An error of a connection to `url`; `greeting` is the server's escaped greeting, empty if unknown.
    pub(crate) fn at(error: &Error, url: &Url, greeting: &str) -> Self {
        let hint = hint(error, url, greeting).unwrap_or_else(|| advice(error));
        let message = if hint.is_empty() { error.to_string() } else { format!("{error}. {hint}") };
        Self { message, code: code(error) }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let advice = advice(&error);
        let message =
            if advice.is_empty() { error.to_string() } else { format!("{error}. {advice}") };
        Self { message, code: code(&error) }
    }
}

/// Prints a JSON object.
pub(crate) fn print(report: &impl Serialize) {
    match serde_json::to_string(report) {
        Ok(json) => out!("{json}"),
        Err(error) => tell!("{error}"),
    }
}

/// The output of `probe --json`: one object, always with all keys.
#[derive(Debug, Serialize)]
pub(crate) struct Report<'a> {
    #[serde(flatten)]
    pub(crate) seen: Seen<'a>,
    /// The missing output of a verified server, in words.
    pub(crate) missing: Option<&'a str>,
    pub(crate) error: Option<String>,
}

/// The observations of a server.
#[derive(Debug, Serialize)]
pub(crate) struct Seen<'a> {
    pub(crate) protocol: &'a str,
    pub(crate) host: &'a str,
    /// The name that the certificate must have.
    pub(crate) name: &'a str,
    pub(crate) port: u16,
    /// Whether the server offers the upgrade; null if unknown.
    pub(crate) offered: Option<bool>,
    pub(crate) upgraded: bool,
    pub(crate) verified: bool,
    pub(crate) tls: Option<&'a Security>,
    pub(crate) certificate: Option<&'a Certificate>,
    pub(crate) violation: Option<Violation>,
}

/// A rule that the peer broke.
#[derive(Debug, Serialize)]
pub(crate) struct Violation {
    pub(crate) rule: &'static str,
    pub(crate) what: String,
}

impl Violation {
    pub(crate) fn of(error: &Error) -> Option<Self> {
        let error = error.protocol().filter(|error| error.kind() == Kind::Violation)?;
        Some(Self { rule: error.rule(), what: error.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tests_have_their_own_codes() {
        let of = |command| of_usage(Some(OsStr::new(command)));
        assert_eq!(TESTS.map(of), [NO_RESULT; 2]);
        assert_eq!(["probe", "--bad", ""].map(of), [1; 3]);
        assert_eq!(of_usage(None), 1);
        let codes = exit_codes_of("check", &[0, 1, 2]);
        let codes: Vec<_> = codes.lines().skip(1).map(|line| &line[..3]).collect();
        assert_eq!(codes, ["  0", "  1", "  2"]);
        assert_eq!(exit_codes_of("policy", &[0, 7]), exit_codes(&[0, 7]));
    }

    #[test]
    fn every_kind_has_its_code() {
        let protocol = |error| code(&Error::from(error));
        assert_eq!(protocol(Rule::NotOffered), 2);
        assert_eq!(protocol(Rule::Refused), 3);
        assert_eq!(protocol(Rule::Closing), 3);
        assert_eq!(protocol(Rule::PlaintextAfterGoAhead { unread: 1 }), 4);
        assert_eq!(protocol(Rule::MixedCodes), 4);
        assert_eq!(protocol(Rule::Unverified), 5);
        assert_eq!(protocol(Rule::MessageTooLarge), 6);
        assert_eq!(protocol(Rule::Closed), 9);
        assert_eq!(protocol(Rule::TimedOut), 9);
        let io = |doing| code(&Error::Io { doing, error: std::io::ErrorKind::Other.into() });
        assert_eq!(io(Doing::LookingUp), 8);
        assert_eq!(io(Doing::Connecting), 8);
        for error in [Error::from(Rule::Foreign), Error::from(Rule::TimedOut)] {
            assert_eq!(code(&Error::Proxy { proxy: "a:1".to_owned(), error: error.into() }), 8);
        }
        assert_eq!(io(Doing::Handshake), 5);
        assert_eq!(io(Doing::Receiving), 9);
        assert_eq!(io(Doing::Other("reading the CA file")), 1);
        assert_eq!(code(&Error::Tls(rustls::Error::DecryptError)), 5);
    }
}
