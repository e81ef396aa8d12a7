//! Removal of dot-stuffing (RFC 5321 §4.5.2).

use crate::Error;
use crate::mail::blocks::{Blocks, Stops, take_text};

/// A piece of an arriving message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece<'i> {
    /// More bytes are needed.
    Read,
    Text(&'i [u8]),
    End,
}

/// Takes the next piece of the message after `DATA`, without copying.
///
/// Only CRLF, dot, CRLF ends the message. `line_start` is the state: whether the input is at the start of a
/// line. At most two bytes stay in the input.
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
    let mut blocks = Blocks::new(Stops { dot: true, empty: false });
    loop {
        if let Some(block) = blocks.take(&mut rest) {
            length = length.wrapping_add(block.len());
            continue;
        }
        match rest {
            [b'\r', b'\n', after @ ..] => {
                length = length.wrapping_add(2);
                rest = after;
                // A piece ends before a line that starts with a dot, and may have several other lines.
                if !matches!(rest, [octet, ..] if *octet != b'.') {
                    *line_start = true;
                    break;
                }
            }
            [] | [b'\r'] => break,
            // Returns the bytes before the error first, so that the result does not depend on the cut
            // (I14).
            [b'\r' | b'\n', ..] if length > 0 => break,
            [b'\r', ..] => return Err(Error::BareCr),
            [b'\n', ..] => return Err(Error::BareLf),
            [_, ..] => length = length.wrapping_add(take_text(&mut rest).len()),
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
    use crate::mail::LineEnds;
    use crate::mail::dots::tests::{Text, stuffed};

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
    fn unstuffing_reverses_stuffing_at_every_cut() {
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
