//! A message whose lines are known to be good, sent without a copy.

use super::{LineEnds, Stuffer};
use crate::Error;
use crate::conceal::conceal;

/// A message in memory whose lines are known to be good: they end with CRLF and have at most 998 bytes, and
/// no byte is a bare CR, a bare LF or a NUL. Only the last line may lack its CRLF.
///
/// Such a message leaves as [pieces](Pieces) of itself, so that no byte is copied. It is looked at once,
/// however often it is sent.
///
/// ```
/// use starttls::mail::{Checked, LineEnds, Stuffer};
///
/// let message = Checked::new(b"Subject: dots\r\n\r\n.\r\n")?;
/// let (mut pieces, mut wire) = (message.pieces(), Vec::new());
/// let mut stuffer = Stuffer::new(LineEnds::Strict);
/// while let Some(piece) = stuffer.piece(&mut pieces)? {
///     wire.extend_from_slice(piece); // or to the socket
/// }
/// wire.extend_from_slice(stuffer.end()?);
/// assert_eq!(wire, b"Subject: dots\r\n\r\n..\r\n.\r\n");
/// # Ok::<(), starttls::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Checked<'m> {
    message: &'m [u8],
    is_promised: bool,
}

conceal!("Checked", Checked<'_>, |checked| checked.message.len());

impl<'m> Checked<'m> {
    /// Checks all lines of a message, in one pass.
    ///
    /// # Errors
    /// [`Error::BareLineEnd`], [`Error::LineTooLong`] beyond 998 bytes without CRLF (RFC 5321 §4.5.3.1.6),
    /// and [`Error::NulInMessage`] (RFC 2045 §2.7 and §2.8).
    pub fn new(message: &'m [u8]) -> Result<Self, Error> {
        let (mut stuffer, mut rest) = (Stuffer::new(LineEnds::Strict), message);
        let mut nowhere = [0; 1024];
        while !rest.is_empty() {
            stuffer.convert(&mut rest, &mut nowhere, false)?;
        }
        stuffer.check_end()?;
        Ok(Self { message, is_promised: false })
    }

    /// Takes the caller's word for it that the lines are good, for example because they were checked when
    /// the message was stored.
    ///
    /// If the promise is broken, no server sees another end of the message than this one: every dot after a
    /// CR or an LF is doubled, and a NUL fails with [`Error::NulInMessage`] when the message has left up to
    /// there. But bare CRs and LFs are sent as they are. A server may refuse the message, change it, or see
    /// other lines in it, also in its header: do not promise it for what a user or a peer wrote.
    #[must_use]
    pub const fn promised(message: &'m [u8]) -> Self {
        Self { message, is_promised: true }
    }

    /// The message, without dot-stuffing.
    #[must_use]
    pub const fn as_bytes(self) -> &'m [u8] {
        self.message
    }

    /// The pieces in which the message leaves after `DATA`.
    #[must_use]
    pub fn pieces(self) -> Pieces<'m> {
        Pieces {
            rest: self.message,
            begun: false,
            is_promised: self.is_promised,
            #[cfg(feature = "memchr")]
            finder: memchr::memmem::Finder::new(b"\n."),
        }
    }
}

impl AsRef<[u8]> for Checked<'_> {
    fn as_ref(&self) -> &[u8] {
        self.message
    }
}

/// The pieces of a [`Checked`] message. Together they are the message with dot-stuffing.
///
/// A piece ends with the dot at the start of a line, and the next piece begins with the same dot. So each
/// piece is a part of the message itself, and a dot that has to be doubled is sent twice. [`Stuffer::piece`]
/// and the [tasks](super::session::Exchange::piece) that send a message take them.
#[derive(Clone)]
pub struct Pieces<'m> {
    rest: &'m [u8],
    begun: bool,
    is_promised: bool,
    #[cfg(feature = "memchr")]
    finder: memchr::memmem::Finder<'static>,
}

conceal!("Pieces", Pieces<'_>, |pieces| pieces.rest.len());

impl<'m> Pieces<'m> {
    /// Whether no piece was taken yet.
    pub(super) const fn at_start(&self) -> bool {
        !self.begun
    }

    /// Takes the next piece; `None` after the last one.
    pub(super) fn take(&mut self) -> Result<Option<&'m [u8]>, Error> {
        let at_start = !core::mem::replace(&mut self.begun, true);
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (end, next) = match self.stop() {
            _ if at_start && self.rest.starts_with(b".") => (1, 0),
            Some((0, 0)) => return Err(Error::NulInMessage),
            // The bytes before a NUL leave first.
            Some((place, 0)) => (place, place),
            Some((place, _)) => (place.saturating_add(1), place),
            None => (self.rest.len(), self.rest.len()),
        };
        let piece = self.rest.get(..end).unwrap_or_default();
        self.rest = self.rest.get(next..).unwrap_or_default();
        Ok(Some(piece))
    }

    /// The place of the next dot at the start of a line or, in a promised message, of the next NUL; and the
    /// byte itself. The first byte is not the dot.
    fn stop(&self) -> Option<(usize, u8)> {
        #[cfg(feature = "memchr")]
        if !self.is_promised {
            return self.finder.find(self.rest).map(|end| (end.saturating_add(1), b'.'));
        }
        #[cfg(feature = "memchr")]
        let mut places = memchr::memchr2_iter(b'.', 0, self.rest);
        #[cfg(not(feature = "memchr"))]
        let mut places = 0..self.rest.len();
        places.find_map(|place| {
            let octet = *self.rest.get(place)?;
            let before = place.checked_sub(1).and_then(|before| self.rest.get(before));
            let is_stop = match octet {
                0 => self.is_promised,
                b'.' => matches!(before, Some(b'\r' | b'\n')),
                _ => false,
            };
            is_stop.then_some((place, octet))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Wire = heapless::Vec<u8, 64>;

    fn sent(message: Checked<'_>) -> (Wire, Result<(), Error>) {
        let (mut wire, mut pieces) = (Wire::new(), message.pieces());
        let mut stuffer = Stuffer::new(LineEnds::Strict);
        let result = loop {
            match stuffer.piece(&mut pieces) {
                Ok(Some(piece)) => wire.extend_from_slice(piece).expect("short"),
                Ok(None) => break stuffer.end(),
                Err(error) => break Err(error),
            }
        };
        assert_eq!(result.is_ok(), stuffer.end().is_ok());
        let result = result.map(|end| wire.extend_from_slice(end).expect("short"));
        (wire, result)
    }

    #[test]
    fn a_good_message_is_stuffed() {
        for (message, wire) in [
            (&b""[..], &b".\r\n"[..]),
            (b".", b"..\r\n.\r\n"),
            (b"..\r\n", b"...\r\n.\r\n"),
            (b"a\r\n.b\r\n\r\n..", b"a\r\n..b\r\n\r\n...\r\n.\r\n"),
            (b"a.b.\r\n", b"a.b.\r\n.\r\n"),
            (b"a\r\n.\r\n.\r\n", b"a\r\n..\r\n..\r\n.\r\n"),
        ] {
            let checked = Checked::new(message).expect("good");
            assert_eq!(checked.as_bytes(), message);
            for message in [checked, Checked::promised(message)] {
                let (all, result) = sent(message);
                assert_eq!((&all[..], result), (wire, Ok(())));
            }
        }
    }

    #[test]
    fn a_bad_message_is_refused() {
        for (message, error) in [
            (&b"a\nb"[..], Error::BareLineEnd),
            (b"a\r", Error::BareLineEnd),
            (b"a\r\n\rb\r\n", Error::BareLineEnd),
            (b"a\0\r\n", Error::NulInMessage),
            (&[b'x'; 999], Error::LineTooLong),
        ] {
            assert_eq!(Checked::new(message), Err(error), "{message:?}");
        }
        assert!(Checked::new(&[b'x'; 998]).is_ok());
    }

    #[test]
    fn a_broken_promise_ends_no_message() {
        for (message, wire) in [
            (&b"a\n.\nb"[..], &b"a\n..\nb\r\n.\r\n"[..]),
            (b"a\n.\r\nb\n", b"a\n..\r\nb\n\r\n.\r\n"),
            (b"a\r.\rb\r", b"a\r..\rb\r\r\n.\r\n"),
            (b"\n.", b"\n..\r\n.\r\n"),
        ] {
            let (all, result) = sent(Checked::promised(message));
            assert_eq!((&all[..], result), (wire, Ok(())));
        }
        for (message, wire) in
            [(&b"a\r\n\0.\r\n"[..], &b"a\r\n"[..]), (b"\0", b""), (b".\0", b"..")]
        {
            let (all, result) = sent(Checked::promised(message));
            assert_eq!((&all[..], result), (wire, Err(Error::NulInMessage)));
        }
    }

    #[test]
    fn pieces_begin_with_a_line() {
        let mut stuffer = Stuffer::new(LineEnds::Strict);
        let mut output = [0; 64];
        let body = Checked::new(b".b").expect("good");
        stuffer.push(&mut &b"Subject: a"[..], &mut output).expect("room");
        assert_eq!(stuffer.piece(&mut body.pieces()), Err(Error::OutOfOrder));
        stuffer.push(&mut &b"\r\n\r\n"[..], &mut output).expect("room");
        let mut pieces = body.pieces();
        assert_eq!(stuffer.piece(&mut pieces), Ok(Some(&b"."[..])));
        assert_eq!(stuffer.piece(&mut pieces), Ok(Some(&b".b"[..])));
        assert_eq!(stuffer.piece(&mut pieces), Ok(None));
        assert_eq!(stuffer.end(), Ok(&b"\r\n.\r\n"[..]));
        let written = stuffer.push(&mut &b".\r\n"[..], &mut output).expect("room");
        assert_eq!(&output[..written], b".\r\n", "within a line");
    }
}
