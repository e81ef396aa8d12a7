//! Reading and writing inside TLS without a machine.

use crate::Error;
use crate::MIN_ROOM;
use crate::buffer::Marks;
use crate::connection::{Connection, Stage, idle};
use crate::drive::{Output, Step};
use crate::engine::Engine;
use crate::records::Opened;

impl<E: Engine> Connection<E> {
    /// Returns and consumes the bytes received inside TLS.
    ///
    /// Reading never waits for writing: at [`Step::Read`], receive even if [`to_send`](Self::to_send) cannot
    /// be sent.
    ///
    /// # Errors
    /// Those of TLS. [`Error::Truncated`] if the connection ended without close_notify.
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

    /// Like [`read`](Self::read), but copies into `buffer` and returns the number of bytes. The next call
    /// returns the rest.
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
        self.incoming.release();
        let marks = self.incoming.marks;
        if marks.start < marks.plain {
            self.progress += 1;
            return Ok(Step::Event(marks));
        }
        let step = idle(&self.stage, marks, &mut self.outgoing, self.ended)?;
        match (step, &self.stage) {
            // If reading waited for writing, two peers that both send would wait for each other forever.
            (Step::Write, _) if marks.room() > 0 => Ok(Step::Read),
            (Step::End, Stage::Tunnel(records)) if !records.peer_closed => Err(Error::Truncated),
            (step, _) => Ok(step),
        }
    }

    /// How many bytes [`write_with`](Self::write_with) accepts now.
    ///
    /// It is 0 if output has to be sent first, and otherwise at least [`MIN_ROOM`]. At an event of a machine
    /// inside TLS it is never 0.
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

    /// Sends bytes without a machine, as many as there is room for, and returns how many. 0 means that output
    /// has to be sent first.
    ///
    /// # Errors
    /// Those of TLS. [`starttls::Error::OutOfOrder`] before [`Event::Established`](crate::Event::Established)
    /// and after [`close`](Self::close).
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

    /// Sends the bytes that `write` puts into the given buffer, and returns their number.
    ///
    /// Use it for a piece of a message (`Exchange::body` of the core) or a receiver's reply.
    /// The buffer has [`room`](Self::room) bytes.
    ///
    /// # Errors
    /// Those of `write`, whose buffer may be too small if output has to be sent first, and those of
    /// [`write`](Self::write).
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
