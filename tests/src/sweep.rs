//! What the sweeps share: dialogues that are in no table.

use crate::run::{Cut, Outcome, play};
use crate::subject::Room;
use crate::table::{Demand, Protocol, Role, Row};

/// Both.
pub const POLICIES: [Demand; 2] = [Demand::Required, Demand::Opportunistic];

/// What comes of `turns`.
///
/// # Panics
/// A promise of the machines is broken.
pub fn outcome<T: AsRef<[u8]>>(
    protocol: Protocol,
    role: Role,
    policy: Demand,
    turns: &[T],
) -> Outcome {
    let row = Row::of(protocol, role, policy, turns);
    play(&row, Cut::Whole, Room::Ample).upgrade.expect("a dialogue")
}

/// How it ends, and what is sent upon the last turn.
///
/// # Panics
/// There was no turn.
#[must_use]
pub fn last(outcome: &Outcome) -> (&str, &[u8]) {
    (&outcome.end, outcome.out.last().expect("a turn"))
}

/// `required`, or what comes of a peer that does not require TLS.
#[must_use]
pub fn by(policy: Demand, required: &'static str, otherwise: &'static str) -> &'static str {
    if policy == Demand::Required { required } else { otherwise }
}
