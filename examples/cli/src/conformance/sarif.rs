//! A report in the format SARIF 2.1.0 (OASIS), which services for code scanning read.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use starttls_check::{Case, Level, Outcome, Verdict};

use super::{Judged, drawing, source};
use crate::excerpt::visible;

/// The unreserved characters of a URI (RFC 3986 §2.3) stay.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The document.
pub(super) fn render(judged: &Judged<'_>) -> String {
    let outcomes = &judged.report.outcomes;
    let rules: Vec<_> = outcomes.iter().map(|outcome| rule(&outcome.case)).collect();
    let findings = outcomes.iter().enumerate().filter(|(_, outcome)| outcome.verdict.is_finding());
    let results: Vec<_> = findings.map(|(n, outcome)| result(judged, n, outcome)).collect();
    let undecided = outcomes.iter().filter(|one| one.verdict == Verdict::Inconclusive);
    let notifications: Vec<_> = undecided.map(notification).collect();
    let document = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "starttls",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            } },
            "invocations": [{
                "executionSuccessful": true,
                "toolExecutionNotifications": notifications,
            }],
            "results": results,
            "columnKind": "unicodeCodePoints",
        }],
    });
    document.to_string()
}

const fn level(level: Level) -> &'static str {
    match level {
        Level::Must => "error",
        Level::Should => "warning",
        _ => "note",
    }
}

fn rule(case: &Case) -> Value {
    let cited = source::citation(case.clause);
    let mut rule = json!({
        "id": case.id,
        "shortDescription": { "text": case.title },
        "fullDescription": { "text": format!("{} ({cited})", case.demand) },
        "help": { "text": case.remedy },
        "defaultConfiguration": { "level": level(case.level) },
        "properties": { "tags": ["security", "starttls"] },
    });
    if let (Some(address), Value::Object(rule)) = (source::address(case.clause), &mut rule) {
        rule.insert("helpUri".to_owned(), address.into());
    }
    rule
}

fn result(judged: &Judged<'_>, index: usize, outcome: &Outcome) -> Value {
    let (report, case) = (judged.report, &outcome.case);
    let subject = visible(&report.subject);
    // A relative reference: services look for the place in the repository, and some refuse a document with a scheme.
    let encoded = utf8_percent_encode(&report.subject, SEGMENT);
    let uri = format!("{}/{}/{encoded}", report.role.name(), report.protocol);
    let mut result = json!({
        "ruleId": case.id,
        "ruleIndex": index,
        "level": level(case.level),
        "message": { "text": format!("{}: {}. {}", case.title, visible(&outcome.reason), case.remedy) },
        "locations": [{
            "physicalLocation": {
                "artifactLocation": { "uri": uri },
                "region": { "startLine": 1 },
            },
            "logicalLocations": [{
                "name": subject,
                "fullyQualifiedName": format!("{} {}: {subject}", report.protocol, report.role.name()),
                "kind": "resource",
            }],
        }],
        "partialFingerprints": { "primaryLocationLineHash": fingerprint(judged, case) },
        "properties": { "exchange": drawing::plain(&outcome.exchanges) },
    });
    if let (true, Value::Object(result)) = (judged.is_expected(outcome), &mut result) {
        let suppression = json!([{ "kind": "external", "justification": "listed by --baseline" }]);
        result.insert("suppressions".to_owned(), suppression);
    }
    result
}

/// An inconclusive case is no result, but the run is not complete.
fn notification(outcome: &Outcome) -> Value {
    json!({
        "level": "warning",
        "message": { "text": format!("inconclusive: {}", visible(&outcome.reason)) },
        "associatedRule": { "id": outcome.case.id },
    })
}

/// The same for each run against the same peer, whatever the peer sends.
fn fingerprint(judged: &Judged<'_>, case: &Case) -> String {
    let report = judged.report;
    let mut digest = Sha256::new();
    for part in [report.role.name(), report.protocol, &report.subject, case.id] {
        digest.update(part.as_bytes());
        digest.update([0]);
    }
    let digest: [u8; 32] = digest.finalize().into();
    digest[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::{Baseline, sample};

    fn rendered(report: &starttls_check::Report, baseline: &Baseline) -> Value {
        let text = render(&Judged { report, baseline, strict: false });
        serde_json::from_str(&text).expect("JSON")
    }

    fn text<'a>(value: &'a Value, place: &str) -> &'a str {
        let found = value.pointer(place).and_then(Value::as_str);
        found.filter(|text| !text.is_empty()).unwrap_or_else(|| panic!("{place}: {value}"))
    }

    /// What the standard and services for code scanning require.
    #[test]
    fn required_properties() {
        let report = sample::report();
        let document = rendered(&report, &Baseline::default());
        assert_eq!(text(&document, "/version"), "2.1.0");
        text(&document, "/$schema");
        let run = &document["runs"][0];
        assert_eq!(text(run, "/tool/driver/name"), "starttls");
        let rules = run["tool"]["driver"]["rules"].as_array().expect("rules");
        assert_eq!(rules.len(), report.outcomes.len());
        for rule in rules {
            for place in ["/id", "/shortDescription/text", "/fullDescription/text", "/help/text"] {
                text(rule, place);
            }
            let level = text(rule, "/defaultConfiguration/level");
            assert!(["error", "warning", "note"].contains(&level), "{rule}");
        }
        assert_eq!(run["invocations"][0]["executionSuccessful"], true);
        let results = run["results"].as_array().expect("results");
        assert_eq!(results.len(), 2);
        for result in results {
            let index = result["ruleIndex"].as_u64().and_then(|index| usize::try_from(index).ok());
            let rule = &rules[index.expect("an index")];
            assert_eq!(result["ruleId"], rule["id"]);
            assert_eq!(result["level"], rule["defaultConfiguration"]["level"]);
            text(result, "/message/text");
            text(result, "/partialFingerprints/primaryLocationLineHash");
            let place = &result["locations"][0];
            text(place, "/logicalLocations/0/name");
            assert_eq!(place["physicalLocation"]["region"]["startLine"], 1);
            let uri = text(place, "/physicalLocation/artifactLocation/uri");
            // Neither a scheme nor an absolute path.
            assert!(uri.starts_with("server/smtp/mail.example.org%3A25"), "{uri}");
            let safe = |c: char| c.is_ascii_alphanumeric() || "-._~%/".contains(c);
            assert!(uri.chars().all(safe), "{uri}");
        }
    }

    #[test]
    fn undecided_cases_and_expected_findings_are_marked() {
        let report = sample::report();
        let document = rendered(&report, &sample::baseline("smtp offer/argument\n"));
        let run = &document["runs"][0];
        let notifications = run["invocations"][0]["toolExecutionNotifications"].as_array();
        assert_eq!(notifications.expect("notifications").len(), 1);
        assert_eq!(notifications.expect("one")[0]["associatedRule"]["id"], "boundary/plain");
        assert!(run["results"][0].get("suppressions").is_none());
        assert_eq!(run["results"][1]["suppressions"][0]["kind"], "external");
    }

    #[test]
    fn a_fingerprint_depends_on_the_peer_and_the_case_alone() {
        let prints = |report: &starttls_check::Report| {
            let document = rendered(report, &Baseline::default());
            [0, 1].map(|n| {
                let place =
                    format!("/runs/0/results/{n}/partialFingerprints/primaryLocationLineHash");
                text(&document, &place).to_owned()
            })
        };
        let mut report = sample::report();
        let before = prints(&report);
        assert_ne!(before[0], before[1]);
        report.outcomes[0].reason = "other bytes".to_owned();
        report.outcomes[0].exchanges.clear();
        assert_eq!(prints(&report), before);
        report.subject.push('x');
        assert_ne!(prints(&report)[0], before[0]);
    }
}
