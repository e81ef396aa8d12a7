//! The sweeps' common code: dialogues that are in no table.

use crate::run::{Cut, Outcome, play};
use crate::subject::Room;
use crate::table::{Demand, Protocol, Role, Row};

/// Both.
pub const POLICIES: [Demand; 2] = [Demand::Required, Demand::Opportunistic];

/// Plays `turns`.
///
/// # Panics
/// If a promise of the machines is broken.
pub fn outcome<T: AsRef<[u8]>>(
    protocol: Protocol,
    role: Role,
    policy: Demand,
    turns: &[T],
) -> Outcome {
    let row = Row::of(protocol, role, policy, turns);
    play(&row, Cut::Whole, Room::Ample).upgrade.expect("a dialogue")
}

/// The end, and the bytes sent in the last turn.
///
/// # Panics
/// If there was no turn.
#[must_use]
pub fn last(outcome: &Outcome) -> (&str, &[u8]) {
    (&outcome.end, outcome.out.last().expect("a turn"))
}

/// `required`, or the result for a peer that does not require TLS.
#[must_use]
pub fn by(policy: Demand, required: &'static str, otherwise: &'static str) -> &'static str {
    if policy == Demand::Required { required } else { otherwise }
}

/// Asserts that neither the server's report of `said` nor its reply contains the secret.
///
/// # Panics
/// If it has.
pub fn assert_unseen(protocol: Protocol, policy: Demand, said: &[u8], secret: &str) {
    let Outcome { lines, out, .. } = outcome(protocol, Role::Server, policy, &[said]);
    let said = said.escape_ascii();
    assert!(!lines.concat().contains(secret), "{protocol:?} {policy:?} shows {said}");
    let out = out.concat();
    let repeats = out.windows(secret.len()).any(|part| part == secret.as_bytes());
    assert!(!repeats, "{protocol:?} {policy:?} repeats {said}: {}", out.escape_ascii());
}
