use super::Framing;
use crate::Error;

/// Lines that may carry literals: `{n}` and CRLF, then `n` octets of anything, and the line goes on
/// (RFC 9051 §4.3, RFC 5804 §1.2). The frame is the whole of it, of at most `MAX` octets.
///
/// What a literal holds is part of the frame and never a line of its own. What a client says counts
/// only where it does not wait for leave (`{n+}`, RFC 7888 §4): behind `{n}` it says nothing until
/// the server has answered, so the frame ends there.
#[derive(Debug, Default)]
pub struct Literals<const MAX: usize, const FROM_CLIENT: bool> {
    scanned: u16,
    /// Where the part of the line begins that is being scanned.
    start: u16,
}

impl<const MAX: usize, const FROM_CLIENT: bool> Framing for Literals<MAX, FROM_CLIENT> {
    const MAX_FRAME: usize = {
        assert!(MAX >= 2 && MAX <= u16::MAX as usize);
        MAX
    };

    /// The line without its last CRLF.
    fn next<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<&'i [u8]>, Error> {
        loop {
            let end = usize::from(self.scanned);
            let (front, rest) = match input.split_at_checked(end) {
                Some((front, rest)) if end < MAX => (front, rest),
                // A literal that is not all there.
                None if end < MAX => return Ok(None),
                _ => return Err(Error::FrameTooLong),
            };
            match rest {
                [b'\r', ..] if end.wrapping_add(1) >= MAX => return Err(Error::FrameTooLong),
                [] | [b'\r'] => return Ok(None),
                [b'\r', b'\n', after @ ..] => {
                    let line = front.get(usize::from(self.start)..).unwrap_or_default();
                    let Some(length) = literal(line, FROM_CLIENT)? else {
                        *self = Self::default();
                        *input = after;
                        return Ok(Some(front));
                    };
                    // Its CRLF, and that of the line's end, have to fit, too.
                    let start = end.saturating_add(2).saturating_add(length);
                    if start.saturating_add(2) > MAX {
                        return Err(Error::FrameTooLong);
                    }
                    self.scanned = u16::try_from(start).map_err(|_| Error::FrameTooLong)?;
                    self.start = self.scanned;
                }
                [b'\r', ..] => return Err(Error::BareCr),
                [b'\n', ..] => return Err(Error::BareLf),
                [0, ..] => return Err(Error::Nul),
                _ => self.scanned = self.scanned.wrapping_add(1),
            }
        }
    }
}

/// The octets of the literal that a line announces at its end.
fn literal(line: &[u8], from_client: bool) -> Result<Option<usize>, Error> {
    let [front @ .., b'}'] = line else { return Ok(None) };
    let (front, waits) = match front {
        [front @ .., b'+'] => (front, false),
        _ => (front, true),
    };
    let digits = front.iter().rev().take_while(|octet| octet.is_ascii_digit()).count();
    let (before, digits) = front.split_at(front.len().saturating_sub(digits));
    match before {
        [.., b'{'] if from_client && waits => Ok(None),
        [.., b'{'] if !digits.is_empty() => {
            let number = digits.iter().try_fold(0_usize, |number, digit| {
                number.checked_mul(10)?.checked_add(usize::from(digit & 0xf))
            });
            number.map(Some).ok_or(Error::FrameTooLong)
        }
        _ => Ok(None),
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
