//! The parts of a message that need no treatment: whole blocks, and the text of a line.
//!
//! Without the feature `memchr` there are no blocks, and a text is one byte: the loops of the callers are
//! then as small as can be, and their results are the same.

/// The number of bytes that are looked at together. The loop over them has a constant length and no branch,
/// so the compiler makes vector instructions of it.
#[cfg(feature = "memchr")]
pub(super) const BLOCK: usize = 512;

/// What a caller has to see byte by byte, besides faults.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(feature = "memchr"), expect(dead_code, reason = "there are no blocks"))]
pub(super) struct Stops {
    /// A dot at the start of a line.
    pub(super) dot: bool,
    /// An empty line, which ends the header.
    pub(super) empty: bool,
}

/// The blocks of a text.
#[derive(Debug)]
#[cfg_attr(not(feature = "memchr"), expect(dead_code, reason = "there are no blocks"))]
pub(super) struct Blocks {
    pub(super) stops: Stops,
    /// No block begins before this many bytes from the end. A block that is not sound is so after its first
    /// line, too: to look at it once a line would cost more than to have no blocks.
    #[cfg(feature = "memchr")]
    from: usize,
}

impl Blocks {
    pub(super) fn new(stops: Stops) -> Self {
        Self {
            stops,
            #[cfg(feature = "memchr")]
            from: usize::MAX,
        }
    }

    /// Takes the block at the front of `rest`, if it has no bare CR or LF, no NUL, and nothing to stop at.
    ///
    /// The byte before `rest` is not a CR, and the block does not end with one. Whether `rest` itself starts
    /// with a dot is not looked at.
    #[cfg(feature = "memchr")]
    pub(super) fn take<'i>(&mut self, rest: &mut &'i [u8]) -> Option<&'i [u8]> {
        if rest.len() > self.from {
            return None;
        }
        let block = first_sound(rest, self.stops);
        match block {
            Some(block) => *rest = rest.get(block.len()..).unwrap_or_default(),
            None => self.from = rest.len().saturating_sub(BLOCK),
        }
        block
    }

    #[cfg(not(feature = "memchr"))]
    pub(super) const fn take<'i>(&mut self, _: &mut &'i [u8]) -> Option<&'i [u8]> {
        None
    }
}

#[cfg(feature = "memchr")]
fn first_sound(text: &[u8], stops: Stops) -> Option<&[u8]> {
    let block = text.first_chunk::<BLOCK>()?;
    let following = text.get(1..)?.first_chunk::<BLOCK>()?;
    let (mut fault, mut dot, mut empty) = (block.starts_with(b"\n"), false, false);
    for (octet, next) in block.iter().zip(following) {
        let (cr, lf) = (*octet == b'\r', *octet == b'\n');
        fault |= (cr != (*next == b'\n')) | (*octet == 0);
        dot |= lf & (*next == b'.');
        empty |= lf & (*next == b'\r');
    }
    if fault || (dot && stops.dot) || (empty && stops.empty) {
        return None;
    }
    // The block ends before a CR, so that the caller's state does not depend on the next byte.
    Some(block.strip_suffix(b"\r").unwrap_or(block))
}

/// Takes the first byte of `rest`, and those after it up to the next CR, LF or NUL.
#[cfg(feature = "memchr")]
pub(super) fn take_text<'i>(rest: &mut &'i [u8]) -> &'i [u8] {
    let [_, tail @ ..] = *rest else { return &[] };
    let end = memchr::memchr3(b'\r', b'\n', 0, tail).unwrap_or(tail.len());
    let (text, after) = rest.split_at_checked(end.saturating_add(1)).unwrap_or_default();
    *rest = after;
    text
}

/// Takes one byte of `rest`.
#[cfg(not(feature = "memchr"))]
pub(super) fn take_text<'i>(rest: &mut &'i [u8]) -> &'i [u8] {
    let (text, after) = rest.split_at_checked(1).unwrap_or_default();
    *rest = after;
    text
}

/// Whether a text has a NUL.
pub(super) fn has_nul(text: &[u8]) -> bool {
    #[cfg(feature = "memchr")]
    return memchr::memchr(0, text).is_some();
    #[cfg(not(feature = "memchr"))]
    text.contains(&0)
}

#[cfg(all(test, feature = "memchr"))]
mod tests {
    use super::*;

    const ALL: Stops = Stops { dot: true, empty: true };
    const NONE: Stops = Stops { dot: false, empty: false };

    /// Lines of 13 bytes, with `octets` at `place`.
    fn text(octets: &[u8], place: usize) -> [u8; BLOCK + 1] {
        let mut text = core::array::from_fn(|n| match n % 13 {
            11 => b'\r',
            12 => b'\n',
            _ => b'x',
        });
        text[place..][..octets.len()].copy_from_slice(octets);
        text
    }

    #[test]
    fn faults_and_stops_are_found_at_every_place() {
        assert_eq!(first_sound(&text(b"", 0), ALL).map(<[u8]>::len), Some(BLOCK));
        assert_eq!(first_sound(&text(b"", 0)[..BLOCK], ALL), None);
        for line in 0..BLOCK / 13 {
            for place in line * 13 + 1..line * 13 + 10 {
                for fault in [&b"\r"[..], b"\n", b"\0", b"\n\r"] {
                    assert_eq!(first_sound(&text(fault, place), NONE), None, "{place}");
                }
                assert!(first_sound(&text(b"\r\n", place), NONE).is_some(), "{place}");
            }
            let start = (line + 1) * 13;
            if start <= BLOCK {
                let dotted = text(b".", start);
                assert_eq!(first_sound(&dotted, Stops { dot: true, empty: false }), None);
                assert!(first_sound(&dotted, Stops { dot: false, empty: true }).is_some());
                let empty = text(b"\r", start);
                assert_eq!(first_sound(&empty, NONE), None, "a bare CR");
            }
            if start < BLOCK {
                let empty = text(b"\r\n", start);
                assert_eq!(first_sound(&empty, Stops { dot: false, empty: true }), None);
                assert!(first_sound(&empty, Stops { dot: true, empty: false }).is_some());
            }
        }
        assert_eq!(first_sound(&text(b"\n", 0), NONE), None);
    }

    #[test]
    fn a_block_ends_before_a_cr() {
        let ends = text(b"\r\n", BLOCK - 1);
        assert_eq!(first_sound(&ends, ALL), Some(&ends[..BLOCK - 1]));
        assert_eq!(first_sound(&text(b"\r", BLOCK - 1), NONE), None);
    }
}
