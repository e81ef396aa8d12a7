//! Compares a machine's output with the row.

use std::panic::catch_unwind;

use crate::run::{Cut, Outcome, Played, abandon, play, silence};
use crate::shown;
use crate::subject::Room;
use crate::table::{self, Mail, Row, Turn};

/// Checks every row of a table, and lists those that fail.
///
/// # Panics
/// If a row fails.
pub fn check_table(name: &str) {
    let rows = table::rows(name);
    assert!(!rows.is_empty(), "{name} is empty");
    let fails = |row: &&Row| catch_unwind(|| check(row)).is_err();
    let failed: Vec<&str> = rows.iter().filter(fails).map(|row| &row.id[..]).collect();
    assert!(failed.is_empty(), "{} of {} rows of {name}: {failed:#?}", failed.len(), rows.len());
}

/// Plays a row whole, byte by byte, cut in two at every offset, and with too small a buffer.
///
/// # Panics
/// If the output differs from the row.
pub fn check(row: &Row) {
    let whole = played(row, Cut::Whole, Room::Ample);
    compare(row, Cut::Whole, &expected(row), &told(&whole));
    let mut cuts = vec![Cut::Every(1), Cut::Every(2), Cut::Every(3), Cut::Every(7)];
    let mail = row.mail.iter().flat_map(|mail| &mail.turns);
    for (turn, octets) in row.turns.iter().chain(mail).enumerate() {
        cuts.extend((0..=octets.input.0.len()).map(|offset| Cut::Before { turn, offset }));
    }
    for cut in cuts {
        compare(row, cut, &all(&whole), &all(&played(row, cut, Room::Ample)));
    }
    for cut in [Cut::Whole, Cut::Every(1)] {
        compare(row, cut, &all(&whole), &all(&played(row, cut, Room::Tight)));
    }
    for steps in 0..=whole.steps {
        abandon(row, steps);
        silence(row, steps);
    }
}

/// Plays a row. If a promise is broken on the way, prints the row and the cut.
fn played(row: &Row, cut: Cut, room: Room) -> Played {
    struct Context<'r>(&'r Row, Cut, Room);
    impl Drop for Context<'_> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("in row {}, cut {:?}, room {:?}", self.0.id, self.1, self.2);
            }
        }
    }
    let _context = Context(row, cut, room);
    play(row, cut, room)
}

fn compare(row: &Row, cut: Cut, expected: &[String], actual: &[String]) {
    if expected == actual {
        return;
    }
    let mut message = format!("{}, cut {cut:?}\n", row.id);
    for at in 0..expected.len().max(actual.len()) {
        match (expected.get(at), actual.get(at)) {
            (Some(expected), Some(actual)) if expected == actual => {
                message += &format!("      = {expected}\n");
            }
            (expected, actual) => {
                if let Some(expected) = expected {
                    message += &format!("expected {expected}\n");
                }
                if let Some(actual) = actual {
                    message += &format!("  actual {actual}\n");
                }
            }
        }
    }
    panic!("{message}");
}

/// The expectation of a row, line by line.
fn expected(row: &Row) -> Vec<String> {
    let mut lines = Vec::new();
    if !row.turns.is_empty() {
        let end = end(&row.id, row.end.as_ref(), row.error.as_ref());
        lines.extend(list(
            row.turns.iter().map(|turn: &Turn| &turn.out.0[..]),
            &row.events,
            &end,
            &row.farewell.0,
            &row.early.0,
        ));
    }
    if let Some(Mail { turns, events, end: mail_end, error, farewell, .. }) = &row.mail {
        let end = end(&row.id, mail_end.as_ref(), error.as_ref());
        let out = turns.iter().map(|turn| &turn.out.0[..]);
        lines.extend(list(out, events, &end, &farewell.0, b""));
    }
    lines
}

fn end(id: &str, end: Option<&String>, error: Option<&String>) -> String {
    match (end, error) {
        (Some(end), None) => end.clone(),
        (None, Some(error)) => format!("error {error}"),
        _ => panic!("{id}: a row has exactly one of `end` and `error`"),
    }
}

/// The same lines for the actual output.
fn told(played: &Played) -> Vec<String> {
    let outcomes = [&played.upgrade, &played.mail].into_iter().flatten();
    outcomes.flat_map(told_one).collect()
}

fn told_one(outcome: &Outcome) -> Vec<String> {
    let out = outcome.out.iter().map(|out| &out[..]);
    list(out, &outcome.events, &outcome.end, &outcome.farewell, &outcome.early)
}

/// Includes the lines that are only reported.
fn all(played: &Played) -> Vec<String> {
    let outcomes = [&played.upgrade, &played.mail].into_iter().flatten();
    let reported = outcomes.flat_map(|outcome| &outcome.lines);
    let mut lines = told(played);
    lines.extend(reported.map(|line| format!("line {line}")));
    lines
}

fn list<'o>(
    out: impl Iterator<Item = &'o [u8]>,
    events: &[String],
    end: &str,
    farewell: &[u8],
    early: &[u8],
) -> Vec<String> {
    let mut lines: Vec<String> =
        out.enumerate().map(|(turn, out)| format!("out {turn} {}", shown(out))).collect();
    lines.extend(events.iter().map(|event| format!("event {event}")));
    lines.push(format!("end {end}"));
    lines.push(format!("farewell {}", shown(farewell)));
    lines.push(format!("early {}", shown(early)));
    lines
}
