//! Plays rows with a program of any language, by the protocol of `driver/README.md`.

mod judge;
mod process;
mod reply;
pub mod report;

use std::collections::HashMap;

use serde_json::{Value, json};

pub use judge::{Expected, Finding, Verdict};
pub use process::{Answer, Broken, Process, State};

use crate::accept::{Alternative, is_refusal};
use crate::document;
use crate::run::Cut;
use crate::table::{Handshake, Row, Then, Turn, expanded};
use judge::{Seen, ends, judge};

/// The version of the protocol. A version may get more keys; any other change increments it.
pub const VERSION: u32 = 1;

/// The keys of a row that tell its result, or what is legal instead.
const RESULTS: [&str; 7] = ["turns", "events", "end", "error", "farewell", "early", "accept"];

/// A row, and what a driver is told of it.
#[derive(Clone, Debug)]
pub struct Played {
    /// The row.
    pub row: Row,
    /// The row without its results.
    start: Value,
}

/// The rows of one table.
///
/// # Panics
/// If it cannot be read.
#[must_use]
pub fn rows(table: &str) -> Vec<Played> {
    let played = |table: toml::Table| {
        let mut start = document::row(table.clone());
        for part in ["", "/mail"] {
            if let Some(Value::Object(part)) = start.pointer_mut(part) {
                part.retain(|key, _| !RESULTS.contains(&key.as_str()));
            }
        }
        Played { row: table.try_into().expect("a row"), start }
    };
    expanded(table).into_iter().map(played).collect()
}

/// Why a row was not played to its end.
enum Stop {
    /// It is decided.
    Decided(Verdict),
    /// The side acted before it had all bytes of a turn. The row begins again, and this turn comes whole from the offset on.
    Again { turn: usize, offset: usize },
}

impl From<Broken> for Stop {
    fn from(broken: Broken) -> Self {
        Self::Decided(Verdict::Fail(Finding::broken(&broken)))
    }
}

impl Played {
    /// Plays the row, with its bytes cut.
    pub fn play(&self, driver: &mut Process, cut: Cut) -> Verdict {
        match self.run(driver, cut, |game| game.whole()) {
            Ok(()) => Verdict::Pass,
            Err(verdict) => verdict,
        }
    }

    /// Plays as much of the row as `part` does, and again where a turn turns out to be due at once.
    fn run<T>(
        &self,
        driver: &mut Process,
        cut: Cut,
        part: impl Fn(&mut Game<'_>) -> Result<T, Stop>,
    ) -> Result<T, Verdict> {
        let mut whole_from = HashMap::new();
        loop {
            match part(&mut Game { played: self, driver, cut, whole_from: &whole_from }) {
                Ok(result) => return Ok(result),
                Err(Stop::Decided(verdict)) => return Err(verdict),
                Err(Stop::Again { turn, offset }) => {
                    let before = whole_from.insert(turn, offset);
                    if before.is_some_and(|before| before <= offset) {
                        return Err(Verdict::Fail(Finding::text(
                            "the driver does not repeat what it did",
                        )));
                    }
                }
            }
        }
    }

    /// The same row without the bytes that came before TLS.
    fn calm(&self) -> Self {
        let mut calm = self.clone();
        let row = &mut calm.row;
        let error = row.error.take().unwrap_or_default();
        let number =
            error.trim_start_matches(|one: char| !one.is_ascii_digit()).trim_end_matches(')');
        let injected = number.parse().unwrap_or(row.early.0.len());
        if let Some(last) = row.turns.last_mut() {
            last.input.0.truncate(last.input.0.len() - injected);
        }
        (row.end, row.early.0, row.farewell.0) =
            (Some("upgrade".to_owned()), Vec::new(), Vec::new());
        calm
    }
}

struct Game<'g> {
    played: &'g Played,
    driver: &'g mut Process,
    cut: Cut,
    whole_from: &'g HashMap<usize, usize>,
}

impl Game<'_> {
    /// The whole row.
    fn whole(&mut self) -> Result<(), Stop> {
        let row = &self.played.row;
        let mut answer = self.plaintext()?;
        if !row.turns.is_empty() {
            if answer.state != State::Upgrade {
                return Ok(());
            }
            answer = self.handshake()?;
        }
        if let Some(mail) = &row.mail {
            self.dialogue(&mail.turns, row.turns.len(), answer)?;
        }
        Ok(())
    }

    /// The dialogue up to TLS, or the first answer of a row that begins inside.
    fn plaintext(&mut self) -> Result<Answer, Stop> {
        let row = &self.played.row;
        let first = row.turns.first().or_else(|| row.mail.as_ref()?.turns.first());
        let begin = json!({ "do": "start", "version": VERSION, "row": self.played.start });
        let answer = self.begin(begin, 0, first)?;
        if let Some(why) = answer.skip {
            return Err(Stop::Decided(Verdict::Skipped(why)));
        }
        if row.turns.is_empty() { Ok(answer) } else { self.dialogue(&row.turns, 0, answer) }
    }

    /// Begins a dialogue. A side that speaks first, although its peer has already sent something, gets that at once.
    fn begin(
        &mut self,
        mut message: Value,
        turn: usize,
        first: Option<&Turn>,
    ) -> Result<Answer, Stop> {
        let input = first.map_or(&b""[..], |first| &first.input.0);
        let at_once = self.whole_from.get(&turn) == Some(&0);
        message["bytes"] = latin_1(if at_once { input } else { b"" }).into();
        let answer = self.driver.ask(&message)?;
        if !at_once && !input.is_empty() && acts(&answer) && answer.skip.is_none() {
            return Err(Stop::Again { turn, offset: 0 });
        }
        Ok(answer)
    }

    /// Plays turns, the first of which may have begun with an answer, up to the last.
    fn dialogue(&mut self, turns: &[Turn], first: usize, begun: Answer) -> Result<Answer, Stop> {
        let mut begun = Some(begun);
        let mut at_once = self.whole_from.get(&first) == Some(&0);
        let ends = ends(&self.played.row, first > 0 || self.played.row.turns.is_empty());
        for (index, turn) in turns.iter().enumerate() {
            let mut seen = Seen::new(begun.take().unwrap_or_default());
            let input = if std::mem::take(&mut at_once) { b"" } else { &turn.input.0[..] };
            if seen.answer.state == State::Wait {
                self.feed(&mut seen, input, turn, first + index)?;
            }
            let last = index + 1 == turns.len();
            let mut expected = Expected { turn: first + index, out: turn.out.0.clone(), end: None };
            if last {
                expected.out.extend(&ends.farewell);
                expected.end = Some(ends.state);
            }
            if let Some(verdict) = judge(&self.played.row, &expected, &seen, turn.then) {
                if verdict == Verdict::Accepted(Alternative::Discard) {
                    self.forgets(&expected)?;
                }
                return Err(Stop::Decided(verdict));
            }
            if last {
                return Ok(seen.answer);
            }
        }
        unreachable!("a dialogue has turns")
    }

    /// Passes a turn's bytes in pieces, and then its event.
    fn feed(
        &mut self,
        seen: &mut Seen,
        input: &[u8],
        turn: &Turn,
        index: usize,
    ) -> Result<(), Stop> {
        // Nothing is wrong with these lines, so that a side has to wait for their ends.
        let row = &self.played.row;
        let is_plain = row.error.is_none()
            && index < row.turns.len()
            && !is_refusal(&String::from_utf8_lossy(&turn.out.0))
            && turn.out.0.ends_with(b"\r\n")
            && input.is_ascii()
            && input.ends_with(b"\r\n");
        let whole_from = self.whole_from.get(&index).copied().unwrap_or(usize::MAX);
        let mut offset = 0;
        // Nothing is left where the start has brought it already.
        let cut = if input.is_empty() { Cut::Whole } else { self.cut };
        for piece in cut.pieces(index, input) {
            let piece = if offset < whole_from { piece } else { &input[offset..] };
            if piece.is_empty() {
                continue;
            }
            let answer = self.driver.ask(&json!({ "do": "in", "bytes": latin_1(piece) }))?;
            let end = offset + piece.len();
            if acts(&answer) && is_plain && !input[..end].contains(&b'\n') {
                let mut finding = Finding::text("it acts on half a line");
                (finding.turn, finding.actual) = (index, crate::shown(&answer.out));
                return Err(Stop::Decided(Verdict::Fail(finding)));
            }
            if acts(&answer) && end < input.len() {
                return Err(Stop::Again { turn: index, offset });
            }
            offset += piece.len();
            seen.add(answer);
        }
        let event = match turn.then {
            Then::Eof => "eof",
            Then::Silence => "silence",
            Then::Nothing => return Ok(()),
        };
        if seen.answer.state == State::Wait {
            let answer = self.driver.ask(&json!({ "do": event }))?;
            seen.add(answer);
        }
        Ok(())
    }

    /// Ends the handshake as the row demands.
    fn handshake(&mut self) -> Result<Answer, Stop> {
        let result = match self.played.row.tls {
            Handshake::Verified => "verified",
            Handshake::Unverified => "unverified",
            Handshake::Fails => "failed",
        };
        let first = self.played.row.mail.as_ref().and_then(|mail| mail.turns.first());
        let message = json!({ "do": "tls", "result": result });
        let answer = self.begin(message, self.played.row.turns.len(), first)?;
        let closes = self.played.row.tls == Handshake::Fails
            || self.played.row.error.as_deref() == Some("Unverified");
        if closes && !(answer.out.is_empty() && answer.state == State::Closed) {
            let turn = self.played.row.turns.len();
            let expected = Expected { turn, out: Vec::new(), end: Some(State::Closed) };
            let finding =
                Finding::of(&expected, &Seen::new(answer), "it goes on after the handshake");
            return Err(Stop::Decided(Verdict::Fail(finding)));
        }
        Ok(answer)
    }

    /// Bytes from before TLS are forgotten: inside, the side does what it does without them.
    fn forgets(&mut self, before: &Expected) -> Result<(), Stop> {
        let attacked = self.inside()?;
        let calm = self.played.calm().run(self.driver, Cut::Whole, |game| {
            game.plaintext()?;
            game.inside()
        });
        let calm = calm.map_err(|_| {
            Stop::Decided(Verdict::Skipped(
                "no comparison: no upgrade without the attack".to_owned(),
            ))
        })?;
        let same =
            |(calm, attacked): &(Seen, Seen)| judge::same_inside(&self.played.row, calm, attacked);
        let Some((calm, attacked)) = calm.into_iter().zip(attacked).find(|both| !same(both)) else {
            return Ok(());
        };
        let end = Some(calm.answer.state);
        let expected = Expected { turn: before.turn + 1, out: calm.answer.out, end };
        let reason = "bytes from before TLS change what it does or knows inside";
        Err(Stop::Decided(Verdict::Fail(Finding::of(&expected, &attacked, reason))))
    }

    /// What a side does inside: at once, after the first words of its peer, and at the end of a wait.
    fn inside(&mut self) -> Result<Vec<Seen>, Stop> {
        let tls = json!({ "do": "tls", "result": "verified", "bytes": "" });
        let words = self.played.row.turns.iter().find(|turn| !turn.input.0.is_empty());
        let words = words.map_or(&b""[..], |turn| &turn.input.0);
        let line = words.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default();
        let words = json!({ "do": "in", "bytes": latin_1(line) });
        let mut seen = Vec::new();
        for message in [tls, words, json!({ "do": "silence" })] {
            seen.push(Seen::new(self.driver.ask(&message)?));
            if seen.last().is_some_and(|seen| seen.answer.state != State::Wait) {
                break;
            }
        }
        Ok(seen)
    }
}

/// Whether a side does more than to wait.
fn acts(answer: &Answer) -> bool {
    !answer.out.is_empty() || answer.state != State::Wait
}

/// Bytes as a string with one character for each.
fn latin_1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}
