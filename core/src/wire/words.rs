//! Words of a line, for the protocols that are made of them.

/// The first word of a line, and what stands after it without the blanks in between.
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

/// The first word of a line: all that stands before the first blank, which may be nothing.
#[must_use]
pub fn word(line: &[u8]) -> &[u8] {
    line.split(|octet| *octet == b' ').next().unwrap_or_default()
}

/// What the table says of a word, in any case; the first entry counts.
#[must_use]
pub fn look_up<T: Copy>(table: &[(&[u8], T)], word: &[u8]) -> Option<T> {
    table.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, meaning)| *meaning)
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

/// The three digits in front of a line, and what stands after them; `None` where the line has fewer.
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

/// Whether the first word of a line is a request of HTTP: a browser was misled to this port (ALPACA).
#[must_use]
pub fn is_http(verb: &[u8]) -> bool {
    const METHODS: [&[u8]; 10] = [
        b"GET", b"POST", b"PUT", b"CONNECT", b"OPTIONS", b"HEAD", b"DELETE", b"PATCH", b"TRACE",
        b"PRI",
    ];
    METHODS.iter().any(|method| method.eq_ignore_ascii_case(verb))
}

/// Whether a line is a request of HTTP, where the protocol itself has verbs like HTTP's.
#[must_use]
pub fn is_http_request(verb: &[u8], argument: &[u8]) -> bool {
    is_http(verb) && argument.windows(5).any(|part| part == b"HTTP/")
}

/// [`eq_ignore_ascii_case`](slice::eq_ignore_ascii_case), for constants: that one is `const` since Rust 1.89.
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

/// A copy of something that the peer said, of at most `N` octets: the tag of a command, for its reply.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Kept<const N: usize>(heapless::Vec<u8, N>);

impl<const N: usize> Kept<N> {
    /// Keeps as much of `octets` as there is room for, instead of what was kept.
    pub fn set(&mut self, octets: &[u8]) {
        self.0.clear();
        for octet in octets {
            if self.0.push(*octet).is_err() {
                break;
            }
        }
    }

    /// What is kept.
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
    fn no_more_is_kept_than_fits() {
        let mut kept = Kept::<3>::default();
        for (octets, expected) in [(&b"abcd"[..], &b"abc"[..]), (b"x", b"x"), (b"", b"")] {
            kept.set(octets);
            assert_eq!(kept.as_bytes(), expected);
        }
    }
}
