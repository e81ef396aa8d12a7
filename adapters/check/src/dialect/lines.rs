//! Lines, codes and words, as most protocols have them.

use super::Answer;

/// The length of the first line, which ends with LF.
pub(super) fn line_len(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| *byte == b'\n').map(|at| at + 1)
}

/// The lines of a text, with their ends.
pub(super) fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split_inclusive(|byte| *byte == b'\n')
}

/// The length of a reply: one line, or lines up to one with a code and no hyphen, if the first has a hyphen
/// (RFC 5321 section 4.2, RFC 959 section 4.2). Lines without a code belong to such a reply: some servers send them.
pub(super) fn coded_len(bytes: &[u8]) -> Option<usize> {
    let goes_on = |line: &[u8]| code(line).is_some() && line.get(3) == Some(&b'-');
    let mut length = line_len(bytes)?;
    if !goes_on(&bytes[..length]) {
        return Some(length);
    }
    for line in lines(&bytes[length..]).filter(|line| line.ends_with(b"\n")) {
        length += line.len();
        if code(line).is_some() && !goes_on(line) {
            return Some(length);
        }
    }
    None
}

/// The code of a line: three digits and no further one.
pub(super) fn code(line: &[u8]) -> Option<u16> {
    let (digits, rest) = line.split_at_checked(3)?;
    if !digits.iter().all(u8::is_ascii_digit)
        || !matches!(rest, [] | [b' ' | b'-' | b'\r' | b'\n', ..])
    {
        return None;
    }
    Some(digits.iter().fold(0, |code, digit| code * 10 + u16::from(*digit - b'0')))
}

/// The code of the last line of a reply.
pub(super) fn last_code(reply: &[u8]) -> Option<u16> {
    lines(reply).last().and_then(code)
}

/// The meaning of a reply by the first digit of its code.
pub(super) fn by_code(reply: &[u8]) -> Answer {
    match last_code(reply).map(|code| code / 100) {
        Some(2) => Answer::Yes,
        Some(3) => Answer::More,
        Some(4) => Answer::Later,
        Some(5) => Answer::No,
        _ => Answer::Strange,
    }
}

/// The length up to and with a line that is a dot alone, or with the first line if `is_one_line` says so.
pub(super) fn dotted_len(bytes: &[u8], is_one_line: impl Fn(&[u8]) -> bool) -> Option<usize> {
    let first = line_len(bytes)?;
    if is_one_line(&bytes[..first]) {
        return Some(first);
    }
    let mut length = first;
    for line in lines(&bytes[first..]) {
        length += line.len();
        if line == b".\r\n" || line == b".\n" {
            return Some(length);
        }
    }
    None
}

/// The words of a line, in upper case, without its end.
pub(super) fn words(line: &[u8]) -> Vec<Vec<u8>> {
    let words = line.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty());
    words.map(<[u8]>::to_ascii_uppercase).collect()
}

/// Whether one of these verbs, in upper case, is the word at this place of a line.
pub(super) fn says(bytes: &[u8], place: usize, verbs: &[&str]) -> bool {
    lines(bytes).any(|line| {
        let words = words(line);
        words.get(place).is_some_and(|word| verbs.iter().any(|verb| word == verb.as_bytes()))
    })
}

/// Whether the bytes contain a word or a phrase, in any case.
pub(super) fn contains(bytes: &[u8], phrase: &str) -> bool {
    let phrase = phrase.as_bytes();
    bytes.windows(phrase.len()).any(|window| window.eq_ignore_ascii_case(phrase))
}

/// A login by challenge and response at a server of ours.
#[derive(Debug, Default)]
pub(super) struct Login {
    /// The number of responses that are missing.
    responses: u8,
    /// Whether the client chose a login that was offered only before TLS.
    pub(super) is_stale: bool,
}

impl Login {
    /// Begins a login that needs this number of responses.
    pub(super) const fn begin(&mut self, responses: u8) {
        self.responses = responses;
    }

    /// Takes a response of the client, and tells whether it was the last one. `None`: no login is in progress.
    pub(super) fn respond(&mut self) -> Option<bool> {
        self.responses = self.responses.checked_sub(1)?;
        Some(self.responses == 0)
    }
}
