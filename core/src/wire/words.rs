//! Words of a line.

#[cfg(feature = "smtp")]
use super::skip::PREFER_SPEED;
use crate::conceal::conceal;

/// Splits a line into its first word and the rest, without the blanks between them.
///
/// ```
/// use starttls::wire::split_word;
///
/// assert_eq!(split_word(b"STARTTLS  now"), (&b"STARTTLS"[..], &b"now"[..]));
/// assert_eq!(split_word(b"STARTTLS"), (&b"STARTTLS"[..], &b""[..]));
/// ```
#[must_use]
pub fn split_word(line: &[u8]) -> (&[u8], &[u8]) {
    let word = word(line);
    (word, line.get(word.len()..).unwrap_or_default().trim_ascii_start())
}

/// The first word of a line: the bytes before the first blank, possibly none.
#[must_use]
pub fn word(line: &[u8]) -> &[u8] {
    let end = line.iter().position(|octet| *octet == b' ').unwrap_or(line.len());
    line.get(..end).unwrap_or_default()
}

/// Looks up a word, in any case, in `table`. The first match counts.
#[must_use]
pub fn look_up<T: Copy>(table: &[(&[u8], T)], word: &[u8]) -> Option<T> {
    table.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, meaning)| *meaning)
}

/// The bytes after `name`, in any case, if it is the first word of `text`.
#[cfg(feature = "smtp")]
pub(crate) fn after_word<'t>(text: &'t [u8], name: &[u8]) -> Option<&'t [u8]> {
    let (word, rest) = text.split_at_checked(name.len())?;
    // Most words fail already by their length.
    (matches!(rest, [] | [b' ', ..]) && is_name(word, name)).then_some(rest)
}

/// Whether a word is `name`, in any case.
#[cfg(feature = "smtp")]
pub(crate) fn is_name(word: &[u8], name: &[u8]) -> bool {
    // Most peers write a name as its standard does.
    let same = PREFER_SPEED && word.len() == name.len() && is_equal(word, name);
    same || word.eq_ignore_ascii_case(name)
}

/// Whether two words of the same length are equal. For short ones, for which a call of `memcmp` takes longer.
#[cfg(feature = "smtp")]
fn is_equal(word: &[u8], other: &[u8]) -> bool {
    let (mut a, mut b) = (word, other);
    while let (Some((front, rest)), Some((other, others))) =
        (a.split_first_chunk::<4>(), b.split_first_chunk::<4>())
    {
        if u32::from_ne_bytes(*front) != u32::from_ne_bytes(*other) {
            return false;
        }
        (a, b) = (rest, others);
    }
    a.iter().zip(b).all(|(a, b)| a == b)
}

/// Whether one of the words is `wanted`, in any case.
///
/// ```
/// assert!(starttls::wire::has_word(b"SIZE starttls", b"STARTTLS"));
/// assert!(!starttls::wire::has_word(b"STARTTLSX", b"STARTTLS"));
/// ```
#[must_use]
pub fn has_word(mut words: &[u8], wanted: &[u8]) -> bool {
    while !words.is_empty() {
        let (word, rest) = split_word(words);
        if word.eq_ignore_ascii_case(wanted) {
            return true;
        }
        words = rest;
    }
    false
}

/// Splits a line into its leading three-digit code and the rest. `None` if it has no such code.
///
/// ```
/// assert_eq!(starttls::wire::code(b"234 go"), Some((234, &b" go"[..])));
/// ```
#[must_use]
pub fn code(line: &[u8]) -> Option<(u16, &[u8])> {
    let (digits, rest) = line.split_at_checked(3)?;
    digits.iter().all(u8::is_ascii_digit).then(|| {
        let code = digits
            .iter()
            .fold(0_u16, |code, digit| code.wrapping_mul(10).wrapping_add(u16::from(digit & 0xf)));
        (code, rest)
    })
}

/// Whether a verb is an HTTP method. A browser may be misdirected to this port (ALPACA).
#[must_use]
pub fn is_http(verb: &[u8]) -> bool {
    const METHODS: [&[u8]; 10] = [
        b"GET", b"POST", b"PUT", b"CONNECT", b"OPTIONS", b"HEAD", b"DELETE", b"PATCH", b"TRACE",
        b"PRI",
    ];
    METHODS.iter().any(|method| method.eq_ignore_ascii_case(verb))
}

/// Whether a line is an HTTP request. For protocols that share verbs with HTTP.
#[must_use]
pub fn is_http_request(verb: &[u8], argument: &[u8]) -> bool {
    is_http(verb) && argument.windows(5).any(|part| part == b"HTTP/")
}

/// [`eq_ignore_ascii_case`](slice::eq_ignore_ascii_case) for constants; that is `const` only since Rust
/// 1.89.
#[cfg(feature = "smtp")]
pub(crate) const fn same(a: &[u8], b: &[u8]) -> bool {
    let (mut a, mut b) = (a, b);
    loop {
        match (a, b) {
            ([], []) => return true,
            ([one, others @ ..], [another, rest @ ..]) if one.eq_ignore_ascii_case(another) => {
                (a, b) = (others, rest);
            }
            _ => return false,
        }
    }
}

/// A copy of at most `N` bytes of the peer's, for example a command's tag for its reply.
///
/// ```
/// let mut tag = starttls::wire::Kept::<4>::default();
/// tag.set(b"a1");
/// assert_eq!(tag.as_bytes(), b"a1");
/// ```
#[derive(Clone, Default)]
pub struct Kept<const N: usize>(heapless::Vec<u8, N>);

conceal!("Kept", Kept<N> [const N: usize], |kept| kept.0.len());

impl<const N: usize> Kept<N> {
    /// Replaces the copy by `octets`, or as many of them as fit.
    pub fn set(&mut self, octets: &[u8]) {
        self.0.clear();
        for octet in octets {
            if self.0.push(*octet).is_err() {
                break;
            }
        }
    }

    /// The copied bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        assert_eq!(split_word(b"a  b c"), (&b"a"[..], &b"b c"[..]));
        assert_eq!(split_word(b""), (&b""[..], &b""[..]));
        assert_eq!(split_word(b" a"), (&b""[..], &b"a"[..]));
        assert!(has_word(b"A startTLS B", b"STARTTLS"));
        assert!(has_word(b" A  starttls", b"STARTTLS"));
        assert!(!has_word(b"STARTTLSX XSTARTTLS START TLS", b"STARTTLS"));
        assert_eq!(code(b"234 go"), Some((234, &b" go"[..])));
        assert_eq!(code(b"999"), Some((999, &b""[..])));
        assert_eq!(code(b"12"), None);
        assert_eq!(code(b"1a2 "), None);
        assert!(is_http(b"Get") && !is_http(b"GETS"));
    }

    #[test]
    fn a_copy_is_truncated_to_its_room() {
        let mut kept = Kept::<3>::default();
        for (octets, expected) in [(&b"abcd"[..], &b"abc"[..]), (b"x", b"x"), (b"", b"")] {
            kept.set(octets);
            assert_eq!(kept.as_bytes(), expected);
        }
    }
}
