//! Lines with literals.

use super::skip::{PREFER_SPEED, skip_text_to};
use super::{Framing, MAX_CUT};
use crate::Error;

/// Lines that may carry literals: `{n}` and CRLF, then any `n` bytes, then the rest of the line (RFC 9051
/// §4.3, RFC 5804 §1.2). The frame is the whole line with its literals, of at most `MAX` bytes.
///
/// The content of a literal is part of the frame and never a line itself; else a peer could forge a reply
/// inside one. A client's literal counts only if it is non-synchronizing (`{n+}`, RFC 7888 §4). After `{n}`
/// a client waits for the server's permission, so the frame ends there.
///
/// A longer frame from a client is an error. One from a server is cut, like
/// [`ReplyLines`](super::ReplyLines).
///
/// ```
/// use starttls::wire::{Framing, Literals};
///
/// let mut lines = Literals::<1024, false>::default();
/// let mut input = &b"* {4}\r\nOK\r\n\r\na1 OK\r\n"[..];
/// assert_eq!(lines.next(&mut input), Ok(Some(&b"* {4}\r\nOK\r\n"[..])));
/// assert_eq!(lines.next(&mut input), Ok(Some(&b"a1 OK"[..])));
/// ```
#[derive(Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Literals<const MAX: usize, const FROM_CLIENT: bool> {
    /// The bytes of the frame that were looked at, literals included.
    scanned: u16,
    /// The part of a literal's mark that the last bytes form.
    mark: Mark,
    /// The number in the mark.
    length: u16,
    /// The bytes of a cut frame that were returned or skipped.
    taken: u16,
}

/// How much of a literal's mark, `"{" number ["+"] "}"`, was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum Mark {
    #[default]
    Nothing,
    Brace,
    Number,
    Plus,
    /// A complete mark.
    Literal,
    /// A complete mark whose sender waits for permission.
    Waiting,
}

impl<const MAX: usize, const FROM_CLIENT: bool> Literals<MAX, FROM_CLIENT> {
    /// The longest frame, whole or cut.
    const LIMIT: usize = if FROM_CLIENT { MAX } else { MAX_CUT };

    /// Records one byte of a line.
    fn note(&mut self, octet: u8) {
        self.mark = match (octet, self.mark) {
            (b'{', _) => {
                self.length = 0;
                Mark::Brace
            }
            (b'0'..=b'9', Mark::Brace | Mark::Number) => {
                // A number beyond every limit saturates.
                let tens = self.length.saturating_mul(10);
                self.length = tens.saturating_add(u16::from(octet & 0xf));
                Mark::Number
            }
            (b'+', Mark::Number) => Mark::Plus,
            (b'}', Mark::Number) => Mark::Waiting,
            (b'}', Mark::Plus) => Mark::Literal,
            _ => Mark::Nothing,
        };
        self.scanned = self.scanned.saturating_add(1);
    }

    /// The position of the next byte that may end a line or begin a mark. The input starts after the taken
    /// bytes.
    #[inline(always)]
    fn skip_text(&self, input: &[u8]) -> usize {
        let end = usize::from(self.scanned.saturating_sub(self.taken));
        if self.mark == Mark::Nothing { skip_text_to(input, end, b'{') } else { end }
    }

    /// Records the position up to which the input was looked at. Beyond every limit it saturates.
    #[inline(always)]
    fn keep(&mut self, end: usize) {
        self.scanned = u16::try_from(end).map_or(u16::MAX, |end| end.saturating_add(self.taken));
    }

    /// Looks at the input up to the end of the frame or of the input. Returns true at the CRLF that ends
    /// the frame. The input starts after the taken bytes.
    fn scan(&mut self, input: &[u8]) -> Result<bool, Error> {
        loop {
            if PREFER_SPEED {
                self.keep(self.skip_text(input));
            }
            // The position may lie within a literal that is incomplete.
            let end = usize::from(self.scanned.saturating_sub(self.taken));
            let scanned = usize::from(self.scanned);
            match input.get(end..).unwrap_or_default() {
                _ if scanned >= Self::LIMIT => return Err(Error::FrameTooLong),
                [b'\r', ..] if scanned.wrapping_add(1) >= Self::LIMIT => {
                    return Err(Error::FrameTooLong);
                }
                [] | [b'\r'] => return Ok(false),
                [b'\r', b'\n', ..] => {
                    let literal = match self.mark {
                        Mark::Literal => true,
                        // The client sends the literal only with permission, which no grammar here gives.
                        Mark::Waiting => !FROM_CLIENT,
                        _ => false,
                    };
                    if !literal {
                        return Ok(true);
                    }
                    self.mark = Mark::Nothing;
                    self.scanned = self.scanned.saturating_add(2).saturating_add(self.length);
                    // The CRLF that ends the line has to fit into the limit, too.
                    if usize::from(self.scanned) > Self::LIMIT.wrapping_sub(2) {
                        return Err(Error::FrameTooLong);
                    }
                }
                [b'\r', ..] => return Err(Error::BareCr),
                [b'\n', ..] => return Err(Error::BareLf),
                [0, ..] => return Err(Error::Nul),
                [octet, ..] => self.note(*octet),
            }
        }
    }

    /// [`next`](Framing::next) for every input.
    #[cfg_attr(target_pointer_width = "64", cold)]
    #[cfg_attr(target_pointer_width = "64", inline(never))]
    fn next_of_any<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<&'i [u8]>, Error> {
        if !self.skip(input)? {
            return Ok(None);
        }
        // Limited to `MAX` bytes, so that the front is returned before errors after it (I14).
        let ended = self.scan(input.get(..MAX).unwrap_or(input))?;
        let (length, most) = (usize::from(self.scanned), MAX.wrapping_sub(2));
        if ended && length <= most {
            let (line, rest) = input.split_at_checked(length).unwrap_or_default();
            *input = rest.get(2..).unwrap_or_default();
            *self = Self::default();
            return Ok(Some(line));
        }
        if input.len() < MAX {
            return Ok(None);
        }
        let (front, rest) = input.split_at_checked(most).unwrap_or_default();
        *input = rest;
        #[expect(clippy::cast_possible_truncation, reason = "below MAX, which fits")]
        {
            self.taken = most as u16;
        }
        Ok(Some(front))
    }
}

impl<const MAX: usize, const FROM_CLIENT: bool> Framing for Literals<MAX, FROM_CLIENT> {
    const MAX_FRAME: usize = {
        assert!(MAX > 2 && MAX < MAX_CUT);
        MAX
    };

    /// The line without its last CRLF, or the front of it.
    #[inline]
    fn next<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<&'i [u8]>, Error> {
        if PREFER_SPEED && self.taken == 0 {
            // The frequent ends of a scan, in few instructions, as in `Lines`.
            let end = self.skip_text(input);
            match input.split_at_checked(end) {
                Some((_, [])) if end < MAX => {
                    self.keep(end);
                    return Ok(None);
                }
                Some((line, [b'\r', b'\n', rest @ ..]))
                    if self.mark == Mark::Nothing && end.wrapping_add(1) < MAX =>
                {
                    self.scanned = 0;
                    *input = rest;
                    return Ok(Some(line));
                }
                _ => {}
            }
        }
        self.next_of_any(input)
    }

    fn is_cut(&self) -> bool {
        self.taken > 0
    }

    fn skip(&mut self, input: &mut &[u8]) -> Result<bool, Error> {
        if !self.is_cut() {
            return Ok(true);
        }
        let ended = self.scan(input);
        let known = self.scanned.saturating_sub(self.taken);
        let dropped = usize::from(known).min(input.len());
        let rest = input.get(dropped..).unwrap_or_default();
        if ended == Ok(true) {
            *input = rest.get(2..).unwrap_or_default();
            *self = Self::default();
            return ended;
        }
        // Skips up to the first error, so that the error does not depend on how the bytes arrived (I14).
        *input = rest;
        #[expect(clippy::cast_possible_truncation, reason = "at most `known`, which fits")]
        {
            self.taken = self.taken.saturating_add(dropped as u16);
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames<const FROM_CLIENT: bool>(
        whole: &[u8],
        piece: usize,
    ) -> Result<(heapless::Vec<&[u8], 8>, usize), Error> {
        let mut framing = Literals::<24, FROM_CLIENT>::default();
        let mut found = heapless::Vec::new();
        let (mut start, mut end) = (0, 0);
        while end < whole.len() {
            end = whole.len().min(end + piece);
            let mut input = &whole[start..end];
            while let Some(frame) = framing.next(&mut input)? {
                found.push(frame).expect("few frames");
            }
            start = end - input.len();
        }
        Ok((found, whole.len() - start))
    }

    #[test]
    fn frames_do_not_depend_on_the_cut() {
        type Expected<'e> = Result<(&'e [&'e [u8]], usize), Error>;
        let rows: [(&[u8], Expected<'_>); 16] = [
            (b"a\r\nb\r\n", Ok((&[b"a", b"b"], 0))),
            (b"a {3}\r\nb\r\n\r\nc\r\n", Ok((&[b"a {3}\r\nb\r\n", b"c"], 0))),
            (b"{3}\r\n\0\r\n x {1+}\r\n{\r\n", Ok((&[b"{3}\r\n\0\r\n x {1+}\r\n{"], 0))),
            (b"{0}\r\n\r\n", Ok((&[b"{0}\r\n"], 0))),
            (b"{3}\r\nab", Ok((&[], 7))),
            (b"3}\r\n{}\r\n{+}\r\n{3} \r\n", Ok((&[b"3}", b"{}", b"{+}", b"{3} "], 0))),
            (b"{16}\r\n0123456789abcdef\r\n", Ok((&[b"{16}\r\n0123456789abcdef"], 0))),
            (b"{17}\r\n", Ok((&[], 6))),
            (b"{18}\r\n0123456789abcdefgh\r\nb\r\n", Ok((&[b"{18}\r\n0123456789abcdef", b"b"], 0))),
            (
                b"{18}\r\n0123456789abcdefgh{4}\r\n\r\nb\r\r\nc\r\n",
                Ok((&[b"{18}\r\n0123456789abcdef", b"c"], 0)),
            ),
            (b"{18}\r\n0123456789abcdef\n\n\n", Err(Error::BareLf)),
            (b"{99999999999999999999}\r\n", Err(Error::FrameTooLong)),
            (b"0123456789012345678901\r\n", Ok((&[b"0123456789012345678901"], 0))),
            (b"01234567890123456789012\r\n", Ok((&[b"0123456789012345678901"], 0))),
            (b"a\n", Err(Error::BareLf)),
            (b"a\rb", Err(Error::BareCr)),
        ];
        for (whole, expected) in rows {
            for piece in [whole.len(), 1, 2, 3] {
                let found = frames::<false>(whole, piece);
                let found = found.as_ref().map(|(frames, left)| (&frames[..], *left));
                assert_eq!(found, expected.as_ref().map(|(a, b)| (*a, *b)), "{whole:?} by {piece}");
            }
        }
    }

    type Outcome<'i> = (Result<Option<&'i [u8]>, Error>, usize, u16, Mark, u16);

    /// The outcome, the rest of the input, and what is kept for the next call.
    fn outcome<const FROM_CLIENT: bool>(input: &[u8], of_any: bool) -> Outcome<'_> {
        let (mut rest, mut lines) = (input, Literals::<24, FROM_CLIENT>::default());
        let frame = if of_any { lines.next_of_any(&mut rest) } else { lines.next(&mut rest) };
        (frame, rest.len(), lines.scanned, lines.mark, lines.taken)
    }

    #[test]
    fn the_short_path_finds_what_the_loop_finds() {
        let ends = [
            "",
            "\r",
            "\r\n",
            "\n",
            "\0",
            "\rx",
            "\r\nab",
            "\tab\r\n",
            "{",
            "{3",
            "{3}",
            "{3}\r\n",
            "{3}\r\nabcd\r\n",
            "{3+}\r\na\r\nb\r\n",
            "{x\r\n",
        ];
        for end in ends.map(str::as_bytes) {
            for length in 0..40 {
                let mut line = heapless::Vec::<u8, 64>::from_iter([b'x'; 40]);
                line.truncate(length);
                line.extend_from_slice(end).expect("room");
                assert_eq!(
                    outcome::<false>(&line, false),
                    outcome::<false>(&line, true),
                    "{line:?}"
                );
                assert_eq!(outcome::<true>(&line, false), outcome::<true>(&line, true), "{line:?}");
            }
        }
    }

    #[test]
    fn a_long_frame_of_a_client_is_an_error() {
        for whole in
            [&b"{17+}\r\n"[..], b"01234567890123456789012\r", b"{99999999999999999999+}\r\n"]
        {
            for piece in [whole.len(), 1, 2, 3] {
                assert_eq!(frames::<true>(whole, piece), Err(Error::FrameTooLong), "{whole:?}");
            }
        }
    }

    #[test]
    fn a_synchronizing_literal_ends_a_clients_frame() {
        let whole = b"a {3}\r\nb {3+}\r\nx\r\n\r\n";
        for piece in [whole.len(), 1] {
            let (found, left) = frames::<true>(whole, piece).expect("frames");
            assert_eq!((&found[..], left), (&[&b"a {3}"[..], b"b {3+}\r\nx\r\n"][..], 0));
        }
    }
}
