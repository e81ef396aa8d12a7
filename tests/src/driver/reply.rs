//! What counts of the bytes that a side sends.

use crate::accept::is_refusal;

/// The codes and words of a server's replies, without texts and listings; empty for protocols without lines.
pub(super) fn statuses(out: &[u8]) -> Vec<String> {
    let Ok(text) = std::str::from_utf8(out) else { return Vec::new() };
    if text.starts_with('<') {
        return elements(text);
    }
    text.lines().filter_map(status).collect()
}

/// The code or the word of a reply's last line.
fn status(line: &str) -> Option<String> {
    let mut words = line.split(' ');
    let first = words.next()?;
    if is_code(first) || matches!(first, "OK" | "NO" | "BYE" | "+OK" | "-ERR" | "ERR") {
        return Some(first.to_owned());
    }
    // `tag OK`, `* BYE`, `:prefix 670`.
    let second = words.next()?;
    let is_prefixed = first.starts_with(':') && is_code(second);
    (is_prefixed || matches!(second, "OK" | "NO" | "BAD" | "BYE" | "PREAUTH"))
        .then(|| second.to_owned())
}

fn is_code(word: &str) -> bool {
    word.len() == 3 && word.bytes().all(|byte| byte.is_ascii_digit())
}

/// The names of the elements that decide, in a stream of XML.
fn elements(text: &str) -> Vec<String> {
    let names = text.split('<').skip(1).filter_map(|tag| {
        let name = tag.split([' ', '>', '/']).find(|word| !word.is_empty())?;
        let local = name.rsplit(':').next()?;
        let decides = matches!(local, "proceed" | "failure" | "error" | "features");
        let ends = tag.starts_with('/') && local == "stream";
        (ends || decides && !tag.starts_with('/')).then(|| local.to_owned())
    });
    names.collect()
}

/// Whether a server's bytes say the same as the row's: the same statuses, or, without any, the same bytes.
pub(super) fn same_replies(expected: &[u8], actual: &[u8]) -> bool {
    let statuses = [expected, actual].map(statuses);
    if statuses.iter().all(Vec::is_empty) { expected == actual } else { statuses[0] == statuses[1] }
}

/// Whether a client's bytes are the row's command: the same bytes, whatever the case of its letters.
pub(super) fn same_commands(expected: &[u8], actual: &[u8]) -> bool {
    expected.eq_ignore_ascii_case(actual)
}

/// Whether a server refuses, and says nothing else than that and what is in `also`.
pub(super) fn only_refuses(out: &[u8], also: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(out) else { return false };
    let also = statuses(also);
    let refuses = |status: &String| {
        is_refusal(status) || matches!(&status[..], "failure" | "error" | "stream")
    };
    let said = statuses(out);
    (is_refusal(text) || said.iter().any(refuses))
        && said.iter().all(|one| refuses(one) || also.contains(one))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_listings_do_not_count() {
        for (out, expected) in [
            ("220-a\r\n220 b\r\n", &["220"][..]),
            ("250-mx\r\n250 STARTTLS\r\n220 go\r\n", &["250", "220"]),
            ("* OK [CAPABILITY IMAP4rev1] ready\r\n", &["OK"]),
            ("* CAPABILITY IMAP4rev1\r\na OK done\r\n", &["OK"]),
            ("+OK\r\nSTLS\r\n.\r\n", &["+OK"]),
            ("\"STARTTLS\"\r\nOK\r\n", &["OK"]),
            (":s 670 * :go\r\n", &["670"]),
            ("211-Features\r\n AUTH TLS\r\n211 End\r\n", &["211"]),
            ("<proceed xmlns='x'/>", &["proceed"]),
            ("<stream:error><a/></stream:error></stream:stream>", &["error", "stream"]),
            ("S", &[]),
        ] {
            assert_eq!(statuses(out.as_bytes()), expected, "{out}");
        }
        assert!(same_replies(b"220 a\r\n", b"220-x\r\n220 b\r\n"));
        assert!(!same_replies(b"220 a\r\n", b"") && !same_replies(b"S", b"N"));
        assert!(only_refuses(b"220 go\r\n554 no\r\n", b"220 go\r\n"));
        assert!(!only_refuses(b"250 ok\r\n554 no\r\n", b"220 go\r\n") && !only_refuses(b"", b""));
    }
}
