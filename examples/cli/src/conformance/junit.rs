//! A report in the format of JUnit, which CI servers read.
//!
//! Its schema has no warnings: one that does not count is a passed test with output. An inconclusive case and an expected
//! finding are skipped tests, whose messages CI servers show.

use std::fmt::Write as _;
use std::time::Duration;

use starttls_check::{Outcome, Verdict};

use super::markup::{block, inline};
use super::{Judged, drawing, group, source, text};

/// How a test counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Result {
    Passed,
    Failed,
    Skipped,
}

fn result(judged: &Judged<'_>, outcome: &Outcome) -> Result {
    match outcome.verdict {
        _ if judged.counts(outcome) => Result::Failed,
        _ if judged.is_expected(outcome) => Result::Skipped,
        Verdict::Pass | Verdict::Warning => Result::Passed,
        _ => Result::Skipped,
    }
}

/// The document.
pub(super) fn render(judged: &Judged<'_>) -> String {
    let report = judged.report;
    let outcomes = &report.outcomes;
    let count = |wanted| outcomes.iter().filter(|one| result(judged, one) == wanted).count();
    let counts = format!(
        "tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"{}\" time=\"{:.3}\"",
        outcomes.len(),
        count(Result::Failed),
        count(Result::Skipped),
        outcomes.iter().map(|outcome| outcome.took).sum::<Duration>().as_secs_f64()
    );
    let mut document = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"STARTTLS\" {counts}>\n\
         <testsuite name=\"{}\" {counts}>\n",
        inline(&text::title(report))
    );
    for outcome in outcomes {
        document += &test(judged, outcome);
    }
    document + "</testsuite>\n</testsuites>\n"
}

fn test(judged: &Judged<'_>, outcome: &Outcome) -> String {
    let (report, case) = (judged.report, &outcome.case);
    let mut test = format!(
        "<testcase classname=\"starttls.{}.{}.{}\" name=\"{}\" time=\"{:.3}\">",
        report.role.name(),
        inline(report.protocol),
        inline(group(case.id)),
        inline(case.id),
        outcome.took.as_secs_f64()
    );
    let reason = inline(&outcome.reason);
    let result = result(judged, outcome);
    let _ = match result {
        Result::Failed => writeln!(
            test,
            "<failure type=\"{}\" message=\"{reason}\">{}</failure>",
            outcome.verdict.name(),
            block(&advice(outcome))
        ),
        Result::Skipped => {
            let word = if judged.is_expected(outcome) {
                "expected finding"
            } else {
                outcome.verdict.name()
            };
            writeln!(test, "<skipped message=\"{word}: {reason}\"/>")
        }
        Result::Passed => Ok(()),
    };
    if outcome.verdict.is_finding() {
        let mut output = drawing::plain(&outcome.exchanges);
        if result != Result::Failed {
            let word = outcome.verdict.name();
            output = format!("{word}: {}\n{}\n{output}", outcome.reason, advice(outcome));
        }
        let _ = writeln!(test, "<system-out>{}</system-out>", block(&output));
    }
    test + "</testcase>\n"
}

/// The case in words.
fn advice(outcome: &Outcome) -> String {
    let case = &outcome.case;
    let cited = source::citation(case.clause);
    format!("{}\nDemand: {} ({cited})\nRemedy: {}", case.title, case.demand, case.remedy)
}

#[cfg(test)]
mod tests {
    use roxmltree::{Document, Node};

    use super::*;
    use crate::conformance::{Baseline, sample};
    use crate::excerpt::visible;

    fn check(strict: bool, baseline: &Baseline, then: impl Fn(&[Node<'_, '_>], &Node<'_, '_>)) {
        let report = sample::report();
        let xml = render(&Judged { report: &report, baseline, strict });
        let document = Document::parse(&xml).unwrap_or_else(|error| panic!("{error}: {xml}"));
        let suite = document.root_element().first_element_child().expect("a suite");
        let tests: Vec<_> = suite.children().filter(|node| node.has_tag_name("testcase")).collect();
        then(&tests, &suite);
    }

    fn child<'a, 'i>(node: &Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
        node.children().find(|child| child.has_tag_name(name))
    }

    #[test]
    fn each_verdict_has_its_element() {
        check(false, &Baseline::default(), |tests, suite| {
            let counts = ["tests", "failures", "errors", "skipped", "time"]
                .map(|name| suite.attribute(name).expect("a count"));
            assert_eq!(counts, ["5", "1", "0", "2", "1.250"]);
            let [fail, pass, warning, skipped, inconclusive] = tests else { panic!("{tests:?}") };
            assert_eq!(fail.attribute("name"), Some("injection/same-segment"));
            assert_eq!(fail.attribute("classname"), Some("starttls.server.smtp.injection"));
            let failure = child(fail, "failure").expect("a failure");
            let reason = visible(&sample::report().outcomes[0].reason);
            assert_eq!(failure.attribute("message"), Some(&reason[..]));
            assert!(failure.text().expect("text").contains(sample::CASES[0].remedy));
            let output = child(fail, "system-out").expect("a ladder");
            let output = output.text().expect("text");
            assert!(output.contains("plaintext ends here") && output.contains("\\x1b"), "{output}");
            assert_eq!(pass.children().count(), 0);
            assert!(child(warning, "failure").is_none() && child(warning, "skipped").is_none());
            let output = child(warning, "system-out").expect("a warning");
            assert!(output.text().expect("text").starts_with("warning: the server began TLS\n"));
            for (test, message) in [
                (skipped, "skipped: it has no state"),
                (inconclusive, "inconclusive: timed out </text>"),
            ] {
                let found = child(test, "skipped").and_then(|node| node.attribute("message"));
                assert!(found.expect("a message").starts_with(message), "{found:?}");
            }
        });
    }

    #[test]
    fn strictness_and_the_baseline_decide_as_the_exit_code_does() {
        let baseline = sample::baseline("smtp injection/same-segment\n");
        check(true, &baseline, |tests, suite| {
            assert_eq!(suite.attribute("failures"), Some("1"));
            assert_eq!(suite.attribute("skipped"), Some("3"));
            let message = child(&tests[0], "skipped").and_then(|node| node.attribute("message"));
            assert!(message.expect("a message").starts_with("expected finding: "), "{message:?}");
            assert!(child(&tests[2], "failure").is_some());
        });
        // A warning, too, is skipped once it is expected.
        check(false, &sample::baseline("smtp offer/argument\n"), |tests, suite| {
            assert_eq!(suite.attribute("skipped"), Some("3"));
            assert!(child(&tests[2], "skipped").is_some());
        });
    }
}
