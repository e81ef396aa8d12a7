//! What a caller reads and writes inside TLS without a machine.

use crate::Error;
use crate::MIN_ROOM;
use crate::buffer::Marks;
use crate::connection::{Connection, Stage, idle};
use crate::drive::{Output, Step};
use crate::engine::Engine;
use crate::records::Opened;

impl<E: Engine> Connection<E> {
    /// What was received inside TLS, for a caller that wants nothing but the tunnel; it is consumed.
    ///
    /// # Errors
    /// Those of TLS, [`Error::Truncated`] if the end came without TLS's goodbye,
    /// [`starttls::Error::OutOfOrder`] before [`Event::Established`](crate::Event::Established).
    pub fn read(&mut self) -> Result<Step<&[u8]>, Error> {
        Ok(match self.readable()? {
            Step::Event(Marks { start, plain, .. }) => {
                self.incoming.marks.start = plain;
                Step::Event(self.incoming.octets.get(start..plain).unwrap_or_default())
            }
            Step::Read => Step::Read,
            Step::Write => Step::Write,
            Step::End => Step::End,
        })
    }

    /// Like [`read`](Self::read), for a caller with a buffer of its own: moves as much into it as fits,
    /// and says how many octets. The rest comes with the next call.
    ///
    /// # Errors
    /// Those of [`read`](Self::read).
    pub fn read_into(&mut self, buffer: &mut [u8]) -> Result<Step<usize>, Error> {
        Ok(match self.readable()? {
            Step::Event(Marks { start, plain, .. }) => {
                let octets = self.incoming.octets.get(start..plain).unwrap_or_default();
                let moved = octets.len().min(buffer.len());
                buffer.iter_mut().zip(octets).for_each(|(place, octet)| *place = *octet);
                self.incoming.marks.start = start + moved;
                Step::Event(moved)
            }
            Step::Read => Step::Read,
            Step::Write => Step::Write,
            Step::End => Step::End,
        })
    }

    /// Whether there is plaintext, and where.
    fn readable(&mut self) -> Result<Step<Marks>, Error> {
        if self.open_records()? == Opened::NoRoom {
            return Ok(Step::Write);
        }
        let marks = self.incoming.marks;
        if marks.start < marks.plain {
            self.progress += 1;
            return Ok(Step::Event(marks));
        }
        let step = idle(&self.stage, marks, &self.outgoing, self.ended)?;
        match (step, &self.stage) {
            (Step::End, Stage::Tunnel(records)) if !records.peer_closed => Err(Error::Truncated),
            (step, _) => Ok(step),
        }
    }

    /// How many octets [`write_with`](Self::write_with) lets be written now: 0 when something has to
    /// be sent first, or else at least [`MIN_ROOM`], as there always is at an event of a machine
    /// inside.
    #[must_use]
    pub fn room(&self) -> usize {
        let room = match &self.stage {
            Stage::Tunnel(records) if records.needs_room(&self.outgoing) => 0,
            Stage::Tunnel(records) => records.room(&self.outgoing),
            Stage::Plain(_) => self.outgoing.room(),
            _ => 0,
        };
        if room < MIN_ROOM { 0 } else { room }
    }

    /// Sends octets that are no machine's, as many as there is room for, and says how many. When it
    /// is 0, something has to be sent first.
    ///
    /// # Errors
    /// Those of TLS, [`starttls::Error::OutOfOrder`] before [`Event::Established`](crate::Event::Established) and behind
    /// [`close`](Self::close).
    pub fn write(&mut self, octets: &[u8]) -> Result<usize, Error> {
        let blocked = self.open_records()? == Opened::NoRoom;
        let Self { incoming, outgoing, stage, .. } = self;
        let (taken, written) = match stage {
            _ if blocked => (0, 0),
            Stage::Tunnel(records) => {
                records.may_write()?;
                let taken = octets.len().min(records.room_for_sealed(outgoing));
                let octets = octets.get(..taken).unwrap_or_default();
                (taken, records.seal(incoming.sealed_mut(), octets, outgoing.free_mut())?)
            }
            _ => {
                let free = outgoing.free_mut();
                let taken = octets.len().min(free.len());
                free.iter_mut().zip(octets).for_each(|(place, octet)| *place = *octet);
                (taken, taken)
            }
        };
        outgoing.filled_more(written);
        self.progress += u64::from(taken > 0);
        Ok(taken)
    }

    /// Sends what `write` puts into the [`room`](Self::room) it is given, of which it says how many
    /// octets: a piece of a message
    /// ([`Exchange::body`](https://docs.rs/starttls)), a receiver's answer. Returns that number.
    ///
    /// # Errors
    /// Those of `write`, which is told that its output is too small where something has to be sent
    /// first, and those of [`write`](Self::write).
    pub fn write_with(
        &mut self,
        write: impl FnOnce(&mut [u8]) -> Result<usize, starttls::Error>,
    ) -> Result<usize, Error> {
        self.open_records()?;
        let room = self.room();
        let Self { incoming, outgoing, stage, .. } = self;
        let output = match stage {
            Stage::Tunnel(records) => {
                records.may_write()?;
                Output::Sealed(outgoing, records, incoming.sealed_mut())
            }
            _ => Output::Plain(outgoing),
        };
        if room == 0 {
            return Ok(write(&mut [])?);
        }
        let written = output.write(|free| match write(free) {
            Ok(written) => (written, Ok(written)),
            Err(error) => (0, Err(error)),
        })??;
        self.progress += u64::from(written > 0);
        Ok(written)
    }
}
