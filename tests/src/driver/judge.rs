//! Judges what a driver did by the row's outcome and alternatives.

use serde::Serialize;

use super::process::{Answer, Broken, State};
use super::reply::{asks, is_goodbye, only_refuses, same_commands, same_replies, statuses, uses};
use crate::accept::Alternative;
use crate::shown;
use crate::table::{Demand, Handshake, Role, Row, Then};

/// The result of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As the row shows.
    Pass,
    /// As the row accepts.
    Accepted(Alternative),
    /// A violation.
    Fail(Finding),
    /// Not decided: the driver does not play it, or a client leads another dialogue, to which the row has no replies.
    Skipped(String),
}

/// The expected and the actual behaviour, for a report.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What went wrong.
    pub reason: String,
    /// The turn, counted from 0 through both dialogues of the row.
    pub turn: usize,
    /// What the row shows: the bytes, escaped, and what follows.
    pub expected: String,
    /// What the driver did.
    pub actual: String,
}

impl Finding {
    pub(super) fn text(reason: &str) -> Self {
        Self { reason: reason.to_owned(), ..Self::default() }
    }

    pub(super) fn broken(broken: &Broken) -> Self {
        Self::text(&broken.to_string())
    }

    pub(super) fn of(expected: &Expected, seen: &Seen, reason: &str) -> Self {
        let state = |state| match state {
            State::Wait => "waits",
            State::Upgrade => "starts TLS",
            State::Plaintext => "goes on without TLS",
            State::Closed => "closes",
        };
        let error =
            seen.answer.error.as_ref().map_or_else(String::new, |error| format!(" ({error})"));
        Self {
            reason: reason.to_owned(),
            turn: expected.turn,
            expected: format!(
                "\"{}\", {}",
                shown(&expected.out),
                state(expected.end.unwrap_or_default())
            ),
            actual: format!("\"{}\", {}{error}", shown(&seen.answer.out), state(seen.answer.state)),
        }
    }
}

/// The expected end of a turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Counted from 0 through both dialogues.
    pub turn: usize,
    /// The bytes.
    pub out: Vec<u8>,
    /// In the last turn: how the dialogue ends.
    pub end: Option<State>,
}

/// What the driver did in a turn.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) answer: Answer,
}

impl Seen {
    pub(super) const fn new(answer: Answer) -> Self {
        Self { answer }
    }

    pub(super) fn add(&mut self, later: Answer) {
        self.answer.out.extend(later.out);
        self.answer.early.extend(later.early);
        self.answer.state = later.state;
        self.answer.error = later.error.or_else(|| self.answer.error.take());
    }
}

/// How a dialogue of a row ends.
pub(super) struct Ends {
    pub(super) state: State,
    pub(super) farewell: Vec<u8>,
}

/// The end of a row's dialogue: up to TLS, or of its mail.
pub(super) fn ends(row: &Row, of_mail: bool) -> Ends {
    let (end, error, farewell) = match &row.mail {
        Some(mail) if of_mail => (&mail.end, &mail.error, &mail.farewell),
        _ => (&row.end, &row.error, &row.farewell),
    };
    let state = match (end.as_deref(), error.as_deref()) {
        // The dialogue is complete; the handshake shows that the peer is not verified.
        (_, Some("Unverified")) if !of_mail && row.tls == Handshake::Unverified => State::Upgrade,
        (Some("upgrade" | "handshake-failed"), _) => State::Upgrade,
        (Some("plaintext"), _) => State::Plaintext,
        (Some("waiting" | "done"), _) => State::Wait,
        _ => State::Closed,
    };
    Ends { state, farewell: farewell.0.clone() }
}

/// The verdict on a turn; none if the row goes on.
pub(super) fn judge(row: &Row, expected: &Expected, seen: &Seen, then: Then) -> Option<Verdict> {
    let Answer { out, state, early, .. } = &seen.answer;
    let same = match row.role {
        Role::Server => same_replies(&expected.out, out),
        Role::Client => same_commands(&expected.out, out),
    };
    let end = expected.end.unwrap_or_default();
    // With a peer that is gone, waiting and closing are the same.
    let left = then == Then::Eof && [State::Wait, State::Closed].contains(state);
    let ended = *state == end || left && end != State::Upgrade && end != State::Plaintext;
    let hands_over = *state != State::Upgrade || *early == row.early.0;
    if same && ended && hands_over {
        return None;
    }
    let last = expected.end.is_some();
    let finding = |reason| Some(Verdict::Fail(Finding::of(expected, seen, reason)));
    let in_plaintext = expected.turn < row.turns.len();
    if row.role == Role::Client
        && row.policy == Demand::Required
        && in_plaintext
        && uses(out)
        && !uses(&expected.out)
    {
        return finding("it logs in, or uses the service, without TLS");
    }
    // A refusal in the middle may have another code; what decides is the last turn.
    let refuses = |bytes| only_refuses(bytes, b"");
    if !last
        && *state == State::Wait
        && row.accept.contains(&Alternative::Refusal)
        && refuses(out)
        && refuses(&expected.out)
    {
        return None;
    }
    if last
        && let Some(word) = row.accept.iter().find(|word| fits(**word, row, expected, seen, same))
    {
        return Some(Verdict::Accepted(*word));
    }
    // A client that closes earlier than the row's.
    if row.role == Role::Client && !last && *state == State::Closed && closes_anyway(row) {
        return Some(Verdict::Accepted(Alternative::Close));
    }
    match (row.role, state) {
        (_, State::Upgrade) if end != State::Upgrade => finding("TLS starts where it must not"),
        (_, State::Plaintext) if end != State::Plaintext => finding("it goes on without TLS"),
        (Role::Client, State::Wait) if !last => {
            let finding = Finding::of(expected, seen, "");
            Some(Verdict::Skipped(format!(
                "another dialogue: {} in turn {} instead of {}",
                finding.actual, finding.turn, finding.expected
            )))
        }
        _ if !same => finding("it sends something else"),
        _ if ended => finding("other bytes are passed to TLS"),
        _ => finding("it ends in another way"),
    }
}

/// Whether a client may close in any turn, since it does so at the end at the latest.
fn closes_anyway(row: &Row) -> bool {
    row.accept.contains(&Alternative::Close)
        && (row.error.is_some() || row.end.as_deref() == Some("plaintext"))
}

/// Whether the last turn is this alternative.
fn fits(word: Alternative, row: &Row, expected: &Expected, seen: &Seen, same: bool) -> bool {
    let Answer { out, state, .. } = &seen.answer;
    let injected = row.error.as_deref().is_some_and(|error| error.starts_with("PlaintextAfter"));
    match word {
        Alternative::Refusal => {
            let also: &[u8] = if injected { b"" } else { &expected.out };
            [State::Wait, State::Closed].contains(state) && only_refuses(out, also)
        }
        Alternative::Close => {
            // What the row shows before the end may be missing, but nothing else is said.
            let begins =
                statuses(&expected.out).starts_with(&statuses(out)) && !statuses(out).is_empty();
            let refuses = row.role == Role::Server && (begins || only_refuses(out, &expected.out));
            *state == State::Closed && (out.is_empty() || same || refuses)
        }
        Alternative::Wait => *state == State::Wait && (out.is_empty() || same),
        Alternative::Discard => *state == State::Upgrade && same,
        Alternative::Quit => *state == State::Closed && (is_goodbye(out) || asks(out)),
        Alternative::Request => {
            let line = String::from_utf8_lossy(out).to_ascii_uppercase();
            let requests =
                ["STARTTLS", "STLS", "AUTH TLS"].iter().any(|request| line.contains(request));
            *state == State::Wait && requests && line.lines().count() == 1
        }
        Alternative::Plaintext => *state == State::Plaintext && out.is_empty(),
    }
}

/// Whether a side does the same in two runs of what follows TLS.
pub(super) fn same_inside(row: &Row, one: &Seen, other: &Seen) -> bool {
    let (one, other) = (&one.answer, &other.answer);
    let same = match row.role {
        Role::Server => same_replies(&one.out, &other.out),
        Role::Client => same_commands(&one.out, &other.out),
    };
    same && one.state == other.state && one.knows == other.knows
}
