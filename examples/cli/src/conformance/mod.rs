//! Reports about conformance tests, of a server or of a client.
//!
//! A run of the tests shows its cases with [`Live`] while it lasts. [`finish`] then prints the findings, writes the
//! files that [`Reports`] asks for, and decides the exit code.

mod args;
mod badge;
mod baseline;
mod drawing;
mod html;
mod json;
mod junit;
mod markup;
mod pattern;
#[cfg(test)]
mod sample;
mod sarif;
mod source;
mod text;

use starttls_check::{Outcome, Report, Verdict};

pub(crate) use args::Reports;
pub(crate) use baseline::Baseline;
pub(crate) use text::Live;

use crate::out::{self, tell};
use crate::outcome::{FINDINGS, Failure, NO_RESULT};

/// A report, and what counts in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judged<'a> {
    pub(crate) report: &'a Report,
    pub(crate) baseline: &'a Baseline,
    /// Warnings count, too.
    pub(crate) strict: bool,
}

impl<'a> Judged<'a> {
    /// Whether it is a finding that the baseline lists.
    pub(crate) fn is_expected(&self, outcome: &Outcome) -> bool {
        self.baseline.expects(self.report.protocol, outcome)
    }

    /// Whether the outcome decides the exit code, unless the baseline lists it.
    pub(crate) fn matters(&self, outcome: &Outcome) -> bool {
        outcome.verdict == Verdict::Fail || self.strict && outcome.verdict.is_finding()
    }

    /// Whether the outcome decides the exit code.
    pub(crate) fn counts(&self, outcome: &Outcome) -> bool {
        self.matters(outcome) && !self.is_expected(outcome)
    }

    /// The number of outcomes with this verdict, without the expected findings.
    pub(crate) fn count(&self, verdict: Verdict) -> usize {
        let outcomes = self.report.outcomes.iter().filter(|outcome| outcome.verdict == verdict);
        outcomes.filter(|outcome| !self.is_expected(outcome)).count()
    }

    /// The number of expected findings.
    pub(crate) fn expected(&self) -> usize {
        self.report.outcomes.iter().filter(|outcome| self.is_expected(outcome)).count()
    }

    /// The outcomes by groups of cases, in the order of the cases.
    pub(crate) fn groups(&self) -> Vec<(&'static str, Vec<&'a Outcome>)> {
        let mut groups: Vec<(&'static str, Vec<&'a Outcome>)> = Vec::new();
        for outcome in &self.report.outcomes {
            let group = group(outcome.case.id);
            match groups.iter_mut().find(|(name, _)| *name == group) {
                Some((_, outcomes)) => outcomes.push(outcome),
                None => groups.push((group, vec![outcome])),
            }
        }
        groups
    }

    /// The totals in words, without those that are zero.
    pub(crate) fn totals(&self) -> String {
        let totals: Vec<_> = [
            (self.count(Verdict::Fail), "failed"),
            (self.count(Verdict::Warning), "warnings"),
            (self.expected(), "expected findings"),
            (self.count(Verdict::Inconclusive), "inconclusive"),
            (self.count(Verdict::Skipped), "skipped"),
            (self.count(Verdict::Pass), "passed"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {}", singular(count, word)))
        .collect();
        if totals.is_empty() { "no case was run".to_owned() } else { totals.join(", ") }
    }
}

/// The word for a count of one, if it differs.
fn singular(count: usize, word: &str) -> &str {
    if count == 1 { word.strip_suffix('s').unwrap_or(word) } else { word }
}

/// The group of a case: its id up to the first slash.
fn group(id: &str) -> &str {
    id.split_once('/').map_or(id, |(group, _)| group)
}

/// A failure before there was a report, with the exit code of the tests.
pub(crate) fn unable(failure: Failure) -> Failure {
    Failure { code: NO_RESULT, ..failure }
}

/// Prints the result, writes the wanted files, and decides the exit code.
///
/// Everything is printed and written, whatever fails. A failure of this machine comes before findings: a program that
/// expects a report must not take the run for complete.
pub(crate) fn finish(
    report: &Report,
    options: &Reports,
    baseline: &Baseline,
) -> Result<(), Failure> {
    let judged = Judged { report, baseline, strict: options.strict };
    if options.json {
        json::print(&judged);
    } else {
        text::print(&judged);
    }
    for line in baseline.gone(report) {
        tell!("{line}");
    }
    let concluded = conclude(&judged, options);
    out::result().map_err(unable)?;
    concluded
}

fn conclude(judged: &Judged<'_>, options: &Reports) -> Result<(), Failure> {
    options.write(judged)?;
    if options.write_baseline(judged)? {
        return decided(judged.report);
    }
    let counted = judged.report.outcomes.iter().filter(|outcome| judged.counts(outcome));
    let ids: Vec<_> = counted.map(|outcome| outcome.case.id).collect();
    if ids.is_empty() {
        return decided(judged.report);
    }
    let message = format!("{}; findings: {}", judged.totals(), ids.join(", "));
    Err(Failure { message, code: FINDINGS })
}

/// A run in which no case was decided must not pass: a server without TLS, for example.
fn decided(report: &Report) -> Result<(), Failure> {
    let is_decided =
        |outcome: &Outcome| outcome.verdict == Verdict::Pass || outcome.verdict.is_finding();
    match report.outcomes.first() {
        Some(first) if !report.outcomes.iter().any(is_decided) => {
            let message = format!("no case was decided; {}: {}", first.case.id, first.reason);
            Err(Failure { message, code: NO_RESULT })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn options(arguments: &[&str]) -> Reports {
        args::tests::Options::try_parse_from([&["x"], arguments].concat()).expect("options").reports
    }

    fn end(report: &Report, arguments: &[&str], baseline: &Baseline) -> Result<(), Failure> {
        let options = options(arguments);
        conclude(&Judged { report, baseline, strict: options.strict }, &options)
    }

    fn code(report: &Report, arguments: &[&str], baseline: &Baseline) -> u8 {
        end(report, arguments, baseline).map_or_else(|failure| failure.code, |()| 0)
    }

    #[test]
    fn only_counted_findings_fail() {
        let none = Baseline::default();
        let all = sample::report();
        assert_eq!(code(&all, &[], &none), FINDINGS);
        let mut report = all.clone();
        report.outcomes.retain(|outcome| outcome.verdict != Verdict::Fail);
        assert_eq!(report.count(Verdict::Warning), 1);
        assert_eq!(code(&report, &[], &none), 0);
        assert_eq!(code(&report, &["--strict"], &none), FINDINGS);
        let expected = sample::baseline("smtp injection/same-segment\n");
        assert_eq!(code(&all, &[], &expected), 0);
        assert_eq!(code(&all, &["--strict"], &expected), FINDINGS);
        let other = sample::baseline("lmtp injection/same-segment\n");
        assert_eq!(code(&all, &[], &other), FINDINGS);
    }

    #[test]
    fn a_written_baseline_takes_the_findings_for_known() {
        let place = tempfile::tempdir().expect("a directory");
        let file = place.path().join("known");
        let arguments = ["--write-baseline", file.to_str().expect("UTF-8")];
        let (mut report, none) = (sample::report(), Baseline::default());
        report.control_passed = false;
        assert_eq!(code(&report, &arguments, &none), NO_RESULT);
        assert!(!file.exists());
        report.control_passed = true;
        assert_eq!(code(&report, &arguments, &none), 0);
        let known = sample::baseline(&std::fs::read_to_string(&file).expect("a file"));
        assert_eq!(code(&report, &[], &known), 0);
        assert_eq!(code(&report, &["--strict"], &known), FINDINGS);
    }

    #[test]
    fn a_failed_file_comes_before_findings() {
        let place = tempfile::tempdir().expect("a directory");
        let (bad, good) = (place.path().join("none/a"), place.path().join("b"));
        let [bad, good] = [&bad, &good].map(|path| path.to_str().expect("UTF-8"));
        let arguments = ["--junit", bad, "--badge", good];
        let failure = end(&sample::report(), &arguments, &Baseline::default());
        let failure = failure.expect_err("a failure");
        assert_eq!(failure.code, NO_RESULT);
        assert!(failure.message.contains("--junit"), "{}", failure.message);
        assert!(std::fs::exists(good).expect("known"));
    }

    #[test]
    fn totals() {
        let (report, baseline) = (sample::report(), Baseline::default());
        let judged = Judged { report: &report, baseline: &baseline, strict: false };
        assert_eq!(judged.totals(), "1 failed, 1 warning, 1 inconclusive, 1 skipped, 1 passed");
        let baseline = sample::baseline("smtp injection/same-segment\n");
        let judged = Judged { report: &report, baseline: &baseline, strict: false };
        assert_eq!(
            judged.totals(),
            "1 warning, 1 expected finding, 1 inconclusive, 1 skipped, 1 passed"
        );
        let groups = judged.groups();
        let sizes: Vec<_> = groups.iter().map(|(name, all)| (*name, all.len())).collect();
        assert_eq!(sizes, [("injection", 2), ("offer", 1), ("boundary", 2)]);
    }
}
