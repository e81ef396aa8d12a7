//! Dot-stuffing of a stream (RFC 5321 §4.5.2). The receiver has its reverse.

#[cfg(feature = "memchr")]
use super::blocks::{BLOCK, Blocks, Stops, take_text};
use super::checked::Pieces;
use super::limits::MAX_TEXT;
use crate::Error;
use crate::wire::Writer;

/// The treatment of a bare CR or LF in a message.
///
/// It is never sent unchanged: the two ends could disagree about where the mail ends, which allows SMTP
/// smuggling (CVE-2023-51764).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum LineEnds {
    /// Fail with [`Error::BareLineEnd`]: the message violates RFC 5322.
    #[default]
    Strict,
    /// Send CRLF instead.
    ///
    /// CR CR LF is one line end, since programs that convert LF to CRLF twice leave it. A bare CR before
    /// the first empty line becomes a blank, because a line end there would start another header field.
    Normalize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum Seen {
    LineStart,
    Cr,
    /// Two CRs, in a message that is not strict.
    CrCr,
    Text,
    /// A bare CR or LF in a strict message.
    Lone,
    /// A line that is too long.
    Long,
    /// A NUL byte, which no message may have.
    Nul,
}

/// Turns a message, in pieces of any size, into the lines after `DATA`.
///
/// ```
/// use starttls::mail::{LineEnds, Stuffer};
///
/// let mut stuffer = Stuffer::new(LineEnds::Strict);
/// let (mut body, mut output) = (&b".dot\r\n"[..], [0; 16]);
/// let n = stuffer.push(&mut body, &mut output)?;
/// assert_eq!(&output[..n], b"..dot\r\n");
/// assert_eq!(stuffer.end()?, b".\r\n");
/// # Ok::<(), starttls::Error>(())
/// ```
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Stuffer {
    line_ends: LineEnds,
    seen: Seen,
    /// Whether no empty line has ended the header yet.
    in_header: bool,
    /// The length of the current line so far.
    length: u16,
}

impl Stuffer {
    /// The minimum size of an output buffer, in bytes.
    pub const MIN_OUTPUT: usize = 2;

    /// A stuffer at the start of a message.
    #[must_use]
    pub const fn new(line_ends: LineEnds) -> Self {
        Self { line_ends, seen: Seen::LineStart, in_header: true, length: 0 }
    }

    /// Changes only the treatment of bare line ends, so it is safe within a message.
    pub(super) const fn set_line_ends(&mut self, line_ends: LineEnds) {
        self.line_ends = line_ends;
    }

    /// Resets to the start of a message.
    pub(super) const fn restart(&mut self) {
        (self.seen, self.in_header, self.length) = (Seen::LineStart, true, 0);
    }

    /// The number of input bytes that fit into `output` bytes for certain: each may become two, and so may
    /// each of two pending CRs.
    pub(super) const fn input_for(output: usize) -> usize {
        output.saturating_sub(2 * Self::MIN_OUTPUT) / 2
    }

    /// Fills `output` from the front of `body` and returns how many bytes to send. Pass the rest of `body`
    /// to the next call.
    ///
    /// # Errors
    /// [`Error::OutputTooSmall`] below [`MIN_OUTPUT`](Self::MIN_OUTPUT).
    ///
    /// These errors are permanent, since such a message can be neither continued nor ended:
    /// [`Error::BareLineEnd`] if strict, [`Error::LineTooLong`] beyond 998 bytes without CRLF (RFC 5321
    /// §4.5.3.1.6), and [`Error::NulInMessage`] (RFC 2045 §2.7 and §2.8).
    pub fn push(&mut self, body: &mut &[u8], output: &mut [u8]) -> Result<usize, Error> {
        self.convert(body, output, true)
    }

    /// Like [`push`](Self::push), with or without dot-stuffing.
    pub(super) fn convert(
        &mut self,
        body: &mut &[u8],
        output: &mut [u8],
        stuffs: bool,
    ) -> Result<usize, Error> {
        if output.len() < Self::MIN_OUTPUT {
            return Err(Error::OutputTooSmall { needed: Self::MIN_OUTPUT });
        }
        let mut out = Writer::new(output);
        #[cfg(feature = "memchr")]
        let mut blocks = Blocks::new(Stops { dot: stuffs, empty: true });
        while let [octet, rest @ ..] = *body {
            if out.free() < Self::MIN_OUTPUT {
                break;
            }
            #[cfg(feature = "memchr")]
            if self.put_front(body, &mut blocks, &mut out) {
                continue;
            }
            match (self.seen, *octet) {
                (Seen::Lone | Seen::Long | Seen::Nul, _) => break,
                (Seen::Cr | Seen::CrCr, b'\n') => self.end_line(&mut out),
                (Seen::Cr, _) | (_, b'\n') if self.line_ends == LineEnds::Strict => {
                    self.seen = Seen::Lone;
                    break;
                }
                (Seen::Cr, b'\r') => self.seen = Seen::CrCr,
                (Seen::Cr | Seen::CrCr, _) => {
                    // Looks at the same byte again, now after one CR less.
                    let left = if self.seen == Seen::CrCr { Some(Seen::Cr) } else { None };
                    if !self.in_header {
                        self.end_line(&mut out);
                    } else if !self.put(b' ', stuffs, &mut out) {
                        break;
                    }
                    self.seen = left.unwrap_or(self.seen);
                    continue;
                }
                (_, b'\n') => self.end_line(&mut out),
                (_, b'\r') => self.seen = Seen::Cr,
                (_, 0) => {
                    self.seen = Seen::Nul;
                    break;
                }
                (_, other) => {
                    if !self.put(other, stuffs, &mut out) {
                        break;
                    }
                }
            }
            *body = rest;
        }
        // Returns the bytes before the error first, so that the result does not depend on the cut (I14).
        if out.is_empty() {
            self.sound()?;
        }
        Ok(out.len())
    }

    /// Writes the bytes at the front of `body` that need no treatment: a block of lines, or the rest of a
    /// line. Returns whether there are any.
    #[cfg(feature = "memchr")]
    fn put_front(&mut self, body: &mut &[u8], blocks: &mut Blocks, out: &mut Writer<'_>) -> bool {
        match (self.seen, *body) {
            (Seen::LineStart, [b'.', ..]) | (_, [b'\r' | b'\n' | 0, ..]) => return false,
            (Seen::LineStart | Seen::Text, _) => {}
            _ => return false,
        }
        let room = out.free().min(MAX_TEXT.saturating_sub(self.length).into());
        blocks.stops.empty = self.in_header;
        // A line that began before the block does not become too long in it.
        let block = if room >= BLOCK { blocks.take(body) } else { None };
        let front = block.unwrap_or_else(|| {
            let mut line = body.get(..room).unwrap_or(body);
            let front = take_text(&mut line);
            *body = body.get(front.len()..).unwrap_or_default();
            front
        });
        out.put(front);
        let (before, line) = match memchr::memrchr(b'\n', front) {
            Some(end) => (0, front.get(end..).unwrap_or_default().len().saturating_sub(1)),
            None => (self.length, front.len()),
        };
        self.length = before.saturating_add(u16::try_from(line).unwrap_or(MAX_TEXT));
        self.seen = if self.length == 0 { Seen::LineStart } else { Seen::Text };
        !front.is_empty()
    }

    /// Writes a byte of a line, if the line has room for it.
    fn put(&mut self, octet: u8, stuffs: bool, out: &mut Writer<'_>) -> bool {
        if self.length >= MAX_TEXT {
            self.seen = Seen::Long;
            return false;
        }
        if self.length == 0 && octet == b'.' && stuffs {
            out.push(b'.');
        }
        out.push(octet);
        self.seen = Seen::Text;
        self.length = self.length.wrapping_add(1);
        true
    }

    fn end_line(&mut self, out: &mut Writer<'_>) {
        out.put(b"\r\n");
        self.in_header &= self.length > 0;
        (self.seen, self.length) = (Seen::LineStart, 0);
    }

    /// Takes the next piece of a message whose lines are known to be good, without a copy. Returns `None`
    /// after the last one.
    ///
    /// Send each piece whole, and all of them in their order. If bytes were [pushed](Self::push) before, such
    /// as a header, they have to end with a whole line.
    ///
    /// # Errors
    /// [`Error::OutOfOrder`] within a line. The permanent errors of [`push`](Self::push) if there was one
    /// before, and [`Error::NulInMessage`] if a [promise](super::Checked::promised) is broken.
    pub fn piece<'m>(&mut self, pieces: &mut Pieces<'m>) -> Result<Option<&'m [u8]>, Error> {
        self.sound()?;
        if pieces.at_start() && self.seen != Seen::LineStart {
            return Err(Error::OutOfOrder);
        }
        let taken = pieces.take().inspect_err(|_| self.seen = Seen::Nul)?;
        if let Some(piece) = taken {
            let line = piece.rsplit(|octet| *octet == b'\n').next().unwrap_or_default();
            self.length = u16::try_from(line.len()).unwrap_or(MAX_TEXT).min(MAX_TEXT);
            self.seen = if piece.ends_with(b"\r\n") { Seen::LineStart } else { Seen::Text };
        }
        Ok(taken)
    }

    /// Checks the message so far.
    const fn sound(&self) -> Result<(), Error> {
        match self.seen {
            Seen::Lone => Err(Error::BareLineEnd),
            Seen::Long => Err(Error::LineTooLong),
            Seen::Nul => Err(Error::NulInMessage),
            _ => Ok(()),
        }
    }

    /// The bytes that end the message: a CRLF if the last line has none, a dot, CRLF.
    ///
    /// # Errors
    /// [`Error::BareLineEnd`] if strict and the message ends with CR, and the permanent errors of
    /// [`push`](Self::push).
    pub const fn end(&self) -> Result<&'static [u8], Error> {
        match self.check_end() {
            Ok(()) => Ok(self.last()),
            Err(error) => Err(error),
        }
    }

    /// Checks that the message may end here.
    pub(super) const fn check_end(&self) -> Result<(), Error> {
        match (self.seen, self.line_ends) {
            (Seen::Cr, LineEnds::Strict) => Err(Error::BareLineEnd),
            _ => self.sound(),
        }
    }

    /// The bytes that end a message that passed the check.
    pub(super) const fn last(&self) -> &'static [u8] {
        match self.seen {
            Seen::LineStart => b".\r\n",
            _ => b"\r\n.\r\n",
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::mail) type Text = heapless::Vec<u8, 128>;

    pub(in crate::mail) fn stuffed(body: &[u8], cut: usize, ends: LineEnds) -> Result<Text, Error> {
        let mut stuffer = Stuffer::new(ends);
        let mut all = Text::new();
        let (front, back) = body.split_at(cut);
        for mut piece in [front, back] {
            while !piece.is_empty() {
                let mut output = [0; Stuffer::MIN_OUTPUT];
                let n = stuffer.push(&mut piece, &mut output)?;
                all.extend_from_slice(&output[..n]).expect("short");
            }
        }
        all.extend_from_slice(stuffer.end()?).expect("short");
        Ok(all)
    }

    #[test]
    fn bare_line_ends_are_refused_or_replaced() {
        for (body, mended) in [
            (&b"a\nb"[..], &b"a\r\nb\r\n.\r\n"[..]),
            (b"\na\rb", b"\r\na\r\nb\r\n.\r\n"),
            (b"a\n.\nb", b"a\r\n..\r\nb\r\n.\r\n"),
            (b"\na\r.\r\n", b"\r\na\r\n..\r\n.\r\n"),
            (b"a\r", b"a\r\n.\r\n"),
            // CR CR LF is one line end, in the header and after it.
            (b"a\r\r\n", b"a\r\n.\r\n"),
            (b"a\r\r\n\r\r\nb\r\r\n", b"a\r\n\r\nb\r\n.\r\n"),
            (b"\na\r\r\r\n", b"\r\na\r\n\r\n.\r\n"),
            (b"\na\r\rb\r\r", b"\r\na\r\n\r\nb\r\n.\r\n"),
            // In the header a bare CR starts neither a field nor an empty line.
            (b"a\rb", b"a b\r\n.\r\n"),
            (b"a\r\rb\r", b"a  b\r\n.\r\n"),
            (b"\r.\r\r\r\n\rb", b" . \r\n b\r\n.\r\n"),
            (b"a\n\r\r\r\nb\rc", b"a\r\n \r\nb c\r\n.\r\n"),
        ] {
            for cut in 0..=body.len() {
                assert_eq!(stuffed(body, cut, LineEnds::Strict), Err(Error::BareLineEnd));
                let wire = stuffed(body, cut, LineEnds::Normalize).expect("mended");
                assert_eq!(wire, mended, "{body:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn set_line_ends_keeps_the_position() {
        let mut stuffer = Stuffer::new(LineEnds::Strict);
        let mut output = [0; 16];
        assert_eq!(stuffer.push(&mut &b"a\r"[..], &mut output), Ok(1));
        stuffer.set_line_ends(LineEnds::Normalize);
        let written = stuffer.push(&mut &b"\n.b"[..], &mut output).expect("mended");
        assert_eq!(&output[..written], b"\r\n..b");
    }

    /// Pushes a whole piece, or up to an error.
    fn push_all(stuffer: &mut Stuffer, mut body: &[u8], stuffs: bool) -> Result<(), Error> {
        let mut output = [0; 64];
        while !body.is_empty() {
            stuffer.convert(&mut body, &mut output, stuffs)?;
        }
        Ok(())
    }

    #[test]
    fn lines_have_a_limit() {
        for (length, expected) in [(MAX_TEXT, Ok(())), (MAX_TEXT + 1, Err(Error::LineTooLong))] {
            for stuffs in [false, true] {
                let mut stuffer = Stuffer::new(LineEnds::Strict);
                let line = [b'.'; MAX_TEXT as usize + 1];
                for _ in 0..2 {
                    assert_eq!(push_all(&mut stuffer, b"short\r\n", stuffs), Ok(()));
                }
                let pushed = push_all(&mut stuffer, &line[..usize::from(length)], stuffs);
                assert_eq!(pushed, expected, "{length} bytes");
                assert_eq!(stuffer.end().map(drop), expected);
                assert_eq!(push_all(&mut stuffer, b"\r\n", stuffs), expected);
            }
        }
    }

    #[test]
    fn no_message_has_a_nul() {
        for stuffs in [false, true] {
            for line_ends in [LineEnds::Strict, LineEnds::Normalize] {
                let mut stuffer = Stuffer::new(line_ends);
                for body in [&b"a\0b\r\n"[..], b"more"] {
                    assert_eq!(push_all(&mut stuffer, body, stuffs), Err(Error::NulInMessage));
                    assert_eq!(stuffer.end(), Err(Error::NulInMessage));
                }
            }
        }
    }

    #[test]
    fn a_faulty_message_cannot_be_ended() {
        let mut stuffer = Stuffer::new(LineEnds::Strict);
        for body in [&b"lost\nafter"[..], b"more"] {
            assert_eq!(push_all(&mut stuffer, body, true), Err(Error::BareLineEnd));
            assert_eq!(stuffer.end(), Err(Error::BareLineEnd));
        }
        stuffer.restart();
        assert_eq!(stuffer.end(), Ok(&b".\r\n"[..]));
    }
}
