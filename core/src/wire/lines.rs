use super::Framing;
use crate::Error;

/// Lines that end with CRLF and nothing else, of at most `MAX` octets with the CRLF.
///
/// Bare CR, bare LF and NUL are errors (RFC 5321 §2.3.8): two parties that do not agree on what
/// ends a line can be played against each other. For the same reason there is no CR in the lines of
/// a protocol that ends them with LF ([`LfLines`]).
#[derive(Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Lines<const MAX: usize, const CRLF: bool = true> {
    scanned: u16,
}

/// Lines that end with LF and nothing else, of at most `MAX` octets with the LF.
pub type LfLines<const MAX: usize> = Lines<MAX, false>;

impl<const MAX: usize, const CRLF: bool> Framing for Lines<MAX, CRLF> {
    const MAX_FRAME: usize = {
        assert!(MAX >= 2 && MAX <= u16::MAX as usize);
        MAX
    };

    /// The line without its end.
    fn next<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<&'i [u8]>, Error> {
        let mut end = usize::from(self.scanned);
        while let Some(octet) = input.get(end) {
            // One comparison for most octets: firmware and byte-wise callers notice the difference.
            if *octet > b'\r' {
                end = end.wrapping_add(1);
                continue;
            }
            match input.get(end..).unwrap_or_default() {
                _ if end >= MAX => break,
                [b'\n', rest @ ..] if !CRLF => {
                    self.scanned = 0;
                    let line = input.get(..end);
                    *input = rest;
                    return Ok(line);
                }
                [b'\r', ..] if !CRLF => return Err(Error::BareCr),
                [b'\r', ..] if end.wrapping_add(1) >= MAX => return Err(Error::FrameTooLong),
                [b'\r', b'\n', rest @ ..] => {
                    self.scanned = 0;
                    let line = input.get(..end);
                    *input = rest;
                    return Ok(line);
                }
                [b'\r'] => break,
                [b'\r', ..] => return Err(Error::BareCr),
                [b'\n', ..] => return Err(Error::BareLf),
                [0, ..] => return Err(Error::Nul),
                _ => end = end.wrapping_add(1),
            }
        }
        if end >= MAX {
            return Err(Error::FrameTooLong);
        }
        #[expect(clippy::cast_possible_truncation, reason = "below MAX, which fits")]
        {
            self.scanned = end as u16;
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Short = Lines<6>;

    fn all(mut input: &[u8]) -> Result<(heapless::Vec<&[u8], 8>, usize), Error> {
        let mut lines = Short::default();
        let mut found = heapless::Vec::new();
        while let Some(line) = lines.next(&mut input)? {
            found.push(line).expect("few lines");
        }
        Ok((found, input.len()))
    }

    #[test]
    fn only_crlf_ends_a_line() {
        assert_eq!(all(b"\r\nab\r\nc"), Ok((heapless::Vec::from_iter([&b""[..], b"ab"]), 1)));
        assert_eq!(all(b"a\n"), Err(Error::BareLf));
        assert_eq!(all(b"\n"), Err(Error::BareLf));
        assert_eq!(all(b"a\rb"), Err(Error::BareCr));
        assert_eq!(all(b"a\r\r\n"), Err(Error::BareCr));
        assert_eq!(all(b"a\0"), Err(Error::Nul));
    }

    #[test]
    fn only_lf_ends_a_line_where_that_is_the_rule() {
        let all = |mut input: &[u8]| {
            let mut lines = LfLines::<4>::default();
            lines.next(&mut input).map(|line| line.map(<[u8]>::len))
        };
        assert_eq!(all(b"abc\nd"), Ok(Some(3)));
        assert_eq!(all(b"abc"), Ok(None));
        assert_eq!(all(b"abcd\n"), Err(Error::FrameTooLong));
        assert_eq!(all(b"a\r\n"), Err(Error::BareCr));
        assert_eq!(all(b"a\r"), Err(Error::BareCr));
        assert_eq!(all(b"\0\n"), Err(Error::Nul));
    }

    #[test]
    fn the_limit_is_the_limit() {
        assert_eq!(all(b"abcd\r\n"), Ok((heapless::Vec::from_iter([&b"abcd"[..]]), 0)));
        assert_eq!(all(b"abcde\r"), Err(Error::FrameTooLong));
        assert_eq!(all(b"abcde"), Ok((heapless::Vec::new(), 5)));
        assert_eq!(all(b"abcdef"), Err(Error::FrameTooLong));
    }

    #[test]
    fn errors_do_not_depend_on_the_cut() {
        for whole in [
            &b"abcd\r\n"[..],
            b"abcde\r\n",
            b"abcde\n",
            b"abcdef\n",
            b"abcdef\0",
            b"abcd\rf",
            b"abcde\rf",
            b"ab\r\r\n",
            b"a\0\n",
            b"\tb\x0bc\r\n",
            b"\r",
        ] {
            let expected = all(whole).map(|(lines, left)| (lines.len(), left));
            let mut lines = Short::default();
            let (mut found, mut start) = (0, 0);
            let mut outcome = Ok(());
            for end in 1..=whole.len() {
                let mut input = &whole[start..end];
                outcome = outcome.and_then(|()| {
                    lines.next(&mut input).map(|line| {
                        found += usize::from(line.is_some());
                    })
                });
                start = end - input.len();
            }
            assert_eq!(outcome.map(|()| (found, whole.len() - start)), expected, "{whole:?}");
        }
    }

    #[test]
    fn every_cut_is_the_same() {
        let whole = b"ab\r\nc\r\n\r\nd";
        for cut in 0..=whole.len() {
            let mut lines = Short::default();
            let mut found = heapless::Vec::<&[u8], 8>::new();
            let mut start = 0;
            for end in [cut, whole.len()] {
                let mut input = &whole[start..end];
                while let Some(line) = lines.next(&mut input).expect("well formed") {
                    found.push(line).expect("few lines");
                }
                start = end - input.len();
            }
            assert_eq!(found, [&b"ab"[..], b"c", b""]);
            assert_eq!(start, whole.len() - 1);
        }
    }
}
