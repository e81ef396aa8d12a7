//! The file that a badge service reads: an object of the form that shields.io calls an endpoint badge.

use serde::Serialize;
use starttls_check::Verdict;

use super::{Judged, singular};

/// The keys are those of the service.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Badge {
    schema_version: u32,
    label: &'static str,
    message: String,
    color: &'static str,
}

/// The object. The worst verdict decides the message and the colour.
pub(super) fn render(judged: &Judged<'_>) -> String {
    let (count, word, color) = [
        (judged.count(Verdict::Fail), "failed", "red"),
        (judged.count(Verdict::Warning), "warnings", "yellow"),
        (judged.expected(), "expected findings", "yellow"),
        (judged.count(Verdict::Inconclusive), "inconclusive", "yellow"),
        (judged.count(Verdict::Pass), "passed", "brightgreen"),
    ]
    .into_iter()
    .find(|(count, ..)| *count > 0)
    .unwrap_or((0, "passed", "lightgrey"));
    let message = format!("{count} {}", singular(count, word));
    let badge = Badge { schema_version: 1, label: "STARTTLS", message, color };
    serde_json::to_string(&badge).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::{Baseline, sample};

    #[test]
    fn the_worst_verdict_decides() {
        let mut report = sample::report();
        let expected = sample::baseline("smtp injection/same-segment\nsmtp offer/argument\n");
        let render = |report: &_, baseline: &_| render(&Judged { report, baseline, strict: false });
        let none = Baseline::default();
        let badge = |message: &str, color: &str| {
            format!(
                r#"{{"schemaVersion":1,"label":"STARTTLS","message":"{message}","color":"{color}"}}"#
            )
        };
        assert_eq!(render(&report, &none), badge("1 failed", "red"));
        assert_eq!(render(&report, &expected), badge("2 expected findings", "yellow"));
        for (verdict, message, color) in [
            (Verdict::Fail, "1 warning", "yellow"),
            (Verdict::Warning, "1 inconclusive", "yellow"),
            (Verdict::Inconclusive, "1 passed", "brightgreen"),
            (Verdict::Pass, "0 passed", "lightgrey"),
        ] {
            report.outcomes.retain(|outcome| outcome.verdict != verdict);
            assert_eq!(render(&report, &none), badge(message, color));
        }
    }
}
