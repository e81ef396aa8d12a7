//! The message in chunks (RFC 3030).

use core::cell::Cell;

use super::{Exchange, Session};
use crate::smtp::Dialect;
use crate::wire::Writer;
use crate::{Channel, Error};

/// How many chunks may be unanswered: their replies fit anywhere.
const MAX_PENDING: u8 = 16;

/// `BDAT`, a blank, a number, a blank, `LAST`, CRLF.
const MAX_COMMAND: usize = 32;

impl<C: Channel, D: Dialect> Exchange<'_, '_, C, D> {
    /// The least size of an output for [`chunk`](Self::chunk), in octets.
    pub const MIN_CHUNK: usize = MAX_COMMAND + 2;

    /// Makes a chunk of as much of `message` as fits into `output`, and says how many octets to send,
    /// after [`Event::Chunks`](super::Event::Chunks). What is left of `message` comes with the next
    /// call, or with the next such event if this one says 0: the server has to answer first. A larger
    /// output makes larger chunks and fewer answers.
    ///
    /// # Errors
    /// [`Error::OutputTooSmall`] below [`MIN_CHUNK`](Self::MIN_CHUNK), [`Error::OutOfOrder`] if the
    /// server does not wait for a chunk. After [`Error::BareLineEnd`] and [`Error::LineTooLong`] the
    /// connection is good for nothing more: close it, and the server drops the mail.
    pub fn chunk(&mut self, message: &mut &[u8], output: &mut [u8]) -> Result<usize, Error> {
        self.session.in_order(self.session.takes_chunks())?;
        if output.len() < Self::MIN_CHUNK {
            return Err(Error::OutputTooSmall { needed: Self::MIN_CHUNK });
        }
        let session = &mut *self.session;
        let limit = if session.extensions.pipelining() { MAX_PENDING } else { 1 };
        if session.pending >= limit {
            return Ok(0);
        }
        let room = output.get_mut(MAX_COMMAND..).unwrap_or_default();
        let octets = session.stuffer.convert(message, room, false)?;
        if octets == 0 {
            return Ok(0);
        }
        session.pending = session.pending.wrapping_add(1);
        let mut out = Writer::new(output);
        out.put(b"BDAT ");
        out.put_decimal(octets);
        out.put(b"\r\n");
        let command = out.finish()?;
        // The number is known when the octets are: they move up to it.
        let cells = Cell::from_mut(output).as_slice_of_cells();
        for (place, octet) in
            cells.iter().skip(command).zip(cells.iter().skip(MAX_COMMAND)).take(octets)
        {
            place.set(octet.get());
        }
        Ok(command.saturating_add(octets))
    }
}

impl<C: Channel, D: Dialect> Session<C, D> {
    /// The last chunk: the line end that the message lacks, or nothing.
    pub(super) fn put_last_chunk(&self, out: &mut Writer<'_>) {
        out.put(match self.stuffer.last() {
            b".\r\n" => b"BDAT 0 LAST\r\n",
            _ => b"BDAT 2 LAST\r\n\r\n",
        });
    }
}
