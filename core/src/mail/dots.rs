//! Dot-stuffing (RFC 5321 §4.5.2), streaming, in both directions.

use super::limits::MAX_TEXT;
use crate::Error;
use crate::wire::Writer;

/// What to do with a CR or LF that stands alone in a message.
///
/// Sent as it is, the two ends could disagree on where the mail ends (SMTP smuggling,
/// CVE-2023-51764 and its like); so it never is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum LineEnds {
    /// [`Error::BareLineEnd`]: the message is not in the form that RFC 5322 asks for.
    #[default]
    Strict,
    /// Send CRLF in its place.
    Normalize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum Seen {
    LineStart,
    Cr,
    Text,
    /// A lone line end in a strict message.
    Lone,
    /// A line that is too long.
    Long,
}

/// Turns a message, in pieces of any size, into the lines that follow `DATA`.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Stuffer {
    line_ends: LineEnds,
    seen: Seen,
    /// Octets of the line so far.
    length: u16,
}

impl Stuffer {
    /// The least size of an output, in octets.
    pub const MIN_OUTPUT: usize = 2;

    /// A stuffer at the start of a message.
    #[must_use]
    pub const fn new(line_ends: LineEnds) -> Self {
        Self { line_ends, seen: Seen::LineStart, length: 0 }
    }

    /// Changes its mind on lone line ends, and nothing else: a message may be under way.
    pub(super) const fn set_line_ends(&mut self, line_ends: LineEnds) {
        self.line_ends = line_ends;
    }

    /// Back to the start of a message.
    pub(super) const fn restart(&mut self) {
        (self.seen, self.length) = (Seen::LineStart, 0);
    }

    /// Fills `output` from the front of `body` and says how many octets to send; what is left of
    /// `body` comes with the next call.
    ///
    /// # Errors
    /// [`Error::OutputTooSmall`] below [`MIN_OUTPUT`](Self::MIN_OUTPUT); [`Error::BareLineEnd`] when
    /// strict, and [`Error::LineTooLong`] beyond 998 octets without CRLF (RFC 5321 §4.5.3.1.6), and
    /// ever after: such a message can be neither continued nor ended.
    pub fn push(&mut self, body: &mut &[u8], output: &mut [u8]) -> Result<usize, Error> {
        self.convert(body, output, true)
    }

    /// [`push`](Self::push) with or without dots in front of dots.
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
        while let [octet, rest @ ..] = *body {
            if out.free() < Self::MIN_OUTPUT {
                break;
            }
            match (self.seen, *octet) {
                (Seen::Lone | Seen::Long, _) => break,
                (Seen::Cr, b'\n') => self.end_line(&mut out),
                (Seen::Cr, _) | (_, b'\n') if self.line_ends == LineEnds::Strict => {
                    self.seen = Seen::Lone;
                    break;
                }
                (Seen::Cr, _) => {
                    // The octet itself is looked at again, now at the start of a line.
                    self.end_line(&mut out);
                    continue;
                }
                (_, b'\n') => self.end_line(&mut out),
                (_, b'\r') => self.seen = Seen::Cr,
                (seen, other) => {
                    if self.length >= MAX_TEXT {
                        self.seen = Seen::Long;
                        break;
                    }
                    if seen == Seen::LineStart && other == b'.' && stuffs {
                        out.push(b'.');
                    }
                    out.push(other);
                    self.seen = Seen::Text;
                    self.length = self.length.wrapping_add(1);
                }
            }
            *body = rest;
        }
        // What stands before the fault is handed out first, however the message was cut.
        if out.is_empty() {
            self.sound()?;
        }
        Ok(out.len())
    }

    fn end_line(&mut self, out: &mut Writer<'_>) {
        out.put(b"\r\n");
        self.restart();
    }

    /// Whether the message can be sent so far.
    const fn sound(&self) -> Result<(), Error> {
        match self.seen {
            Seen::Lone => Err(Error::BareLineEnd),
            Seen::Long => Err(Error::LineTooLong),
            _ => Ok(()),
        }
    }

    /// What ends the message: CRLF if its last line has none, a dot, CRLF.
    ///
    /// # Errors
    /// [`Error::BareLineEnd`] when strict and the message ends in CR, and those of
    /// [`push`](Self::push) if it was refused before.
    pub const fn end(&self) -> Result<&'static [u8], Error> {
        match self.check_end() {
            Ok(()) => Ok(self.last()),
            Err(error) => Err(error),
        }
    }

    /// Whether the message may end here.
    pub(super) const fn check_end(&self) -> Result<(), Error> {
        match (self.seen, self.line_ends) {
            (Seen::Cr, LineEnds::Strict) => Err(Error::BareLineEnd),
            _ => self.sound(),
        }
    }

    /// What ends a message that may end here.
    pub(super) const fn last(&self) -> &'static [u8] {
        match self.seen {
            Seen::LineStart => b".\r\n",
            _ => b"\r\n.\r\n",
        }
    }
}

/// A piece of a message that arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece<'i> {
    /// More is needed.
    Read,
    Text(&'i [u8]),
    End,
}

/// Takes the next piece off what follows `DATA`, without copying.
///
/// The message ends with CRLF, dot, CRLF and nothing else. `line_start` is the state: whether the
/// input is at the start of a line. At most two octets are left waiting.
pub(super) fn unstuff<'i>(line_start: &mut bool, input: &mut &'i [u8]) -> Result<Piece<'i>, Error> {
    if *line_start {
        match *input {
            [b'.', b'\r', b'\n', rest @ ..] => {
                *input = rest;
                return Ok(Piece::End);
            }
            [] | [b'.'] | [b'.', b'\r'] => return Ok(Piece::Read),
            [b'.', b'\r', ..] => return Err(Error::BareCr),
            [b'.', rest @ ..] => {
                *input = rest;
                *line_start = false;
            }
            _ => *line_start = false,
        }
    }
    let mut length: usize = 0;
    let mut rest = *input;
    loop {
        match rest {
            [b'\r', b'\n', after @ ..] => {
                length = length.wrapping_add(2);
                rest = after;
                // A line that starts with a dot ends the piece; others are taken along.
                if !matches!(rest, [octet, ..] if *octet != b'.') {
                    *line_start = true;
                    break;
                }
            }
            [] | [b'\r'] => break,
            // What stands before a lone line end is handed out first, however the input was cut.
            [b'\r' | b'\n', ..] if length > 0 => break,
            [b'\r', ..] => return Err(Error::BareCr),
            [b'\n', ..] => return Err(Error::BareLf),
            [_, after @ ..] => {
                length = length.wrapping_add(1);
                rest = after;
            }
        }
    }
    if length == 0 {
        return Ok(Piece::Read);
    }
    let (text, rest) = input.split_at_checked(length).unwrap_or_default();
    *input = rest;
    Ok(Piece::Text(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Text = heapless::Vec<u8, 128>;

    fn stuffed(body: &[u8], cut: usize, ends: LineEnds) -> Result<Text, Error> {
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

    fn unstuffed(wire: &[u8], cut: usize) -> Result<Option<(Text, usize)>, Error> {
        let (mut line_start, mut all, mut start) = (true, Text::new(), 0);
        for end in [cut, wire.len()] {
            let mut input = &wire[start..end];
            loop {
                match unstuff(&mut line_start, &mut input)? {
                    Piece::Read => break,
                    Piece::Text(text) => all.extend_from_slice(text).expect("short"),
                    Piece::End => {
                        let left = wire.len() - end + input.len();
                        return Ok(Some((all, left)));
                    }
                }
            }
            start = end - input.len();
        }
        Ok(None)
    }

    #[test]
    fn there_and_back_at_every_cut() {
        for body in [
            &b""[..],
            b"\r\n",
            b".",
            b".\r\n",
            b"..\r\n.\r\n\r\n..",
            b"a\r\n.b\r\nc",
            b"a\r\n\r\n",
            b"\r\n.\r\nRSET\r\n",
        ] {
            for cut in 0..=body.len() {
                let wire = stuffed(body, cut, LineEnds::Strict).expect("strict form");
                let mut whole = Text::from_slice(body).expect("short");
                if !body.is_empty() && !body.ends_with(b"\r\n") {
                    whole.extend_from_slice(b"\r\n").expect("short");
                }
                for cut in 0..=wire.len() {
                    let back = unstuffed(&wire, cut);
                    assert_eq!(back, Ok(Some((whole.clone(), 0))), "{body:?} cut at {cut}");
                }
            }
        }
    }

    #[test]
    fn lone_line_ends_are_refused_or_mended() {
        for (body, mended) in [
            (&b"a\nb"[..], &b"a\r\nb\r\n.\r\n"[..]),
            (b"a\rb", b"a\r\nb\r\n.\r\n"),
            (b"a\n.\nb", b"a\r\n..\r\nb\r\n.\r\n"),
            (b"a\r.\r\n", b"a\r\n..\r\n.\r\n"),
            (b"a\r\r\n", b"a\r\n\r\n.\r\n"),
            (b"a\r", b"a\r\n.\r\n"),
        ] {
            for cut in 0..=body.len() {
                assert_eq!(stuffed(body, cut, LineEnds::Strict), Err(Error::BareLineEnd));
                let wire = stuffed(body, cut, LineEnds::Normalize).expect("mended");
                assert_eq!(wire, mended, "{body:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn a_change_of_mind_keeps_the_place() {
        let mut stuffer = Stuffer::new(LineEnds::Strict);
        let mut output = [0; 16];
        assert_eq!(stuffer.push(&mut &b"a\r"[..], &mut output), Ok(1));
        stuffer.set_line_ends(LineEnds::Normalize);
        let written = stuffer.push(&mut &b"\n.b"[..], &mut output).expect("mended");
        assert_eq!(&output[..written], b"\r\n..b");
    }

    /// Pushes all of a piece, or until it is refused.
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
                assert_eq!(pushed, expected, "{length} octets");
                assert_eq!(stuffer.end().map(drop), expected);
                assert_eq!(push_all(&mut stuffer, b"\r\n", stuffs), expected);
            }
        }
    }

    #[test]
    fn half_a_message_cannot_be_ended() {
        let mut stuffer = Stuffer::new(LineEnds::Strict);
        for body in [&b"lost\nbehind"[..], b"more"] {
            assert_eq!(push_all(&mut stuffer, body, true), Err(Error::BareLineEnd));
            assert_eq!(stuffer.end(), Err(Error::BareLineEnd));
        }
        stuffer.restart();
        assert_eq!(stuffer.end(), Ok(&b".\r\n"[..]));
    }

    #[test]
    fn only_crlf_dot_crlf_ends_a_mail() {
        for wire in [&b"a\n.\r\n"[..], b"a\r.\r\n", b"a\r\n.\n", b"a\r\n.\rb", b"\n.\n"] {
            for cut in 0..=wire.len() {
                assert!(unstuffed(wire, cut).is_err(), "{wire:?} cut at {cut}");
            }
        }
        assert_eq!(unstuffed(b"a\r\n.\r", 0), Ok(None));
        let (text, left) = unstuffed(b"a\r\n.\r\nQUIT\r\n", 0).expect("fine").expect("ended");
        assert_eq!((&text[..], left), (&b"a\r\n"[..], 6));
    }
}
