//! Messages in chunks (RFC 3030).

use core::cell::Cell;

use super::{Exchange, Session};
use crate::smtp::Dialect;
use crate::wire::Writer;
use crate::{Channel, Error};

/// The maximum number of chunks without a reply. Their replies fit into any buffer.
const MAX_PENDING: u8 = 16;

/// The length of `BDAT`, a blank, a number, a blank, `LAST` and CRLF.
const MAX_COMMAND: usize = 32;

impl<C: Channel, D: Dialect> Exchange<'_, '_, C, D> {
    /// The minimum size of the output for [`chunk`](Self::chunk), in bytes.
    pub const MIN_CHUNK: usize = MAX_COMMAND + 2;

    /// Turns as much of `message` as fits into `output` into a chunk, after
    /// [`Event::Chunks`](super::Event::Chunks). Returns how many bytes to send.
    ///
    /// Pass the rest of `message` to the next call. If this call returns 0, the server has to reply first:
    /// wait for the next such event. A larger output makes larger chunks and fewer replies.
    ///
    /// # Errors
    /// [`Error::OutputTooSmall`] below [`MIN_CHUNK`](Self::MIN_CHUNK); [`Error::OutOfOrder`] if the server
    /// does not wait for a chunk. After [`Error::BareLineEnd`], [`Error::LineTooLong`] and
    /// [`Error::NulInMessage`] close the connection: then the server discards the mail.
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
        // The length is known only now, so the bytes move up to the end of the command.
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
    /// Prints the last chunk: the message's missing line end, or nothing.
    pub(super) fn put_last_chunk(&self, out: &mut Writer<'_>) {
        out.put(match self.stuffer.last() {
            b".\r\n" => b"BDAT 0 LAST\r\n",
            _ => b"BDAT 2 LAST\r\n\r\n",
        });
    }
}
