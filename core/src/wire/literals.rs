use super::Framing;
use crate::Error;

/// Lines that may carry literals: `{n}` and CRLF, then `n` octets of anything, and the line goes on
/// (RFC 9051 §4.3, RFC 5804 §1.2). The frame is the whole of it, of at most `MAX` octets.
///
/// What a literal holds is part of the frame and never a line of its own. What a client says counts
/// only where it does not wait for leave (`{n+}`, RFC 7888 §4): behind `{n}` it says nothing until
/// the server has answered, so the frame ends there.
#[derive(Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Literals<const MAX: usize, const FROM_CLIENT: bool> {
    scanned: u16,
    /// What the octets so far may be the start of.
    mark: Mark,
    /// The number in it.
    length: u16,
}

/// How much of `"{" number ["+"] "}"` was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum Mark {
    #[default]
    Nothing,
    Brace,
    Number,
    Plus,
    /// All of it.
    Literal,
    /// All of it, and its sender waits for leave.
    Waiting,
}

impl<const MAX: usize, const FROM_CLIENT: bool> Literals<MAX, FROM_CLIENT> {
    /// Notes one octet of a line.
    fn note(&mut self, octet: u8) {
        self.mark = match (octet, self.mark) {
            (b'{', _) => {
                self.length = 0;
                Mark::Brace
            }
            (b'0'..=b'9', Mark::Brace | Mark::Number) => {
                // Beyond every limit it stays there.
                let tens = self.length.saturating_mul(10);
                self.length = tens.saturating_add(u16::from(octet & 0xf));
                Mark::Number
            }
            (b'+', Mark::Number) => Mark::Plus,
            (b'}', Mark::Number) => Mark::Waiting,
            (b'}', Mark::Plus) => Mark::Literal,
            _ => Mark::Nothing,
        };
        self.scanned = self.scanned.wrapping_add(1);
    }
}

impl<const MAX: usize, const FROM_CLIENT: bool> Framing for Literals<MAX, FROM_CLIENT> {
    const MAX_FRAME: usize = {
        assert!(MAX >= 2 && MAX < u16::MAX as usize);
        MAX
    };

    /// The line without its last CRLF.
    fn next<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<&'i [u8]>, Error> {
        loop {
            let end = usize::from(self.scanned);
            if end >= MAX {
                return Err(Error::FrameTooLong);
            }
            // It may be within a literal that is not all there.
            match input.get(end..).unwrap_or_default() {
                [b'\r', ..] if end.wrapping_add(1) >= MAX => return Err(Error::FrameTooLong),
                [] | [b'\r'] => return Ok(None),
                [b'\r', b'\n', rest @ ..] => {
                    let literal = match self.mark {
                        Mark::Literal => true,
                        Mark::Waiting => !FROM_CLIENT,
                        _ => false,
                    };
                    if !literal {
                        let line = input.get(..end);
                        *self = Self::default();
                        *input = rest;
                        return Ok(line);
                    }
                    self.mark = Mark::Nothing;
                    self.scanned = self.scanned.saturating_add(2).saturating_add(self.length);
                    // The CRLF at the end of the line has to fit, too.
                    if usize::from(self.scanned) > MAX.wrapping_sub(2) {
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
    fn however_it_is_cut() {
        type Expected<'e> = Result<(&'e [&'e [u8]], usize), Error>;
        let rows: [(&[u8], Expected<'_>); 13] = [
            (b"a\r\nb\r\n", Ok((&[b"a", b"b"], 0))),
            (b"a {3}\r\nb\r\n\r\nc\r\n", Ok((&[b"a {3}\r\nb\r\n", b"c"], 0))),
            (b"{3}\r\n\0\r\n x {1+}\r\n{\r\n", Ok((&[b"{3}\r\n\0\r\n x {1+}\r\n{"], 0))),
            (b"{0}\r\n\r\n", Ok((&[b"{0}\r\n"], 0))),
            (b"{3}\r\nab", Ok((&[], 7))),
            (b"3}\r\n{}\r\n{+}\r\n{3} \r\n", Ok((&[b"3}", b"{}", b"{+}", b"{3} "], 0))),
            (b"{16}\r\n0123456789abcdef\r\n", Ok((&[b"{16}\r\n0123456789abcdef"], 0))),
            (b"{17}\r\n", Err(Error::FrameTooLong)),
            (b"{99999999999999999999}\r\n", Err(Error::FrameTooLong)),
            (b"0123456789012345678901\r\n", Ok((&[b"0123456789012345678901"], 0))),
            (b"01234567890123456789012\r", Err(Error::FrameTooLong)),
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

    #[test]
    fn a_client_waits_behind_a_literal_that_needs_leave() {
        let whole = b"a {3}\r\nb {3+}\r\nx\r\n\r\n";
        for piece in [whole.len(), 1] {
            let (found, left) = frames::<true>(whole, piece).expect("frames");
            assert_eq!((&found[..], left), (&[&b"a {3}"[..], b"b {3+}\r\nx\r\n"][..], 0));
        }
    }
}
