//! A report for the tests of the formats.

use std::io::Write as _;
use std::time::Duration;

use starttls_check::{Case, Exchange, Level, Mark, Outcome, Report, Role, Verdict};

use super::Baseline;

/// Text that no format may take for its own.
pub(super) const NASTY: &str = "</text><script>&\"'\u{0}\u{1b}[0m]]>--\u{ffff}\u{202e}";

const INJECTED: Case = Case::new(
    "injection/same-segment",
    Level::Must,
    "cve-2011-0411",
    "A command after STARTTLS in the same segment",
    "What a client sent before TLS has no effect inside TLS.",
    "Discard the input buffer before the handshake.",
);
const SPLIT: Case = Case::new(
    "injection/split",
    Level::Must,
    "class/injection",
    "A command in two halves, one on each side of the boundary",
    "A command before TLS does not continue inside TLS.",
    "Begin with an empty line buffer inside TLS.",
);
const ARGUMENT: Case = Case::new(
    "offer/argument",
    Level::Should,
    "rfc3207/4",
    "STARTTLS with a parameter",
    "The server refuses a parameter with 501.",
    "Refuse it.",
);
const FORGETS: Case = Case::new(
    "boundary/forgets",
    Level::Must,
    "rfc3207/4.2",
    "The client's name from before TLS",
    "The server forgets it.",
    "Reset the session.",
);
const PLAIN: Case = Case::new(
    "boundary/plain",
    Level::Hardening,
    "class/plaintext",
    "Plaintext in place of a handshake",
    "The server closes the connection.",
    "Close it.",
);

/// All cases of the report.
pub(super) const CASES: [Case; 5] = [INJECTED, SPLIT, ARGUMENT, FORGETS, PLAIN];

/// One outcome of each verdict.
pub(super) fn report() -> Report {
    let mut report = Report::new(Role::Server, "smtp", format!("mail.example.org:25 {NASTY}"));
    (report.control, report.control_passed) = (vec![exchange()], true);
    let mut failed = Outcome::new(
        INJECTED,
        Verdict::Fail,
        format!("the server answered the planted command: {NASTY}"),
    );
    failed.exchanges = vec![exchange(), exchange()];
    failed.took = Duration::from_millis(1250);
    let mut warned = Outcome::new(ARGUMENT, Verdict::Warning, "the server began TLS");
    warned.exchanges = vec![exchange()];
    report.outcomes = vec![
        failed,
        Outcome::new(SPLIT, Verdict::Pass, "no answer"),
        warned,
        Outcome::new(FORGETS, Verdict::Skipped, "it has no state"),
        Outcome::new(PLAIN, Verdict::Inconclusive, format!("timed out {NASTY}")),
    ];
    report
}

/// A connection in which both sides send markup, control characters and long lines.
pub(super) fn exchange() -> Exchange {
    let mut exchange = Exchange::default();
    exchange.push(Mark::Server, false, format!("220 {NASTY}\r\n").as_bytes());
    exchange.push(Mark::Client, false, b"STARTTLS\r\nNOOP\n\r\n");
    exchange.push(Mark::Server, false, b"220 go\r\n");
    exchange.push(Mark::Tls, true, b"TLSv1_3");
    exchange.push(Mark::Client, true, b"EHLO x\r\n");
    exchange.push(Mark::Server, true, &b"x".repeat(9000));
    exchange.push(Mark::End, true, b"the server closed the connection");
    exchange
}

/// A baseline with this text.
pub(super) fn baseline(text: &str) -> Baseline {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(text.as_bytes()).expect("written");
    Baseline::read(file.path(), &CASES).expect("a baseline")
}
