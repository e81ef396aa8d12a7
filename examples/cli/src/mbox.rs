//! The mails of an mbox file, one after the other (RFC 4155).

use std::io::{self, BufRead};

use crate::header::content;

/// Reads mails from an mbox with reversible quoting (mboxrd): `>From ` and `>>From ` at the start of a line lose one
/// `>`. `Content-Length` is ignored, because a wrong one would cut a mail.
#[derive(Debug)]
pub(crate) struct Mbox<R> {
    reader: R,
    /// The last line read; if not empty, it is a separator.
    line: Vec<u8>,
    /// Whether the line before it was empty or missing.
    after_empty: bool,
}

impl<R: BufRead> Mbox<R> {
    pub(crate) const fn new(reader: R) -> Self {
        Self { reader, line: Vec::new(), after_empty: true }
    }

    /// The lines up to the next separator; `None` at the end of the file.
    fn mail(&mut self) -> io::Result<Option<Vec<u8>>> {
        let (mut mail, mut begun) = (Vec::new(), !self.line.is_empty());
        // The empty lines so far, and the position of the last one if it is the last line.
        let (mut empty, mut last) = (0, None);
        loop {
            self.line.clear();
            if self.reader.read_until(b'\n', &mut self.line)? == 0 {
                break;
            }
            if self.after_empty && is_separator(&self.line) {
                self.after_empty = false;
                if begun {
                    break;
                }
                begun = true;
                continue;
            }
            begun = true;
            self.after_empty = content(&self.line).is_empty();
            last = self.after_empty.then_some(mail.len());
            empty += usize::from(self.after_empty);
            let quoted = self.line.iter().take_while(|octet| **octet == b'>').count();
            let unquoted = quoted > 0 && self.line[quoted..].starts_with(b"From ");
            mail.extend_from_slice(&self.line[usize::from(unquoted)..]);
        }
        // The empty line before a separator, and at the end, belongs to the mailbox; the first one ends the header.
        if let Some(last) = last.filter(|_| empty > 1) {
            mail.truncate(last);
        }
        Ok(begun.then_some(mail))
    }
}

impl<R: BufRead> Iterator for Mbox<R> {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.mail().transpose()
    }
}

/// Whether a line is `From ADDRESS TIMESTAMP`, with a time as `asctime` prints it, such as `Thu Jan  1 00:00:00 1970`.
/// Programs omit the seconds, add a zone, and write a name without a domain, or `-`, for an unknown address. A header
/// field may have the name `From` and a space (RFC 5322 §4.5).
pub(crate) fn is_separator(line: &[u8]) -> bool {
    let Some(rest) = line.strip_prefix(b"From ") else { return false };
    let Ok(rest) = std::str::from_utf8(content(rest)) else { return false };
    // A space in a quoted local part belongs to the address.
    let time = match rest.strip_prefix('"').and_then(|quoted| quoted.rsplit_once("\"@")) {
        Some((_, domain)) => domain,
        None => rest,
    };
    let Some((_, time)) = time.trim_start().split_once(' ') else { return false };
    let words: Vec<_> = time.split_ascii_whitespace().collect();
    let [day, month, date, clock, rest @ ..] = &words[..] else { return false };
    let is_year = |word: &str| word.len() == 4 && word.bytes().all(|octet| octet.is_ascii_digit());
    let (years, zones): (Vec<&str>, Vec<&str>) = rest.iter().partition(|word| is_year(word));
    ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].contains(day)
        && MONTHS.contains(month)
        && is_number(date, 1..=31)
        && is_clock(clock)
        && years.len() == 1
        && zones.len() <= 2
        && zones.iter().all(|zone| is_zone(zone))
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

fn is_number(word: &str, range: std::ops::RangeInclusive<u8>) -> bool {
    matches!(word.len(), 1..=2)
        && word.bytes().all(|octet| octet.is_ascii_digit())
        && word.parse().is_ok_and(|number| range.contains(&number))
}

/// `hh:mm:ss` or `hh:mm`.
fn is_clock(word: &str) -> bool {
    let parts: Vec<_> = word.split(':').collect();
    let [hour, rest @ ..] = &parts[..] else { return false };
    matches!(rest.len(), 1..=2)
        && is_number(hour, 0..=23)
        && rest.iter().all(|part| is_number(part, 0..=60))
}

/// `+0100`, or a name such as `UTC` or `CEST`.
fn is_zone(word: &str) -> bool {
    match word.strip_prefix(['+', '-']) {
        Some(digits) => digits.len() == 4 && digits.bytes().all(|octet| octet.is_ascii_digit()),
        None => word.len() <= 5 && word.bytes().all(|octet| octet.is_ascii_uppercase()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROM: &str = "From a@b Thu Jan  1 00:00:00 1970\n";

    #[test]
    fn separators() {
        for line in [
            "From a@b Thu Jan  1 00:00:00 1970",
            "From a@b Thu Jan  1 00:00:00 1970\r\n",
            "From MAILER-DAEMON Fri Jul  8 12:08 2011\n",
            "From - Sat Nov 21 23:59:60 2026\r\r\n",
            "From \"a b\"@c.example Thu Jan  1 00:00:00 1970 +0000",
            "From a@b  Thu Jan 01 00:00:00 PST 1970",
        ] {
            assert!(is_separator(line.as_bytes()), "{line:?}");
        }
        for line in [
            "From here on it gets worse",
            "From : A <a@example.org>",
            "From ",
            "From a@b",
            ">From a@b Thu Jan  1 00:00:00 1970",
            " From a@b Thu Jan  1 00:00:00 1970",
            "From a@b Thu Jan 32 00:00:00 1970",
            "From a@b Thu Jan  1 24:00:00 1970",
            "From a@b Thu Jan  1 00:00:00",
            "From a@b Thu Jan  1 00:00:00 1970 it was cold in Paris",
            "From Monday on Thu Jan  1 00:00:00 1970",
            "From a@b Don Jan  1 00:00:00 1970",
            "from a@b Thu Jan  1 00:00:00 1970",
        ] {
            assert!(!is_separator(line.as_bytes()), "{line:?}");
        }
    }

    #[test]
    fn mails_are_neither_cut_nor_joined() {
        for (text, expected) in [
            (String::new(), &[][..]),
            (FROM.to_owned(), &[""]),
            (format!("{FROM}{FROM}"), &[FROM]),
            (
                format!(
                    "{FROM}A: 1\n\n>From here\n>>From there\n\n{FROM}A: 2\n\n\n{FROM}A: 3\n\nend"
                ),
                &["A: 1\n\nFrom here\n>From there\n", "A: 2\n\n", "A: 3\n\nend"],
            ),
            (
                format!("{FROM}A: 1\n\nb\n\nFrom here on it gets worse\n\nFrom now on\n{FROM}\n"),
                &[&format!("A: 1\n\nb\n\nFrom here on it gets worse\n\nFrom now on\n{FROM}")],
            ),
            (
                format!("{FROM}Content-Length: 3\n\nlong\ntext\n\n{FROM}A: 2\n\n"),
                &["Content-Length: 3\n\nlong\ntext\n", "A: 2\n\n"],
            ),
            (
                format!("{FROM}A: 1\r\r\n\r\r\nb\r\r\n\r\r\n{FROM}"),
                &["A: 1\r\r\n\r\r\nb\r\r\n", ""],
            ),
            (format!("no separator\n\n{FROM}A: 2\n"), &["no separator\n\n", "A: 2\n"]),
        ] {
            let mails: Vec<_> = Mbox::new(text.as_bytes())
                .map(|mail| String::from_utf8(mail.expect("readable")).expect("UTF-8"))
                .collect();
            assert_eq!(mails, expected, "{text:?}");
        }
    }
}
