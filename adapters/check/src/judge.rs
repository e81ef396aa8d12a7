//! When a violation counts.

use std::fmt;

use crate::exchange::Exchange;
use crate::report::{Level, Verdict};

/// The result of one run of a case, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// The peer does what the case demands.
    Pass(String),
    /// It does not.
    Violation(String),
    /// The case does not apply.
    Skip(String),
    /// The run shows neither.
    Unclear(String),
}

impl Seen {
    /// The verdict without a second run.
    pub(crate) fn verdict(self, level: Level) -> (Verdict, String) {
        match self {
            Self::Pass(why) => (Verdict::Pass, why),
            Self::Skip(why) => (Verdict::Skipped, why),
            Self::Unclear(why) => (Verdict::Inconclusive, why),
            Self::Violation(why) if level == Level::Must => (Verdict::Fail, why),
            Self::Violation(why) => (Verdict::Warning, why),
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Pass(why) | Self::Violation(why) | Self::Skip(why) | Self::Unclear(why)) = self;
        f.write_str(why)
    }
}

/// How often a violation is tried for again: some depend on timing.
const TRIES: usize = 4;

/// Runs a case. A violation counts if it is seen twice and the control works between: the same dialogue without the attack.
///
/// Returns the verdict, its reason, and the connections of the run that shows it.
pub(crate) fn judge(
    level: Level,
    mut play: impl FnMut() -> (Result<Seen, String>, Vec<Exchange>),
    mut control: impl FnMut() -> Result<(), String>,
) -> ((Verdict, String), Vec<Exchange>) {
    let (what, first) = match play() {
        (Ok(Seen::Violation(what)), exchanges) => (what, exchanges),
        (Ok(seen), exchanges) => return (seen.verdict(level), exchanges),
        (Err(why), exchanges) => return ((Verdict::Inconclusive, why), exchanges),
    };
    let mut other = String::new();
    for _ in 0..TRIES {
        if let Err(why) = control() {
            other = format!("then the clean dialogue failed: {why}");
            break;
        }
        match play() {
            (Ok(seen @ Seen::Violation(_)), exchanges) => return (seen.verdict(level), exchanges),
            (Ok(seen), _) => other = format!("not again: {seen}"),
            (Err(why), _) => other = format!("not again: {why}"),
        }
    }
    ((Verdict::Inconclusive, format!("{what}; but {other}")), first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(level: Level, runs: Vec<Result<Seen, String>>, control: bool) -> (Verdict, String) {
        let mut runs = runs.into_iter();
        let play = || (runs.next().expect("no more runs than that"), Vec::new());
        judge(level, play, || if control { Ok(()) } else { Err("gone".to_owned()) }).0
    }

    #[test]
    fn a_violation_counts_twice_with_the_control_between() {
        let violation = || Ok(Seen::Violation("v".to_owned()));
        let pass = || Ok(Seen::Pass("p".to_owned()));
        let verdict = |runs, control| judged(Level::Must, runs, control).0;
        assert_eq!(verdict(vec![violation(), violation()], true), Verdict::Fail);
        assert_eq!(verdict(vec![violation(), pass(), violation()], true), Verdict::Fail);
        assert_eq!(verdict(vec![violation()], false), Verdict::Inconclusive);
        let once = vec![violation(), pass(), pass(), pass(), Err("e".to_owned())];
        assert_eq!(verdict(once, true), Verdict::Inconclusive);
        assert_eq!(verdict(vec![pass()], false), Verdict::Pass);
        assert_eq!(verdict(vec![Err("e".to_owned())], true), Verdict::Inconclusive);
        let lighter = judged(Level::Should, vec![violation(), violation()], true);
        assert_eq!(lighter, (Verdict::Warning, "v".to_owned()));
    }
}
