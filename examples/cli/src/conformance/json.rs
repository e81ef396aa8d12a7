//! The document of `--json`, which `check.schema.json` describes.

use serde::Serialize;
use starttls_check::{Exchange, Outcome, Role};

use super::Judged;
use crate::outcome;

/// The name of the schema.
pub(super) const SCHEMA: &str = "starttls-check";

/// The version of the schema. Keys may be added; any other change increments it.
pub(super) const VERSION: u32 = 1;

#[derive(Debug, Serialize)]
struct Document<'a> {
    schema: &'a str,
    version: u32,
    role: Role,
    protocol: &'a str,
    subject: &'a str,
    control: &'a [Exchange],
    control_passed: bool,
    outcomes: Vec<Entry<'a>>,
}

#[derive(Debug, Serialize)]
struct Entry<'a> {
    #[serde(flatten)]
    outcome: &'a Outcome,
    /// Whether the baseline lists the finding.
    expected: bool,
}

/// Prints the document.
pub(super) fn print(judged: &Judged<'_>) {
    outcome::print(&document(judged));
}

fn document<'a>(judged: &Judged<'a>) -> Document<'a> {
    let report = judged.report;
    let entry = |outcome: &'a Outcome| Entry { outcome, expected: judged.is_expected(outcome) };
    Document {
        schema: SCHEMA,
        version: VERSION,
        role: report.role,
        protocol: report.protocol,
        subject: &report.subject,
        control: &report.control,
        control_passed: report.control_passed,
        outcomes: report.outcomes.iter().map(entry).collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use starttls_check::Verdict;

    use super::*;
    use crate::conformance::sample;

    fn faults(document: &Value) -> Vec<String> {
        let schema = include_str!("../../check.schema.json");
        let schema = serde_json::from_str(schema).expect("JSON");
        let validator = jsonschema::validator_for(&schema).expect("a schema");
        validator.iter_errors(document).map(|fault| fault.to_string()).collect()
    }

    #[test]
    fn the_document_matches_its_schema() {
        let (report, baseline) = (sample::report(), sample::baseline("smtp offer/argument\n"));
        let judged = Judged { report: &report, baseline: &baseline, strict: false };
        let document = serde_json::to_value(document(&judged)).expect("JSON");
        let found = faults(&document);
        assert!(found.is_empty(), "{document}: {found:?}");
        let outcome = &document["outcomes"][0];
        assert_eq!(outcome["id"], "injection/same-segment");
        assert_eq!(outcome["seconds"], 1.25);
        assert_eq!(outcome["exchanges"][1][1]["bytes"], "STARTTLS\r\nNOOP\n\r\n");
        let expected = |n: usize| document["outcomes"][n]["expected"].clone();
        assert_eq!((expected(0), expected(2)), (json!(false), json!(true)));
    }

    #[test]
    fn the_schema_refuses_other_documents() {
        let (report, baseline) = (sample::report(), Default::default());
        let judged = Judged { report: &report, baseline: &baseline, strict: false };
        let good = serde_json::to_value(document(&judged)).expect("JSON");
        for (place, value) in [
            ("/version", json!(2)),
            ("/role", json!("peer")),
            ("/outcomes/0/verdict", json!("maybe")),
            ("/outcomes/0/level", json!("may")),
            ("/outcomes/0/id", Value::Null),
            ("/outcomes/0/seconds", json!(-1)),
            ("/outcomes/0/exchanges/0/0/mark", json!("proxy")),
            ("/control/0/0/bytes", json!("\u{100}")),
        ] {
            let mut bad = good.clone();
            *bad.pointer_mut(place).expect(place) = value;
            assert!(!faults(&bad).is_empty(), "{place}");
        }
    }

    #[test]
    fn the_schema_knows_every_name() {
        let schema: Value =
            serde_json::from_str(include_str!("../../check.schema.json")).expect("JSON");
        let names = |place: &str| {
            let names = schema.pointer(place).and_then(Value::as_array).expect(place);
            let mut names: Vec<_> = names.iter().map(|name| name.as_str().expect("text")).collect();
            names.sort_unstable();
            names
        };
        let mut verdicts = Verdict::ALL.map(Verdict::name);
        verdicts.sort_unstable();
        assert_eq!(names("/$defs/outcome/properties/verdict/enum"), verdicts);
        let mut levels = starttls_check::Level::ALL.map(starttls_check::Level::name);
        levels.sort_unstable();
        assert_eq!(names("/$defs/outcome/properties/level/enum"), levels);
    }
}
