//! Plays a row against a machine.
//!
//! A turn is the input received before the machine writes. While the machine waits, it gets the turn
//! piece by piece; once it stops waiting, it gets the rest at once. The reason: a client sends a
//! command only after it has read everything received so far, and both sides pass everything received
//! so far when they cross the boundary.

use std::collections::VecDeque;

use starttls::{Error, Tls};

use crate::shown;
use crate::subject::{self, Log, Next, Room, Subject, Way};
use crate::table::{Handshake, Over, Row, Then, Turn};

/// How the bytes of the turns are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Whole.
    Whole,
    /// Into pieces of `n` bytes.
    Every(usize),
    /// Turn `turn` in two, before the byte at `offset`.
    Before {
        /// Counted through both dialogues of the row.
        turn: usize,
        /// From the start of the turn.
        offset: usize,
    },
}

impl Cut {
    /// The pieces of a turn.
    pub(crate) fn pieces(self, index: usize, octets: &[u8]) -> VecDeque<&[u8]> {
        match self {
            Self::Every(n) => octets.chunks(n).collect(),
            Self::Before { turn, offset } if turn == index => {
                let (front, back) = octets.split_at(offset);
                [front, back].into()
            }
            _ => [octets].into(),
        }
    }
}

/// The result of one dialogue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The bytes sent in each turn.
    pub out: Vec<Vec<u8>>,
    /// The events.
    pub events: Vec<String>,
    /// The end.
    pub end: String,
    /// The reply sent before closing on an error.
    pub farewell: Vec<u8>,
    /// The bytes that the server passes to TLS.
    pub early: Vec<u8>,
    /// The lines that were only reported.
    pub lines: Vec<String>,
}

/// The result of a row: its upgrade and its mail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Played {
    /// Up to the boundary.
    pub upgrade: Option<Outcome>,
    /// After it.
    pub mail: Option<Outcome>,
    /// The number of steps of the upgrade.
    pub steps: usize,
}

/// Where a dialogue stopped.
struct Stopped {
    end: Result<&'static str, Error>,
    unread: Vec<u8>,
    steps: usize,
}

/// Plays a whole row.
///
/// # Panics
/// If the machine breaks a promise that holds for every row.
#[must_use]
pub fn play(row: &Row, cut: Cut, room: Room) -> Played {
    let mut played = Played::default();
    let mut carried = Vec::new();
    let mut way = None;
    let upgrades = !row.turns.is_empty();
    if upgrades {
        let mut machine = subject::upgrading(row);
        let mut outcome = Outcome::default();
        let stopped =
            dialogue(&mut *machine, &row.turns, 0, cut, room, Vec::new(), usize::MAX, &mut outcome);
        played.steps = stopped.steps;
        let crossed = match stopped.end {
            Ok("upgrade") => cross(machine, &stopped.unread, row.tls, &mut outcome),
            Ok("plaintext") => {
                carried = stopped.unread.clone();
                let plaintext = machine.into_plaintext(&stopped.unread);
                plaintext.map(|plaintext| Some(Way::Plaintext(plaintext)))
            }
            Ok(_) | Err(_) => {
                // Wherever a machine waits for the peer, the wait times out.
                assert!(
                    stopped.end != Ok("waiting") || machine.waits(),
                    "{} waits forever",
                    row.id
                );
                refuses_to_cross(machine, &stopped);
                stopped.end.map(|_| None)
            }
        };
        outcome.end = match crossed {
            Ok(crossed) => {
                way = crossed;
                match (stopped.end, row.tls) {
                    (Ok("upgrade"), Handshake::Fails) => "handshake-failed",
                    (Ok(end), _) => end,
                    (Err(_), _) => unreachable!("an error stays an error"),
                }
                .to_string()
            }
            Err(error) => format!("error {}", named(error)),
        };
        played.upgrade = Some(outcome);
    }
    if let Some(mail) = &row.mail {
        let way = match (way, upgrades) {
            (Some(way), true) => way,
            (None, true) => panic!("{}: mail after an upgrade that did not happen", row.id),
            (_, false) => subject::way(row.role, mail.over.unwrap_or(Over::Tls), row.tls),
        };
        let mut machine = subject::mailing(row, mail, way);
        let mut outcome = Outcome::default();
        let first = row.turns.len();
        let stopped = dialogue(
            &mut *machine,
            &mail.turns,
            first,
            cut,
            room,
            carried,
            usize::MAX,
            &mut outcome,
        );
        outcome.end = match stopped.end {
            Ok(end) => end.to_string(),
            Err(error) => format!("error {}", named(error)),
        };
        refuses_to_cross(machine, &stopped);
        played.mail = Some(outcome);
    }
    played
}

/// Plays the upgrade up to step `steps`, then tries to cross the boundary in both directions.
///
/// # Panics
/// If the machine releases the connection too early.
pub fn abandon(row: &Row, steps: usize) {
    for upgrade in [true, false] {
        let mut machine = subject::upgrading(row);
        let mut outcome = Outcome::default();
        let stopped = dialogue(
            &mut *machine,
            &row.turns,
            0,
            Cut::Whole,
            Room::Ample,
            Vec::new(),
            steps,
            &mut outcome,
        );
        let crossed = if upgrade {
            machine.into_upgrade(b"", row.tls).map(drop)
        } else {
            machine.into_plaintext(b"").map(drop)
        };
        match (stopped.end, crossed) {
            (Ok("upgrade"), _) if upgrade => {}
            (Ok("plaintext"), _) if !upgrade => {}
            (_, Err(Error::OutOfOrder)) => {}
            // It may already have decided, without having reported it.
            (_, Err(error)) if row.error.as_deref() == Some(&named(error)) => {}
            (end, crossed) => {
                panic!("{}: released after {steps} steps, {end:?}: {crossed:?}", row.id)
            }
        }
    }
}

/// Plays the upgrade up to step `steps`, and lets it time out there.
///
/// # Panics
/// If it has a farewell when it is not the peer's turn, for example after the go-ahead.
pub fn silence(row: &Row, steps: usize) {
    let mut machine = subject::upgrading(row);
    let mut outcome = Outcome::default();
    let (cut, room) = (Cut::Whole, Room::Ample);
    let stopped =
        dialogue(&mut *machine, &row.turns, 0, cut, room, Vec::new(), steps, &mut outcome);
    if stopped.end.is_ok() {
        let waits = machine.waits();
        let error = machine.timed_out();
        let known = row.error.as_deref() == Some(&named(error));
        // Silence after a request for an unlisted capability means that the server has no TLS.
        let expected = matches!(error, Error::TimedOut | Error::NotOffered);
        assert!(known || expected, "{}: {error}", row.id);
        let words = machine.farewell(room);
        assert!(waits || words.is_empty(), "{}: {} after {steps} steps", row.id, shown(&words));
    }
}

fn cross(
    machine: Box<dyn Subject>,
    unread: &[u8],
    tls: Handshake,
    outcome: &mut Outcome,
) -> Result<Option<Way>, Error> {
    let (tls, early): (Option<Tls>, _) = machine.into_upgrade(unread, tls)?;
    outcome.early = early;
    Ok(tls.map(Way::Tls))
}

/// A machine that is not ready does not release the connection.
fn refuses_to_cross(machine: Box<dyn Subject>, stopped: &Stopped) {
    let crossed = machine.into_upgrade(&[], Handshake::Verified).map(drop);
    let out_of_order = crossed == Err(Error::OutOfOrder);
    assert!(out_of_order || crossed == stopped.end.map(drop), "crossed the boundary: {crossed:?}");
}

/// More steps than any row needs.
const MAX_STEPS: usize = 100_000;

#[expect(clippy::too_many_arguments, reason = "the whole situation")]
fn dialogue(
    machine: &mut dyn Subject,
    turns: &[Turn],
    first: usize,
    cut: Cut,
    room: Room,
    mut unread: Vec<u8>,
    max_steps: usize,
    outcome: &mut Outcome,
) -> Stopped {
    let mut log = Log::default();
    let mut steps = 0;
    let mut end = Ok("waiting");
    let mut denied = false;
    'turns: for (index, turn) in turns.iter().enumerate() {
        let before = log.out.len();
        let mut pieces = cut.pieces(first + index, &turn.input.0);
        let stops = loop {
            if steps == max_steps {
                break true;
            }
            steps += 1;
            assert!(steps < MAX_STEPS, "it never ends");
            if !machine.waits() {
                unread.extend(pieces.drain(..).flatten());
            }
            let mut input = &unread[..];
            let next = machine.step(&mut input, room, &mut log);
            let left = input.len();
            unread.drain(..unread.len() - left);
            match next {
                Next::On => {}
                Next::Read => match pieces.pop_front() {
                    Some(piece) => unread.extend(piece),
                    None => {
                        in_order(machine);
                        break false;
                    }
                },
                Next::Over(over) => {
                    unread.extend(pieces.drain(..).flatten());
                    end = Ok(over);
                    break true;
                }
                Next::Failed(error) => {
                    end = Err(error);
                    break true;
                }
                Next::Denied(error) => {
                    let again = machine.step(&mut &unread[..], room, &mut log);
                    assert_eq!(again, Next::Denied(error), "a different result for the same job");
                    denied = true;
                    end = Err(error);
                    break true;
                }
            }
        };
        if !stops {
            end = match turn.then {
                Then::Nothing => end,
                Then::Eof => machine.end_of_input().map(|()| "closed"),
                Then::Silence => Err(machine.timed_out()),
            };
        }
        outcome.out.push(log.out[before..].to_vec());
        if stops || turn.then != Then::Nothing {
            assert!(
                max_steps != usize::MAX || index + 1 == turns.len(),
                "it ends ({end:?}) before turn {}",
                first + index + 1
            );
            break 'turns;
        }
    }
    outcome.farewell = machine.farewell(room);
    match end {
        Err(_) if denied => {}
        Err(error) => stays_failed(machine, error, room),
        Ok("waiting" | "closed" | "done") => {}
        Ok(_) => in_order(machine),
    }
    outcome.events = log.events;
    outcome.lines = log.lines;
    Stopped { end, unread, steps }
}

/// A call that is not allowed now returns an error and changes nothing.
fn in_order(machine: &mut dyn Subject) {
    for result in machine.misuse() {
        assert_eq!(result, Err(Error::OutOfOrder), "a call out of order");
    }
}

/// A failed machine repeats its error and writes nothing.
fn stays_failed(machine: &mut dyn Subject, error: Error, room: Room) {
    if error.is_ours() {
        return;
    }
    let mut log = Log::default();
    for octets in [&b""[..], b"250 ok\r\n", b"\n"] {
        let mut input = octets;
        assert_eq!(machine.step(&mut input, room, &mut log), Next::Failed(error), "another error");
        assert_eq!(input, octets, "a failed machine reads");
    }
    assert_eq!(log, Log::default(), "a failed machine does something");
    assert_eq!(machine.end_of_input(), Err(error));
    assert_eq!(machine.timed_out(), error);
    for result in machine.misuse() {
        assert_eq!(result, Err(error), "a call of a failed machine");
    }
}

/// An error in the notation of the tables.
#[must_use]
pub fn named(error: Error) -> String {
    match error {
        Error::PlaintextAfterGoAhead { unread } => format!("PlaintextAfterGoAhead({unread})"),
        other => format!("{other:?}"),
    }
}
