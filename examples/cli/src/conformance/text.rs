//! The report for a terminal.

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressStyle};
use starttls_check::{Case, Outcome, Report, Verdict};

use super::{Baseline, Judged, Reports, drawing, source};
use crate::excerpt::visible;
use crate::out::{self, out};
use crate::rails::{BAD, GOOD, QUIET, STRONG};

const UNSURE: Style = AnsiColor::Yellow.on_default();

/// The width of the longest verdict.
const VERDICT: usize = 12;

/// The cases while they run: a line for each that ended, and a bar.
#[derive(Debug)]
pub(crate) struct Live<'a> {
    baseline: &'a Baseline,
    protocol: &'a str,
    /// The width of the longest id.
    width: usize,
    quiet: bool,
    bar: ProgressBar,
}

impl<'a> Live<'a> {
    /// Begins with the name of what is tested, unless a program reads the output.
    pub(crate) fn new(
        options: &Reports,
        empty: &'a Report,
        baseline: &'a Baseline,
        cases: &[Case],
    ) -> Self {
        let bar = if options.json || !out::is_terminal() {
            ProgressBar::hidden()
        } else {
            let template = "  {bar:40.cyan/dim} {pos}/{len} cases  {msg}";
            let style = ProgressStyle::with_template(template)
                .map_or_else(|_| ProgressStyle::default_bar(), |style| style.progress_chars("━━─"));
            ProgressBar::new(cases.len() as u64).with_style(style)
        };
        let width = cases.iter().map(|case| case.id.len()).max().unwrap_or_default();
        if !options.json {
            out!("\n  {STRONG}{}{STRONG:#}\n", title(empty));
        }
        Self { baseline, protocol: empty.protocol, width, quiet: options.json, bar }
    }

    /// A case begins.
    pub(crate) fn begin(&self, case: &Case) {
        self.bar.set_message(case.id);
    }

    /// A case ended.
    pub(crate) fn end(&self, outcome: &Outcome) {
        let line = line(outcome, self.baseline.expects(self.protocol, outcome), self.width);
        if !self.quiet {
            self.bar.suspend(|| out!("{line}"));
        }
        self.bar.inc(1);
    }
}

impl Drop for Live<'_> {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// What is tested.
pub(super) fn title(report: &Report) -> String {
    format!("{} {}: {}", report.protocol, report.role.name(), visible(&report.subject))
}

/// One case on one line.
fn line(outcome: &Outcome, expected: bool, width: usize) -> String {
    let (word, style) = word(outcome.verdict, expected);
    let case = &outcome.case;
    let mut line = format!("  {style}{word:VERDICT$}{style:#}  {:width$}  {}", case.id, case.title);
    match outcome.verdict {
        Verdict::Pass => {}
        // Its reason is below.
        verdict if verdict.is_finding() && !expected => {}
        _ => line += &format!("{QUIET}: {}{QUIET:#}", visible(&outcome.reason)),
    }
    line
}

const fn word(verdict: Verdict, expected: bool) -> (&'static str, Style) {
    let style = match verdict {
        _ if expected => return ("expected", QUIET),
        Verdict::Pass => GOOD,
        Verdict::Fail => BAD,
        Verdict::Skipped => QUIET,
        _ => UNSURE,
    };
    (verdict.name(), style)
}

/// Prints the findings and the summary.
pub(super) fn print(judged: &Judged<'_>) {
    for line in lines(judged) {
        out!("{line}");
    }
}

fn lines(judged: &Judged<'_>) -> Vec<String> {
    let mut lines = vec![String::new()];
    for outcome in &judged.report.outcomes {
        if outcome.verdict.is_finding() && !judged.is_expected(outcome) {
            lines.extend(finding(outcome));
        }
    }
    lines.extend(summary(judged));
    lines.push(String::new());
    lines
}

/// A finding: why, what is demanded, what to do, and the evidence.
fn finding(outcome: &Outcome) -> Vec<String> {
    let case = &outcome.case;
    let (word, style) = word(outcome.verdict, false);
    let cited = source::citation(case.clause);
    let mut lines = vec![
        format!("  {style}{word}{style:#}  {STRONG}{}{STRONG:#}  {}", case.id, case.title),
        String::new(),
        format!("    {QUIET}seen  {QUIET:#}  {}", visible(&outcome.reason)),
        format!("    {QUIET}demand{QUIET:#}  {} ({cited})", case.demand),
        format!("    {QUIET}remedy{QUIET:#}  {}", case.remedy),
        String::new(),
    ];
    lines.extend(drawing::styled(&outcome.exchanges));
    lines
}

/// A table of the groups, and the totals.
fn summary(judged: &Judged<'_>) -> Vec<String> {
    let groups = judged.groups();
    let width = groups.iter().map(|(group, _)| group.len()).max().unwrap_or_default();
    let mut lines: Vec<String> = groups
        .iter()
        .map(|(group, outcomes)| {
            let mut counts = Vec::new();
            for verdict in Verdict::ALL {
                let of = |expected| {
                    let outcomes = outcomes.iter().filter(|one| one.verdict == verdict);
                    outcomes.filter(|one| judged.is_expected(one) == expected).count()
                };
                for (count, expected) in [(of(false), false), (of(true), true)] {
                    if count > 0 {
                        let (word, style) = word(verdict, expected);
                        counts.push(format!("{style}{count} {word}{style:#}"));
                    }
                }
            }
            format!("  {group:width$}  {}", counts.join(", "))
        })
        .collect();
    lines.extend([String::new(), format!("  {STRONG}{}{STRONG:#}", judged.totals())]);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::sample;

    fn plain(lines: &[String]) -> String {
        anstream::adapter::strip_str(&lines.join("\n")).to_string()
    }

    #[test]
    fn a_finding_has_its_reason_remedy_and_evidence() {
        let (report, baseline) = (sample::report(), sample::baseline("smtp offer/argument\n"));
        let judged = Judged { report: &report, baseline: &baseline, strict: false };
        let shown = plain(&lines(&judged));
        let case = &sample::CASES[0];
        for part in [
            "\n  fail  injection/same-segment  ",
            case.title,
            case.demand,
            "(CVE-2011-0411)",
            case.remedy,
            "the server answered the planted command: </text>",
            "│ STARTTLS ──",
            "connection 2",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        // The expected finding is only counted.
        assert!(!shown.contains(sample::CASES[2].remedy), "{shown}");
        let end = "\n  injection  1 fail, 1 pass\n  offer      1 expected\n  boundary   1 inconclusive, \
                   1 skipped\n\n  1 failed, 1 expected finding, 1 inconclusive, 1 skipped, 1 passed\n";
        assert!(shown.ends_with(end), "{shown}");
    }

    #[test]
    fn each_case_is_one_line() {
        let report = sample::report();
        let shown: Vec<_> =
            report.outcomes.iter().map(|outcome| line(outcome, false, 22)).collect();
        let shown = plain(&shown);
        let lines: Vec<_> = shown.lines().collect();
        let [fail, pass, warning, skipped, inconclusive] = lines[..] else { panic!("{shown}") };
        assert_eq!(
            fail,
            "  fail          injection/same-segment  A command after STARTTLS in the same segment"
        );
        assert!(pass.starts_with("  pass          injection/split         A command"), "{pass}");
        assert!(warning.ends_with("  STARTTLS with a parameter"), "{warning}");
        assert!(skipped.ends_with(": it has no state"), "{skipped}");
        assert!(inconclusive.starts_with("  inconclusive  boundary/plain  "), "{inconclusive}");
        assert!(line(&report.outcomes[0], true, 0).contains("expected"));
    }

    #[test]
    fn the_peer_controls_no_terminal() {
        let (mut report, baseline) = (sample::report(), Baseline::default());
        for outcome in &mut report.outcomes {
            outcome.verdict = Verdict::Fail;
        }
        let judged = Judged { report: &report, baseline: &baseline, strict: false };
        let shown = plain(&lines(&judged)) + &title(&report);
        let bad = |c: &char| *c != '\n' && (c.is_control() || *c == '\u{202e}');
        assert_eq!(shown.chars().find(bad), None, "{shown}");
        assert!(title(&report).contains("\\u{1b}[0m"), "{}", title(&report));
    }
}
