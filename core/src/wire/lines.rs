//! Lines that end with CRLF or LF.

use super::skip::{PREFER_SPEED, skip_text};
use super::{Framing, MAX_CUT};
use crate::Error;

/// Lines of at most `MAX` bytes with their CRLF, which is the only line end.
///
/// A bare CR, a bare LF and NUL are errors (RFC 5321 §2.3.8). If two parties disagree about line ends, an
/// attacker can smuggle commands past one of them. For the same reason [`LfLines`] allow no CR.
///
/// A longer line is an error, or it is cut ([`ReplyLines`]).
#[derive(Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Lines<const MAX: usize, const CRLF: bool = true, const CUT: bool = false> {
    /// The bytes of the current line that were looked at, skipped ones included.
    scanned: u16,
    /// Whether the front of the line was returned and the rest is to be skipped.
    cut: bool,
}

/// Lines of at most `MAX` bytes with their LF, which is the only line end.
pub type LfLines<const MAX: usize> = Lines<MAX, false>;

/// [`Lines`] that cut longer ones: the frame is the first `MAX - 2` bytes, and the rest is skipped, up to
/// [`MAX_CUT`] bytes in total.
///
/// Use it for replies, where a code or word at the front decides and a long text after it is no fault
/// (RFC 5321 §4.5.3.1: limits are minimums).
pub type ReplyLines<const MAX: usize> = Lines<MAX, true, true>;

/// [`LfLines`] that cut longer ones, like [`ReplyLines`].
pub type LfReplyLines<const MAX: usize> = Lines<MAX, false, true>;

/// The front of the input: a line, a part of one, or too many bytes.
enum Found<'i> {
    /// A line without its terminator, and the bytes after it.
    Line(&'i [u8], &'i [u8]),
    /// More bytes than allowed.
    TooLong,
    /// An incomplete line.
    Part,
}

impl<const MAX: usize, const CRLF: bool, const CUT: bool> Lines<MAX, CRLF, CUT> {
    /// Like [`next`](Framing::next), with another limit than `MAX`, and with or without cutting.
    ///
    /// # Errors
    /// Those of [`next`](Framing::next).
    #[inline]
    pub(crate) fn next_within<'i>(
        &mut self,
        input: &mut &'i [u8],
        max: usize,
        cuts: bool,
    ) -> Result<Option<&'i [u8]>, Error> {
        if PREFER_SPEED && !(CUT && self.cut) {
            // The frequent ends of a scan, in few instructions: a whole line, and no control character.
            let end = skip_text(input, usize::from(self.scanned));
            match input.split_at_checked(end) {
                Some((_, [])) if end < max => {
                    self.keep(end);
                    return Ok(None);
                }
                Some((line, [b'\r', b'\n', rest @ ..])) if CRLF && end.wrapping_add(1) < max => {
                    self.scanned = 0;
                    *input = rest;
                    return Ok(Some(line));
                }
                _ => {}
            }
        }
        self.next_of_any(input, max, cuts)
    }

    /// [`next_within`](Self::next_within) for every input.
    #[cfg_attr(target_pointer_width = "64", cold)]
    #[cfg_attr(target_pointer_width = "64", inline(never))]
    fn next_of_any<'i>(
        &mut self,
        input: &mut &'i [u8],
        max: usize,
        cuts: bool,
    ) -> Result<Option<&'i [u8]>, Error> {
        if CUT && self.cut && !self.skip(input)? {
            return Ok(None);
        }
        match self.find(input, max)? {
            Found::Line(line, rest) => {
                *input = rest;
                Ok(Some(line))
            }
            Found::TooLong if cuts => {
                // The front has a fixed length, so that it depends neither on the line's end nor on how the
                // bytes arrived (I14).
                let (front, rest) = input.split_at_checked(max.wrapping_sub(2)).unwrap_or_default();
                *input = rest;
                self.keep(front.len());
                self.cut = true;
                Ok(Some(front))
            }
            Found::TooLong => Err(Error::FrameTooLong),
            Found::Part => Ok(None),
        }
    }

    fn find<'i>(&mut self, input: &'i [u8], max: usize) -> Result<Found<'i>, Error> {
        let mut end = usize::from(self.scanned);
        while let Some(octet) = input.get(end) {
            // One comparison for most bytes. This matters to firmware and to callers that pass single
            // bytes.
            if *octet > b'\r' {
                end = end.wrapping_add(1);
                continue;
            }
            match input.get(end..).unwrap_or_default() {
                _ if end >= max => break,
                [b'\n', rest @ ..] if !CRLF => {
                    self.scanned = 0;
                    return Ok(Found::Line(input.get(..end).unwrap_or_default(), rest));
                }
                [b'\r', ..] if !CRLF => return Err(Error::BareCr),
                [b'\r', ..] if end.wrapping_add(1) >= max => return Ok(Found::TooLong),
                [b'\r', b'\n', rest @ ..] => {
                    self.scanned = 0;
                    return Ok(Found::Line(input.get(..end).unwrap_or_default(), rest));
                }
                // The LF may be the next byte to arrive.
                [b'\r'] => break,
                [b'\r', ..] => return Err(Error::BareCr),
                [b'\n', ..] => return Err(Error::BareLf),
                [0, ..] => return Err(Error::Nul),
                _ => end = end.wrapping_add(1),
            }
        }
        if end >= max {
            return Ok(Found::TooLong);
        }
        self.keep(end);
        Ok(Found::Part)
    }

    /// Keeps the position up to which the line was looked at.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "below a limit that fits")]
    const fn keep(&mut self, end: usize) {
        self.scanned = end as u16;
    }
}

impl<const MAX: usize, const CRLF: bool, const CUT: bool> Framing for Lines<MAX, CRLF, CUT> {
    const MAX_FRAME: usize = {
        assert!(MAX >= 2 && MAX <= MAX_CUT);
        MAX
    };

    /// The line without its terminator, or the front of it.
    fn next<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<&'i [u8]>, Error> {
        self.next_within(input, MAX, CUT)
    }

    fn is_cut(&self) -> bool {
        CUT && self.cut
    }

    fn skip(&mut self, input: &mut &[u8]) -> Result<bool, Error> {
        if !self.is_cut() {
            return Ok(true);
        }
        loop {
            match *input {
                [b'\n', rest @ ..] if !CRLF => *input = rest,
                [b'\r', b'\n', rest @ ..] if CRLF => *input = rest,
                [] => return Ok(false),
                [b'\r'] if CRLF => return Ok(false),
                [b'\r', ..] => return Err(Error::BareCr),
                [b'\n', ..] => return Err(Error::BareLf),
                [0, ..] => return Err(Error::Nul),
                [_, rest @ ..] => {
                    // The terminator has to fit into the limit, too.
                    if usize::from(self.scanned) >= MAX_CUT - 2 {
                        return Err(Error::FrameTooLong);
                    }
                    self.scanned = self.scanned.saturating_add(1);
                    *input = rest;
                    continue;
                }
            }
            *self = Self::default();
            return Ok(true);
        }
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

    /// The outcome, the rest of the input, and what is kept for the next call.
    fn outcome<const CUT: bool>(
        input: &[u8],
        of_any: bool,
    ) -> (Result<Option<&[u8]>, Error>, usize, u16, bool) {
        let (mut rest, mut lines) = (input, Lines::<24, true, CUT>::default());
        let line = match of_any {
            true => lines.next_of_any(&mut rest, 24, CUT),
            false => lines.next(&mut rest),
        };
        (line, rest.len(), lines.scanned, lines.cut)
    }

    #[test]
    fn the_short_path_finds_what_the_loop_finds() {
        let ends = ["", "\r", "\r\n", "\n", "\0", "\rx", "\r\nab", "\tab\r\n", "\x7f\r\n\r\n"];
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
    fn lf_lines_end_with_lf_only() {
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
    fn the_limit_is_exact() {
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
    fn reply_lines_cut_long_lines() {
        type Frames<'w> = heapless::Vec<(&'w [u8], bool), 8>;

        /// The frames, whether each was cut, and the number of bytes left over.
        fn all<const CRLF: bool>(whole: &[u8], piece: usize) -> Result<(Frames<'_>, usize), Error> {
            let mut lines = Lines::<6, CRLF, true>::default();
            let mut found = heapless::Vec::new();
            let (mut start, mut end) = (0, 0);
            while end < whole.len() {
                end = whole.len().min(end + piece);
                let mut input = &whole[start..end];
                while let Some(line) = lines.next(&mut input)? {
                    found.push((line, lines.is_cut())).expect("few lines");
                }
                start = end - input.len();
            }
            Ok((found, whole.len() - start))
        }
        type Expected<'e> = Result<(&'e [(&'e [u8], bool)], usize), Error>;
        let rows: [(&[u8], Expected<'_>); 10] = [
            (b"abcd\r\n", Ok((&[(b"abcd", false)], 0))),
            (b"abcde\r\nf\r\n", Ok((&[(b"abcd", true), (b"f", false)], 0))),
            (b"abcdefghijklmn\r\n\r\n", Ok((&[(b"abcd", true), (b"", false)], 0))),
            (b"abcdefgh\r", Ok((&[(b"abcd", true)], 1))),
            (b"abcdefgh", Ok((&[(b"abcd", true)], 0))),
            (b"abcdefghabcdefgh\r\nabcdef\r\n", Ok((&[(b"abcd", true), (b"abcd", true)], 0))),
            (b"abcdef\n", Err(Error::BareLf)),
            (b"abcdef\ra", Err(Error::BareCr)),
            (b"abcdefg\0", Err(Error::Nul)),
            (b"ab\n", Err(Error::BareLf)),
        ];
        for (whole, expected) in rows {
            for piece in [whole.len(), 1, 2, 3, 5] {
                let found = all::<true>(whole, piece);
                let found = found.as_ref().map(|(frames, left)| (&frames[..], *left));
                assert_eq!(found, expected.as_ref().map(|(a, b)| (*a, *b)), "{whole:?} by {piece}");
            }
        }
        for piece in [1, 2, 64] {
            let (found, left) = all::<false>(b"abcdefgh\nab\n", piece).expect("lines");
            assert_eq!((&found[..], left), (&[(&b"abcd"[..], true), (b"ab", false)][..], 0));
            assert_eq!(all::<false>(b"abcdefgh\r\n", piece), Err(Error::BareCr));
        }
    }

    #[test]
    fn skipped_bytes_have_a_limit() {
        let mut lines = ReplyLines::<6>::default();
        assert_eq!(lines.next(&mut &b"abcdefgh"[..]), Ok(Some(&b"abcd"[..])));
        let mut dropped = 4;
        let error = loop {
            match lines.skip(&mut &b"x"[..]) {
                Ok(done) => assert!(!done),
                Err(error) => break error,
            }
            dropped += 1;
        };
        assert_eq!((error, dropped), (Error::FrameTooLong, MAX_CUT - 2));
    }

    #[test]
    fn frames_do_not_depend_on_the_cut() {
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
