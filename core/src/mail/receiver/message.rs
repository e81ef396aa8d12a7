//! The message, by `DATA` or `BDAT`, and its end.

use super::parameters::number;
use super::reply::Reply;
use super::state::{Chunk, Question, Stage, State, Then, Transaction, Whole};
use super::{Event, Receiver, dots};
use crate::mail::blocks::{Blocks, Stops, has_nul, take_text};
use crate::smtp::Dialect;
use crate::{Channel, Error};

impl<C: Channel, D: Dialect> Receiver<'_, C, D> {
    /// Takes the next piece of the message after `DATA`.
    pub(super) fn body<'i>(
        &mut self,
        mut line_start: bool,
        input: &mut &'i [u8],
    ) -> Result<Option<Event<'i>>, Error> {
        let piece = dots::unstuff(&mut line_start, input)?;
        self.state = State::Body { line_start };
        Ok(match piece {
            dots::Piece::Read => None,
            dots::Piece::Text(text) => {
                self.mail.octets = self.mail.octets.saturating_add(text.len());
                self.progress(text.len());
                // A program that strips the NUL could find an end of the message where its sender had none
                // (RFC 2045 §2.7, §2.8).
                if has_nul(text) {
                    self.mail.refusal = Some(Reply::NulInMessage);
                }
                Some(Event::Body(text))
            }
            dots::Piece::End => {
                let refusal =
                    if self.is_too_large() { Some(Reply::TooLarge) } else { self.mail.refusal };
                Some(self.whole(Whole { index: 0, refusal }))
            }
        })
    }

    /// Starts a chunk. Even if it is not allowed, the reply follows only after its last byte (RFC 3030 §2).
    pub(super) fn begin_chunk(&mut self, chunk: Chunk, allowed: bool) {
        if allowed && self.mail.recipients > 0 {
            if self.mail.stage == Stage::Envelope {
                self.mail.stage = Stage::Chunks { after_cr: false };
            }
            self.mail.octets = self.mail.octets.saturating_add(chunk.left);
            if self.is_too_large() {
                self.mail.refusal = Some(Reply::TooLarge);
            }
        }
        self.block = 0;
        self.await_chunk(chunk);
    }

    /// Takes the next piece of a chunk.
    pub(super) fn chunk<'i>(
        &mut self,
        mut chunk: Chunk,
        input: &mut &'i [u8],
    ) -> Result<Option<Event<'i>>, Error> {
        if let (Stage::Chunks { after_cr }, None) = (&mut self.mail.stage, self.mail.refusal) {
            match piece(after_cr, chunk.left, input) {
                Piece::Read => return Ok(None),
                Piece::Text(text) => {
                    chunk.left = chunk.left.saturating_sub(text.len());
                    self.progress(text.len());
                    self.await_chunk(chunk);
                    return Ok(Some(Event::Body(text)));
                }
                Piece::Bare => self.mail.refusal = Some(Reply::BareLineEnd),
                Piece::Nul => self.mail.refusal = Some(Reply::NulInMessage),
            }
        }
        Ok(self.drop_chunk(chunk, input))
    }

    /// Waits for the rest of a chunk, and replies at its end if the chunk is kept.
    fn await_chunk(&mut self, chunk: Chunk) {
        match (self.mail.stage, self.mail.refusal) {
            (Stage::Chunks { .. }, None) if chunk.left == 0 && !chunk.is_last => {
                self.say(Reply::OK, Then::Await);
            }
            (Stage::Chunks { after_cr }, None) if chunk.left == 0 => {
                let refusal = after_cr.then_some(Reply::BareLineEnd);
                self.state = State::Whole(Whole { index: 0, refusal });
            }
            _ => self.state = State::Chunk(chunk),
        }
    }

    /// Drops the bytes of a chunk that is not kept, and replies with the reason at its end.
    fn drop_chunk<'i>(&mut self, mut chunk: Chunk, input: &mut &'i [u8]) -> Option<Event<'i>> {
        let here = chunk.left.min(input.len());
        *input = input.get(here..).unwrap_or_default();
        chunk.left = chunk.left.saturating_sub(here);
        self.state = State::Chunk(chunk);
        if chunk.left > 0 {
            return None;
        }
        match self.mail.refusal {
            refusal @ Some(_) if chunk.is_last => {
                return Some(self.whole(Whole { index: 0, refusal }));
            }
            Some(reply) => self.say(reply, Then::Await),
            None if self.must_authenticate() => self.fault(Reply::AuthenticationRequired),
            None => self.fault(Reply::BAD_SEQUENCE),
        }
        Some(Event::Discarded)
    }

    /// Handles the end of the message: asks the application, or refuses the message itself.
    pub(super) fn whole<'i>(&mut self, whole: Whole) -> Event<'i> {
        let Whole { index, refusal } = whole;
        match refusal {
            None => {
                self.state = State::Deciding(Question::Message { index });
                Event::Message { index }
            }
            Some(reply) => {
                let then = self.judged(whole);
                self.say(reply, then);
                Event::Refused { index }
            }
        }
    }

    /// The state after a decision on the message. LMTP has one reply for each recipient (RFC 2033 §4.2).
    pub(super) fn judged(&mut self, whole: Whole) -> Then {
        let next = whole.index.saturating_add(1);
        if !D::IS_SMTP && next < self.mail.recipients {
            return Then::Whole(Whole { index: next, ..whole });
        }
        self.mail = Transaction::default();
        Then::Await
    }

    fn is_too_large(&self) -> bool {
        self.config.limits.size.is_some_and(|limit| self.mail.octets > limit)
    }
}

/// Parses `chunk-size [ SP "LAST" ]`, `chunk-size = 1*DIGIT` (RFC 3030 §2). Returns `None` also for a size
/// beyond `usize`.
pub(super) fn parse_bdat(argument: &[u8]) -> Option<Chunk> {
    let mut words = argument.split(|octet| *octet == b' ').filter(|word| !word.is_empty());
    let left = number(words.next()?)?;
    let is_last = match (words.next(), words.next()) {
        (None, _) => false,
        (Some(word), None) if word.eq_ignore_ascii_case(b"LAST") => true,
        _ => return None,
    };
    (left != usize::MAX).then_some(Chunk { left, is_last })
}

/// A piece of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece<'i> {
    /// More bytes are needed.
    Read,
    Text(&'i [u8]),
    /// A bare CR or LF.
    Bare,
    /// A NUL byte, which no message may have.
    Nul,
}

/// Takes the next piece of a chunk with `left` remaining bytes, without copying.
///
/// Lines in a chunk end with CRLF, too (RFC 3030 §2). If a bare CR or LF were passed on, the next server
/// could see the end of the mail where its sender did not put it. `after_cr` is the state between chunks.
/// At most one byte stays in the input, and none at the end of the chunk.
fn piece<'i>(after_cr: &mut bool, left: usize, input: &mut &'i [u8]) -> Piece<'i> {
    let chunk = input.get(..left).unwrap_or(input);
    let ends = chunk.len() == left;
    let mut length: usize = 0;
    let mut rest = chunk;
    let mut blocks = Blocks::new(Stops { dot: false, empty: false });
    loop {
        if !*after_cr && let Some(block) = blocks.take(&mut rest) {
            length = length.wrapping_add(block.len());
            continue;
        }
        match rest {
            [] => break,
            [b'\n', after @ ..] if *after_cr => {
                *after_cr = false;
                length = length.wrapping_add(1);
                rest = after;
            }
            [_, ..] if *after_cr => return Piece::Bare,
            [b'\r', b'\n', after @ ..] => {
                length = length.wrapping_add(2);
                rest = after;
            }
            [b'\r'] if ends => {
                *after_cr = true;
                length = length.wrapping_add(1);
                break;
            }
            [b'\r'] => break,
            // Returns the bytes before the error first, so that the result does not depend on the cut
            // (I14).
            [b'\r' | b'\n' | 0, ..] if length > 0 => break,
            [b'\r' | b'\n', ..] => return Piece::Bare,
            [0, ..] => return Piece::Nul,
            [_, ..] => length = length.wrapping_add(take_text(&mut rest).len()),
        }
    }
    if length == 0 {
        return Piece::Read;
    }
    let (text, rest) = input.split_at_checked(length).unwrap_or_default();
    *input = rest;
    Piece::Text(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let chunk = |left, is_last| Some(Chunk { left, is_last });
        for (argument, expected) in [
            (&b"0"[..], chunk(0, false)),
            (b"00012", chunk(12, false)),
            (b"86400 LAST", chunk(86400, true)),
            (b"0 last", chunk(0, true)),
            (b"1  LAST", chunk(1, true)),
            (b"", None),
            (b"LAST", None),
            (b"-1", None),
            (b"+1", None),
            (b"1x", None),
            (b"1 LAST LAST", None),
            (b"1 FIRST", None),
            (b"99999999999999999999999", None),
        ] {
            assert_eq!(parse_bdat(argument), expected, "{argument:?}");
        }
    }

    /// The pieces of a chunk that arrives in two parts.
    fn read(after_cr: &mut bool, chunk: &[u8], cut: usize) -> Result<heapless::Vec<u8, 64>, ()> {
        let (mut left, mut start, mut all) = (chunk.len(), 0, heapless::Vec::new());
        for end in [cut, chunk.len()] {
            let mut input = &chunk[start..end];
            while left > 0 {
                match piece(after_cr, left, &mut input) {
                    Piece::Read => break,
                    Piece::Bare | Piece::Nul => return Err(()),
                    Piece::Text(text) => {
                        left -= text.len();
                        all.extend_from_slice(text).expect("short");
                    }
                }
            }
            start = end - input.len();
        }
        assert_eq!(left, 0, "the chunk is read to its end");
        Ok(all)
    }

    #[test]
    fn chunks_are_unchanged_at_every_cut() {
        for chunks in [&[&b"a\r\n.\r\n..b"[..]][..], &[b"a\r", b"\nb"], &[b"\r", b"\n\r", b"\n"]] {
            for cut in 0..12 {
                let mut after_cr = false;
                for chunk in chunks {
                    let read = read(&mut after_cr, chunk, cut.min(chunk.len()));
                    assert_eq!(read.as_deref(), Ok(*chunk), "{chunks:?} cut at {cut}");
                }
                assert!(!after_cr);
            }
        }
    }

    #[test]
    fn bare_line_ends_are_found_at_every_cut() {
        for chunks in [
            &[&b"a\nb"[..]][..],
            &[b"\n"],
            &[b"a\rb"],
            &[b"\r\r\n"],
            &[b"a\r", b"b"],
            &[b"a", b"\n"],
            &[b"a\r\n", b"\n"],
            &[b"\r", b"\r"],
            &[b"\0"],
            &[b"a\r\n\0.\r\n"],
        ] {
            for cut in 0..4 {
                let mut after_cr = false;
                let mut read = |chunk: &&[u8]| read(&mut after_cr, chunk, cut.min(chunk.len()));
                assert!(chunks.iter().any(|chunk| read(chunk).is_err()), "{chunks:?} at {cut}");
            }
        }
    }
}
