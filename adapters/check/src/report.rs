//! What a run found.

use std::time::Duration;

use serde::Serialize;

use crate::exchange::Exchange;

/// The weight of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Level {
    /// No standard demands it; published attacks do.
    Hardening,
    /// A standard recommends it (SHOULD).
    Should,
    /// A standard demands it (MUST), or a published vulnerability is its absence.
    Must,
}

impl Level {
    /// All levels, the lightest first.
    pub const ALL: [Self; 3] = [Self::Hardening, Self::Should, Self::Must];

    /// The name in reports and on command lines, in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hardening => "hardening",
            Self::Should => "should",
            Self::Must => "must",
        }
    }
}

/// One test, whatever the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Case {
    /// The name, such as `injection/same-segment`: a group and what is tried.
    pub id: &'static str,
    /// The weight.
    pub level: Level,
    /// The source: `rfc3207/4.2`, `cve-2011-0411`, or `class/` and the name of a class of attacks.
    pub clause: &'static str,
    /// What is tried, in a few words.
    pub title: &'static str,
    /// What the source demands, in our words.
    pub demand: &'static str,
    /// What to change where the case fails.
    pub remedy: &'static str,
}

impl Case {
    /// A case. The arguments are the fields, in their order.
    #[must_use]
    pub const fn new(
        id: &'static str,
        level: Level,
        clause: &'static str,
        title: &'static str,
        demand: &'static str,
        remedy: &'static str,
    ) -> Self {
        Self { id, level, clause, title, demand, remedy }
    }
}

/// The rows of a list of tests: the id, the level and the clause of a case, its title, its demand, its remedy, what runs it,
/// and whether a protocol can have the fault.
macro_rules! cases {
    ($($id:tt $level:ident $clause:literal, $title:literal, $demand:literal, $remedy:literal, $run:path, $fits:expr;)*) => {
        [$(Test {
            case: Case {
                id: $id,
                level: Level::$level,
                clause: $clause,
                title: $title,
                demand: $demand,
                remedy: $remedy,
            },
            run: $run,
            fits: $fits,
        },)*]
    };
}

pub(crate) use cases;

/// The result of one case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Verdict {
    /// The peer does what the clause demands.
    Pass,
    /// The peer violates a clause of the level [`Level::Must`], in two runs of two.
    Fail,
    /// The peer violates a clause of a lower level, in two runs of two.
    Warning,
    /// The case does not apply to this peer.
    Skipped,
    /// The case could not be decided.
    Inconclusive,
}

impl Verdict {
    /// All verdicts, the worst first.
    pub const ALL: [Self; 5] =
        [Self::Fail, Self::Warning, Self::Inconclusive, Self::Skipped, Self::Pass];

    /// The name in reports, in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Warning => "warning",
            Self::Skipped => "skipped",
            Self::Inconclusive => "inconclusive",
        }
    }

    /// Whether the peer violates a clause.
    #[must_use]
    pub const fn is_finding(self) -> bool {
        matches!(self, Self::Fail | Self::Warning)
    }
}

/// A case and its result.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Outcome {
    /// The case.
    #[serde(flatten)]
    pub case: Case,
    /// The result.
    pub verdict: Verdict,
    /// What was seen, or why there is no result. It may contain escaped text of the peer.
    pub reason: String,
    /// The connections of the last run of the case, in order.
    pub exchanges: Vec<Exchange>,
    /// The time that the case took.
    #[serde(rename = "seconds", serialize_with = "seconds")]
    pub took: Duration,
}

/// The tested side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// A server was tested, by a client of ours.
    Server,
    /// A client was tested, by a server of ours.
    Client,
}

impl Role {
    /// The name in reports, in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
        }
    }
}

/// The result of a run.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The tested side.
    pub role: Role,
    /// The protocol's name, as in a URL.
    pub protocol: &'static str,
    /// What was tested: a server's address, or a client's command.
    pub subject: String,
    /// The control run: the same dialogue without an attack. Without it nothing is claimed.
    pub control: Vec<Exchange>,
    /// Whether the control run got inside TLS and found an answer there. If not, no other case was run.
    pub control_passed: bool,
    /// The results, in the order of the cases.
    pub outcomes: Vec<Outcome>,
}

impl Outcome {
    /// A result without connections, which took no time.
    #[must_use]
    pub fn new(case: Case, verdict: Verdict, reason: impl Into<String>) -> Self {
        let (exchanges, took) = (Vec::new(), Duration::ZERO);
        Self { case, verdict, reason: reason.into(), exchanges, took }
    }
}

impl Report {
    /// A run without results.
    #[must_use]
    pub fn new(role: Role, protocol: &'static str, subject: impl Into<String>) -> Self {
        let (control, outcomes) = (Vec::new(), Vec::new());
        Self { role, protocol, subject: subject.into(), control, control_passed: false, outcomes }
    }

    /// The number of outcomes with this verdict.
    #[must_use]
    pub fn count(&self, verdict: Verdict) -> usize {
        self.outcomes.iter().filter(|outcome| outcome.verdict == verdict).count()
    }
}

fn seconds<S: serde::Serializer>(took: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64((took.as_secs_f64() * 1000.0).round() / 1000.0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use starttls::Protocol;

    use crate::{ClientTest, ServerTest};

    /// Each case of each protocol: unique, with a source that can be looked up, and with text for those who fail.
    #[test]
    fn cases_have_an_id_a_source_and_a_remedy() {
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let is_source = |clause: &str| match clause.split_once('/') {
            Some(("class", name)) => !name.is_empty(),
            Some((rfc, section)) => {
                rfc.strip_prefix("rfc").is_some_and(is_number) && is_number(section)
            }
            None => clause.starts_with("cve-2"),
        };
        for protocol in Protocol::ALL {
            let lists = [ServerTest::cases(protocol), ClientTest::cases(protocol)];
            for cases in lists.map(|cases| cases.expect("a protocol with tests")) {
                assert!(cases.len() > 8, "{}: {} cases", protocol.name, cases.len());
                let ids: BTreeSet<_> = cases.iter().map(|case| case.id).collect();
                assert_eq!(ids.len(), cases.len(), "{}", protocol.name);
                for case in cases {
                    assert!(is_source(case.clause), "{}: {}", case.id, case.clause);
                    assert!(case.id.split('/').count() == 2, "{}", case.id);
                    for text in [case.demand, case.remedy] {
                        assert!(text.ends_with('.') && text.len() > 20, "{}: {text}", case.id);
                    }
                }
            }
        }
    }
}
