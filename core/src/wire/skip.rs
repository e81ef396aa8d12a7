//! Skips over bytes that mean nothing to a framing.

/// Whether code may be larger to be faster, for example to look at eight bytes at a time. Small processors
/// prefer less code.
pub(crate) const PREFER_SPEED: bool = cfg!(target_pointer_width = "64");

/// The same byte in all places of a word.
const fn each(octet: u8) -> u64 {
    u64::from_ne_bytes([octet; 8])
}

/// The position of the first byte at or after `from` that is a CR or lower; the end of the input if there is
/// none.
#[inline(always)]
pub(super) fn skip_text(input: &[u8], from: usize) -> usize {
    skip(input, from, None)
}

/// Like [`skip_text`], but `mark` stops, too.
#[inline(always)]
pub(super) fn skip_text_to(input: &[u8], from: usize, mark: u8) -> usize {
    skip(input, from, Some(mark))
}

#[inline(always)]
fn skip(input: &[u8], from: usize, mark: Option<u8>) -> usize {
    let mut at = from;
    if let Some((words, _)) = input.get(at..).map(<[u8]>::as_chunks) {
        for octets in words {
            let word = u64::from_le_bytes(*octets);
            // The highest bit of each byte that is below a limit. A borrow may set it for bytes after such a
            // one, but not before the first.
            let low = |word: u64, limit| word.wrapping_sub(each(limit)) & !word & each(0x80);
            let marks = mark.map_or(0, |mark| low(word ^ each(mark), 1));
            let found = low(word, b'\r' + 1) | marks;
            if found != 0 {
                return at.wrapping_add((found.trailing_zeros() / 8) as usize);
            }
            at = at.wrapping_add(octets.len());
        }
    }
    while let Some(octet) = input.get(at)
        && *octet > b'\r'
        && mark != Some(*octet)
    {
        at = at.wrapping_add(1);
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every byte at every position, after text and before each kind of byte.
    #[test]
    fn words_find_what_bytes_find() {
        for octet in 0..=u8::MAX {
            for (length, before, after) in
                [(20, b'z', b'\0'), (20, 0xff, 0x0e), (17, 0x80, b'\r'), (20, b'|', b'{')]
            {
                for place in 0..length {
                    let mut input = [before; 20];
                    input[place] = octet;
                    input[place + 1..].fill(after);
                    for from in 0..=length {
                        let input = &input[..length];
                        let expected =
                            (from..length).find(|at| input[*at] <= b'\r').unwrap_or(length);
                        assert_eq!(skip_text(input, from), expected, "{input:?} from {from}");
                        let mark = (from..length).find(|at| input[*at] == b'{');
                        let expected = mark.map_or(expected, |mark| mark.min(expected));
                        let found = skip_text_to(input, from, b'{');
                        assert_eq!(found, expected, "{input:?} from {from}");
                    }
                }
            }
        }
        assert_eq!((skip_text(b"", 0), skip_text(b"a", 1)), (0, 1));
    }
}
