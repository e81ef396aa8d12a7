//! `BDAT` (RFC 3030).

use super::parameters::number;
use super::state::Chunk;

/// `chunk-size [ SP "LAST" ]`, `chunk-size = 1*DIGIT` (RFC 3030 §2); `None` too if it is more than
/// can be counted.
pub(super) fn parse(argument: &[u8]) -> Option<Chunk> {
    let mut words = argument.split(|octet| *octet == b' ').filter(|word| !word.is_empty());
    let left = number(words.next()?)?;
    let is_last = match (words.next(), words.next()) {
        (None, _) => false,
        (Some(word), None) if word.eq_ignore_ascii_case(b"LAST") => true,
        _ => return None,
    };
    (left != usize::MAX).then_some(Chunk { left, is_last })
}

/// A piece of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece<'i> {
    /// More is needed.
    Read,
    Text(&'i [u8]),
    /// A CR or LF stands alone.
    Bare,
}

/// Takes the next piece off a chunk of which `left` octets are to come, without copying.
///
/// Lines end with CRLF here, too (RFC 3030 §2): whoever passed a lone CR or LF on could be made to
/// end a mail where its sender did not. `after_cr` is the state from chunk to chunk. At most one
/// octet is left waiting, and none at the end of the chunk.
pub(super) fn piece<'i>(after_cr: &mut bool, left: usize, input: &mut &'i [u8]) -> Piece<'i> {
    let chunk = input.get(..left).unwrap_or(input);
    let ends = chunk.len() == left;
    let mut length: usize = 0;
    let mut rest = chunk;
    loop {
        match rest {
            [] => break,
            [b'\n', after @ ..] if *after_cr => {
                *after_cr = false;
                length = length.wrapping_add(1);
                rest = after;
            }
            [_, ..] if *after_cr => return Piece::Bare,
            [b'\r', b'\n', after @ ..] => {
                length = length.wrapping_add(2);
                rest = after;
            }
            [b'\r'] if ends => {
                *after_cr = true;
                length = length.wrapping_add(1);
                break;
            }
            [b'\r'] => break,
            // What stands before it is handed out first, however the input was cut.
            [b'\r' | b'\n', ..] if length > 0 => break,
            [b'\r' | b'\n', ..] => return Piece::Bare,
            [_, after @ ..] => {
                length = length.wrapping_add(1);
                rest = after;
            }
        }
    }
    if length == 0 {
        return Piece::Read;
    }
    let (text, rest) = input.split_at_checked(length).unwrap_or_default();
    *input = rest;
    Piece::Text(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let chunk = |left, is_last| Some(Chunk { left, is_last });
        for (argument, expected) in [
            (&b"0"[..], chunk(0, false)),
            (b"00012", chunk(12, false)),
            (b"86400 LAST", chunk(86400, true)),
            (b"0 last", chunk(0, true)),
            (b"1  LAST", chunk(1, true)),
            (b"", None),
            (b"LAST", None),
            (b"-1", None),
            (b"+1", None),
            (b"1x", None),
            (b"1 LAST LAST", None),
            (b"1 FIRST", None),
            (b"99999999999999999999999", None),
        ] {
            assert_eq!(parse(argument), expected, "{argument:?}");
        }
    }

    /// The pieces of one chunk that arrives in two parts.
    fn read(after_cr: &mut bool, chunk: &[u8], cut: usize) -> Result<heapless::Vec<u8, 64>, ()> {
        let (mut left, mut start, mut all) = (chunk.len(), 0, heapless::Vec::new());
        for end in [cut, chunk.len()] {
            let mut input = &chunk[start..end];
            while left > 0 {
                match piece(after_cr, left, &mut input) {
                    Piece::Read => break,
                    Piece::Bare => return Err(()),
                    Piece::Text(text) => {
                        left -= text.len();
                        all.extend_from_slice(text).expect("short");
                    }
                }
            }
            start = end - input.len();
        }
        assert_eq!(left, 0, "the chunk is read to its end");
        Ok(all)
    }

    #[test]
    fn octets_come_out_as_they_are_at_every_cut() {
        for chunks in [&[&b"a\r\n.\r\n..b"[..]][..], &[b"a\r", b"\nb"], &[b"\r", b"\n\r", b"\n"]] {
            for cut in 0..12 {
                let mut after_cr = false;
                for chunk in chunks {
                    let read = read(&mut after_cr, chunk, cut.min(chunk.len()));
                    assert_eq!(read.as_deref(), Ok(*chunk), "{chunks:?} cut at {cut}");
                }
                assert!(!after_cr);
            }
        }
    }

    #[test]
    fn lone_line_ends_are_found_at_every_cut() {
        for chunks in [
            &[&b"a\nb"[..]][..],
            &[b"\n"],
            &[b"a\rb"],
            &[b"\r\r\n"],
            &[b"a\r", b"b"],
            &[b"a", b"\n"],
            &[b"a\r\n", b"\n"],
            &[b"\r", b"\r"],
        ] {
            for cut in 0..4 {
                let mut after_cr = false;
                let mut read = |chunk: &&[u8]| read(&mut after_cr, chunk, cut.min(chunk.len()));
                assert!(chunks.iter().any(|chunk| read(chunk).is_err()), "{chunks:?} at {cut}");
            }
        }
    }
}
