//! Expected findings, one on each line of a file: `PROTOCOL CASE`.
//!
//! A test of a known server then fails only because of something new. `#` begins a comment; empty lines are ignored.

use std::fmt;
use std::path::{Path, PathBuf};

use clap::ValueEnum as _;
use starttls_check::{Case, Outcome, Report, Role, Verdict};

use super::{Judged, unable};
use crate::files;
use crate::outcome::Failure;
use crate::url::Scheme;

const OPTION: &str = "--baseline";

/// The expected findings of all protocols.
#[derive(Debug, Default)]
pub(crate) struct Baseline {
    path: PathBuf,
    findings: Vec<Expected>,
}

/// One line.
#[derive(Debug)]
struct Expected {
    number: usize,
    protocol: String,
    case: String,
}

impl Baseline {
    /// Reads a file. `known` are the cases of both roles, since both may share a file.
    ///
    /// # Errors
    /// If the file cannot be read, or a line names no protocol and case: it would hide nothing, unnoticed.
    pub(crate) fn read(path: &Path, known: &[Case]) -> Result<Self, Failure> {
        let bytes = files::read(OPTION, path).map_err(|error| unable(error.into()))?;
        let bad = |number: Option<usize>, why: &str, advice: &str| {
            let why = match number {
                Some(number) => format!("line {number}: {why}"),
                None => why.to_owned(),
            };
            unable(files::unusable(OPTION, path, why, advice).into())
        };
        let Ok(text) = String::from_utf8(bytes) else {
            return Err(bad(None, "it is not UTF-8", "Write one PROTOCOL and CASE on each line."));
        };
        let mut findings: Vec<Expected> = Vec::new();
        for (n, line) in text.lines().enumerate() {
            let number = n + 1;
            let line = line.split_once('#').map_or(line, |(line, _)| line);
            let mut words = line.split_whitespace();
            let Some(protocol) = words.next() else { continue };
            let (Some(case), None) = (words.next(), words.next()) else {
                let advice = "Write a protocol and a case, for example smtp and its id.";
                return Err(bad(Some(number), "it is not two words", advice));
            };
            let schemes = Scheme::value_variants();
            if !schemes.iter().any(|scheme| scheme.name() == protocol) {
                let why = format!("there is no protocol {protocol:?}");
                return Err(bad(Some(number), &why, "Write it as in a URL, for example smtp."));
            }
            if !known.iter().any(|known| known.id == case) {
                let why = format!("there is no case {case:?}");
                return Err(bad(Some(number), &why, "--list prints the cases."));
            }
            findings.push(Expected {
                number,
                protocol: protocol.to_owned(),
                case: case.to_owned(),
            });
        }
        Ok(Self { path: path.to_owned(), findings })
    }

    /// Whether it is a finding, and listed.
    pub(super) fn expects(&self, protocol: &str, outcome: &Outcome) -> bool {
        outcome.verdict.is_finding() && self.of(protocol).any(|line| line.case == outcome.case.id)
    }

    fn of(&self, protocol: &str) -> impl Iterator<Item = &Expected> {
        self.findings.iter().filter(move |line| line.protocol == protocol)
    }

    /// A message for each line whose case passes now. A case that was not run, or not decided, says nothing.
    pub(super) fn gone<'a>(&'a self, report: &'a Report) -> impl Iterator<Item = String> + 'a {
        let passes = |case: &str| {
            let mut outcomes = report.outcomes.iter();
            outcomes.any(|one| one.case.id == case && one.verdict == Verdict::Pass)
        };
        let gone = self.of(report.protocol).filter(move |line| passes(&line.case));
        gone.map(|line| {
            let (path, number) = (self.path.display(), line.number);
            format!("{path}: line {number}: {line} is expected, but passes now: remove the line")
        })
    }
}

/// A baseline that expects the findings of a run.
///
/// # Errors
/// The control run failed, and its reason: what such a run finds is not about the cases.
pub(super) fn text(judged: &Judged<'_>) -> Result<String, &'static str> {
    let report = judged.report;
    if !report.control_passed {
        return Err(
            "not written: the dialogue without an attack failed, so the findings are not known",
        );
    }
    let command = match report.role {
        Role::Server => "check",
        Role::Client => "test-client",
    };
    let mut text = format!(
        "# The known findings of `starttls {command}`, for its --baseline. Remove what is fixed.\n"
    );
    for outcome in report.outcomes.iter().filter(|outcome| judged.matters(outcome)) {
        let case = &outcome.case;
        let (protocol, level) = (report.protocol, case.level.name());
        text += &format!("{protocol} {}  # {level}: {}\n", case.id, case.title);
    }
    Ok(text)
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.protocol, self.case)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::sample;
    use crate::outcome::NO_RESULT;

    #[test]
    fn lines() {
        let text = "# known\n\n smtp\tinjection/same-segment # old\r\nlmtp injection/split\n";
        let baseline = sample::baseline(text);
        let found: Vec<_> =
            baseline.findings.iter().map(|line| (line.number, line.to_string())).collect();
        let expected = [(3, "smtp injection/same-segment"), (4, "lmtp injection/split")];
        assert_eq!(found, expected.map(|(number, line)| (number, line.to_owned())));
    }

    #[test]
    fn a_wrong_line_is_named() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        for (text, why) in [
            (&b"smtp injection/split\nsmtp injection/none\n"[..], "line 2: there is no case"),
            (b"smtp\n", "line 1: it is not two words"),
            (b"smtp injection/split x\n", "line 1: it is not two words"),
            (b"\nstmp injection/split\n", "line 2: there is no protocol \"stmp\""),
            (b"\xff\n", "not UTF-8"),
        ] {
            std::fs::write(file.path(), text).expect("written");
            let failure = Baseline::read(file.path(), &sample::CASES).expect_err("a failure");
            assert_eq!(failure.code, NO_RESULT);
            assert!(failure.message.contains(why), "{}", failure.message);
            assert!(failure.message.contains(OPTION), "{}", failure.message);
        }
        let none = Path::new("/no/such/file");
        assert_eq!(Baseline::read(none, &[]).expect_err("a failure").code, NO_RESULT);
    }

    fn written(report: &Report, baseline: &Baseline, strict: bool) -> Result<String, &'static str> {
        text(&Judged { report, baseline, strict })
    }

    #[test]
    fn what_is_written_expects_the_findings() {
        let (mut report, none) = (sample::report(), Baseline::default());
        for (strict, findings) in [
            (false, &["smtp injection/same-segment"][..]),
            (true, &["smtp injection/same-segment", "smtp offer/argument"]),
        ] {
            let again = sample::baseline(&written(&report, &none, strict).expect("a baseline"));
            let lines: Vec<_> = again.findings.iter().map(Expected::to_string).collect();
            assert_eq!(lines, findings);
            // A known finding stays in the file that replaces its own.
            let replaced = written(&report, &again, strict).expect("a baseline");
            assert_eq!(sample::baseline(&replaced).findings.len(), findings.len());
        }
        report.control_passed = false;
        assert!(written(&report, &none, false).expect_err("no baseline").contains("not written"));
    }

    #[test]
    fn only_what_passes_is_gone() {
        let all: String =
            sample::CASES.iter().map(|case| format!("smtp {0}\nlmtp {0}\n", case.id)).collect();
        let baseline = sample::baseline(&all);
        let gone: Vec<_> = baseline.gone(&sample::report()).collect();
        let [line] = &gone[..] else { panic!("{gone:?}") };
        assert!(line.contains("line 3: smtp injection/split is expected, but passes"), "{line}");
    }
}
