//! The report of a run: a text, or a document.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Played, Verdict};
use crate::weight::Level;

/// The results of a run.
#[derive(Clone, Debug, Default)]
pub struct Report {
    results: Vec<Outcome>,
}

#[derive(Clone, Debug)]
struct Outcome {
    id: String,
    level: Level,
    clause: String,
    cut: String,
    verdict: Verdict,
}

impl Report {
    /// Adds the worst verdict on a row, and how its bytes were cut.
    pub fn add(&mut self, played: &Played, cut: &str, verdict: Verdict) {
        let row = &played.row;
        let (id, clause) = (row.id.clone(), row.clause.clone());
        self.results.push(Outcome { id, level: row.level, clause, cut: cut.to_owned(), verdict });
    }

    /// The ids of the rows that fail.
    #[must_use]
    pub fn failed(&self) -> Vec<&str> {
        let failed = self.results.iter().filter(|outcome| is_failure(&outcome.verdict));
        failed.map(|outcome| &outcome.id[..]).collect()
    }

    /// The number of rows that were decided.
    #[must_use]
    pub fn decided(&self) -> usize {
        let skipped = |outcome: &&Outcome| matches!(outcome.verdict, Verdict::Skipped(_));
        self.results.len() - self.results.iter().filter(skipped).count()
    }

    /// 0 without failures, 1 with some, 2 if nothing was decided. A row that no standard demands fails only if `strict`.
    #[must_use]
    pub fn exit_code(&self, strict: bool) -> u8 {
        let counts = |outcome: &Outcome| {
            is_failure(&outcome.verdict) && (strict || outcome.level == Level::Must)
        };
        match self.decided() {
            0 => 2,
            _ => u8::from(self.results.iter().any(counts)),
        }
    }

    /// The failures, the reasons for skipping, and the numbers by level and by source.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        let mut levels: BTreeMap<Level, [usize; 4]> = BTreeMap::new();
        let mut clauses: BTreeMap<(Level, &str), usize> = BTreeMap::new();
        for outcome in &self.results {
            let column = match &outcome.verdict {
                Verdict::Pass => 0,
                Verdict::Accepted(_) => 1,
                Verdict::Skipped(why) => {
                    *reasons.entry(why.split(':').next().unwrap_or_default()).or_default() += 1;
                    3
                }
                Verdict::Fail(finding) => {
                    let Outcome { id, level, clause, cut, .. } = outcome;
                    let _ = writeln!(text, "{id}: {}, {clause}: {}", level.name(), finding.reason);
                    if !finding.expected.is_empty() {
                        let _ = writeln!(text, "  turn {}, {cut}", finding.turn);
                        let _ = writeln!(
                            text,
                            "  expected {}\n  actual   {}",
                            finding.expected, finding.actual
                        );
                    }
                    *clauses.entry((*level, clause)).or_default() += 1;
                    2
                }
            };
            levels.entry(outcome.level).or_default()[column] += 1;
        }
        for (why, count) in reasons {
            let _ = writeln!(text, "{count} skipped: {why}");
        }
        for ((level, clause), count) in clauses.iter().rev() {
            let _ = writeln!(text, "{count} failed: {}, {clause}", level.name());
        }
        for (level, [pass, accepted, failed, skipped]) in levels.iter().rev() {
            let _ = writeln!(
                text,
                "{}: {pass} as the row shows, {accepted} otherwise and accepted, {failed} failed, {skipped} skipped",
                level.name()
            );
        }
        text
    }

    /// The same as a document.
    #[must_use]
    pub fn document(&self, driver: &[String]) -> Value {
        let row = |outcome: &Outcome| {
            let (verdict, more) = match &outcome.verdict {
                Verdict::Pass => ("pass", Value::Null),
                Verdict::Accepted(word) => ("accepted", word.name().into()),
                Verdict::Fail(finding) => ("fail", json!(finding)),
                Verdict::Skipped(why) => ("skipped", (&why[..]).into()),
            };
            let Outcome { id, level, clause, cut, .. } = outcome;
            json!({ "id": id, "level": level, "clause": clause, "cut": cut, "verdict": verdict, "detail": more })
        };
        let rows: Vec<Value> = self.results.iter().map(row).collect();
        json!({ "schema": "starttls-driver", "version": super::VERSION, "driver": driver, "rows": rows })
    }
}

fn is_failure(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Fail(_))
}
