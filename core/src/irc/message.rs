use crate::Error;
use crate::wire::{Framing, Lines, split_word};

/// The longest message with its CRLF, without tags, in bytes (RFC 1459 §2.3).
const MAX_UNTAGGED: usize = 512;

/// The longest tags, with the `@` before and the blank after them, in bytes (IRCv3 message tags).
const MAX_TAGS: usize = 8191;

/// The longest message, with its tags and CRLF, in bytes.
pub const MAX_MESSAGE: usize = MAX_TAGS + MAX_UNTAGGED;

/// Lines that end with CRLF and may be longer if they begin with tags. If `CUT`, a line without tags that
/// is too long is cut.
#[derive(Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Messages<const CUT: bool>(Lines<MAX_MESSAGE, true, CUT>);

impl<const CUT: bool> Framing for Messages<CUT> {
    const MAX_FRAME: usize = MAX_MESSAGE;

    fn next<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<&'i [u8]>, Error> {
        if !self.skip(input)? {
            return Ok(None);
        }
        if !matches!(input, [b'@', ..]) {
            return self.0.next_within(input, MAX_UNTAGGED, CUT);
        }
        let line = self.0.next_within(input, MAX_MESSAGE, false)?;
        let (tags, _) = line.map_or((0, &b""[..]), untagged);
        let rest = line.map_or(0, <[u8]>::len).saturating_sub(tags);
        if tags > MAX_TAGS || rest > MAX_UNTAGGED - 2 { Err(Error::FrameTooLong) } else { Ok(line) }
    }

    fn is_cut(&self) -> bool {
        self.0.is_cut()
    }

    fn skip(&mut self, input: &mut &[u8]) -> Result<bool, Error> {
        self.0.skip(input)
    }
}

/// The length of a line's tags, and the message after them.
fn untagged(line: &[u8]) -> (usize, &[u8]) {
    let [b'@', ..] = line else { return (0, line) };
    let end = line.iter().position(|octet| *octet == b' ').unwrap_or(line.len());
    let rest = line.get(end..).unwrap_or_default().trim_ascii_start();
    (line.len().saturating_sub(rest.len()), rest)
}

/// Splits a line into its command and the parameters.
pub(super) fn parse(line: &[u8]) -> (&[u8], &[u8]) {
    let (_, message) = untagged(line);
    let (first, rest) = split_word(message);
    if first.first() == Some(&b':') { split_word(rest) } else { (first, rest) }
}

/// Takes one parameter from the front: a word, or everything after a colon.
pub(super) fn parameter<'l>(parameters: &mut &'l [u8]) -> &'l [u8] {
    if let [b':', last @ ..] = parameters {
        *parameters = b"";
        return last;
    }
    let (word, rest) = split_word(parameters);
    *parameters = rest;
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_message() {
        for (line, command, rest) in [
            (&b"PING x"[..], &b"PING"[..], &b"x"[..]),
            (b":srv 670 * :go now", b"670", b"* :go now"),
            (b"@a=b;c :srv  670  *", b"670", b"*"),
            (b"@a=b 670", b"670", b""),
            (b"@a", b"", b""),
            (b":srv", b"", b""),
            (b"", b"", b""),
        ] {
            assert_eq!(parse(line), (command, rest), "{line:?}");
        }
        let mut parameters = &b"* LS  * :a b"[..];
        for expected in [&b"*"[..], b"LS", b"*", b"a b", b"", b""] {
            assert_eq!(parameter(&mut parameters), expected);
        }
    }

    fn length(line: &[u8], piece: usize) -> Result<Option<usize>, Error> {
        let mut messages = Messages::<false>::default();
        let mut end = 0;
        while end < line.len() {
            end = line.len().min(end + piece);
            if let Some(frame) = messages.next(&mut &line[..end])? {
                return Ok(Some(frame.len()));
            }
        }
        Ok(None)
    }

    #[test]
    fn each_part_has_its_limit() {
        let line = |tags: usize, rest: usize| {
            let mut line = heapless::Vec::<u8, 9000>::new();
            if tags > 0 {
                line.push(b'@').expect("room");
                line.resize(tags - 1, b't').expect("room");
                line.push(b' ').expect("room");
            }
            line.resize(tags + rest, b'x').expect("room");
            line.extend_from_slice(b"\r\nPING\r\n").expect("room");
            line
        };
        for (tags, rest, fits) in [
            (0, 510, true),
            (0, 511, false),
            (0, 600, false),
            (8191, 510, true),
            (8191, 511, false),
            (8192, 100, false),
            (8192, 510, false),
            (2, 511, false),
        ] {
            let line = line(tags, rest);
            let expected = if fits { Ok(Some(tags + rest)) } else { Err(Error::FrameTooLong) };
            for piece in [line.len(), 1, 7] {
                assert_eq!(length(&line, piece), expected, "{tags} and {rest} by {piece}");
            }
        }
    }
}
