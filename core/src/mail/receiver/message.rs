//! The message itself, by `DATA` or `BDAT`, and its end.

use super::chunk::{self, Piece};
use super::reply::Reply;
use super::state::{Chunk, Question, Stage, State, Then, Transaction, Whole};
use super::{Event, Receiver};
use crate::mail::dots;
use crate::smtp::Dialect;
use crate::{Channel, Error};

impl<C: Channel, D: Dialect> Receiver<'_, C, D> {
    /// Takes the next piece of what follows `DATA`.
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
                Some(Event::Body(text))
            }
            dots::Piece::End => {
                let refusal = self.is_too_large().then_some(Reply::TooLarge);
                Some(self.whole(Whole { index: 0, refusal }))
            }
        })
    }

    /// Begins a chunk. Nothing is said before it was read, whatever is wrong with it
    /// (RFC 3030 §2).
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
        self.await_chunk(chunk);
    }

    /// Takes the next piece of a chunk.
    pub(super) fn chunk<'i>(
        &mut self,
        mut chunk: Chunk,
        input: &mut &'i [u8],
    ) -> Result<Option<Event<'i>>, Error> {
        if let (Stage::Chunks { after_cr }, None) = (&mut self.mail.stage, self.mail.refusal) {
            match chunk::piece(after_cr, chunk.left, input) {
                Piece::Read => return Ok(None),
                Piece::Text(text) => {
                    chunk.left = chunk.left.saturating_sub(text.len());
                    self.await_chunk(chunk);
                    return Ok(Some(Event::Body(text)));
                }
                Piece::Bare => self.mail.refusal = Some(Reply::BareLineEnd),
            }
        }
        Ok(self.drop_chunk(chunk, input))
    }

    /// Waits for what is left of a chunk; at the end of one that is kept, answers it.
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

    /// Takes octets that nobody wants; at their end, says why.
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

    /// The message is whole: asks about it, or refuses it in the application's place.
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

    /// What comes when a message was judged: LMTP has one reply for each recipient (RFC 2033 §4.2).
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
