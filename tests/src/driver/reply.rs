//! What counts of the bytes that a side sends.

use crate::accept::{is_refusal, status};

/// The codes and words of a server's replies, without texts and listings; empty for protocols without lines.
pub(super) fn statuses(out: &[u8]) -> Vec<String> {
    // A reply may repeat what it refuses.
    let text = String::from_utf8_lossy(out);
    if text.starts_with('<') {
        return elements(&text);
    }
    text.lines().filter_map(status).collect()
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
    let text = String::from_utf8_lossy(out);
    let also = statuses(also);
    let refuses = |status: &String| {
        is_refusal(status) || matches!(&status[..], "failure" | "error" | "stream")
    };
    let said = statuses(out);
    (is_refusal(&text) || said.iter().any(refuses))
        && said.iter().all(|one| refuses(one) || also.contains(one))
}

/// Whether a client says goodbye, and nothing else.
pub(super) fn is_goodbye(out: &[u8]) -> bool {
    let text = String::from_utf8_lossy(out).to_ascii_uppercase();
    let words: Vec<&str> = text.split_whitespace().collect();
    let says = match words[..] {
        ["QUIT", ..] => true,
        // Perhaps with a tag.
        ["LOGOUT"] | [_, "LOGOUT"] | ["</STREAM:STREAM>"] => true,
        _ => false,
    };
    let one_line = text.trim_end().lines().count() == 1;
    says && one_line
        || matches!(out, [b'X', 0, 0, 0, 4] | [1, 0, 0, _, 1] | [0x30, 5, 2, 1, _, 0x42, 0])
        || out == b"IHAVEOPT\0\0\0\x02\0\0\0\0"
}

/// What logs in, or uses the service, in protocols of lines.
const USES: [&str; 22] = [
    "AUTH",
    "AUTHENTICATE",
    "AUTHINFO",
    "LOGIN",
    "USER",
    "PASS",
    "ACCT",
    "APOP",
    "USERNAME",
    "PASSWORD",
    "MAIL",
    "RCPT",
    "DATA",
    "SELECT",
    "POST",
    "GROUP",
    "RETR",
    "STOR",
    "LIST",
    "JOIN",
    "PRIVMSG",
    "NICK",
];

/// The same in streams of XML.
const ELEMENTS: [&str; 4] = ["<AUTH", "<MESSAGE", "<IQ", "<PRESENCE"];

/// What asks for what the server offers.
const QUESTIONS: [&str; 8] =
    ["EHLO", "LHLO", "CAPA", "CAPABILITY", "CAPABILITIES", "FEAT", "CAP", "NOOP"];

/// Whether a client asks what the server offers, in one line, and nothing else.
pub(super) fn asks(out: &[u8]) -> bool {
    let text = String::from_utf8_lossy(out).to_ascii_uppercase();
    let mut words = text.split_whitespace().take(2);
    text.ends_with('\n') && text.lines().count() == 1 && words.any(|word| QUESTIONS.contains(&word))
}

/// Whether a client does more than to ask what the server offers: it logs in, or uses the service.
pub(super) fn uses(out: &[u8]) -> bool {
    // The first message of a session with a database, and the bind of a directory.
    if matches!(out, [0, 0, _, _, 0, 3, 0, 0, ..] | [0x30, _, 2, 1, _, 0x60, ..]) {
        return true;
    }
    let text = String::from_utf8_lossy(out).to_ascii_uppercase();
    let has = |element: &str| {
        let mut found = text.match_indices(element);
        found.any(|(at, _)| text[at + element.len()..].starts_with([' ', '>', '/']))
    };
    if ELEMENTS.into_iter().any(has) {
        return true;
    }
    text.lines().any(|line| {
        let mut words = line.split(' ');
        let first = words.next().unwrap_or_default();
        let second = words.next().unwrap_or_default();
        // A request for TLS by its name.
        let asks = first == "AUTH" && matches!(second, "TLS" | "TLS-C" | "SSL");
        // After a tag.
        let tagged = matches!(second, "LOGIN" | "AUTHENTICATE" | "SELECT");
        !asks && (USES.contains(&first) || tagged)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_listings_do_not_count() {
        for (out, expected) in [
            ("220-a\r\n220 b\r\n", &["220"][..]),
            ("220-a NO mail\r\n220 b\r\n", &["220"]),
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
        assert!(same_replies(b"500 no\r\n", b"500 \xff is unknown\r\n"));
        assert!(same_replies(b"220 a\r\n", b"220-x\r\n220 b\r\n"));
        assert!(!same_replies(b"220 a\r\n", b"") && !same_replies(b"S", b"N"));
        assert!(only_refuses(b"220 go\r\n554 no\r\n", b"220 go\r\n"));
        assert!(!only_refuses(b"250 ok\r\n554 no\r\n", b"220 go\r\n") && !only_refuses(b"", b""));
    }

    #[test]
    fn a_login_is_no_goodbye() {
        for out in [&b"QUIT\r\n"[..], b"a2 LOGOUT\r\n", b"</stream:stream>", b"X\0\0\0\x04"] {
            assert!(is_goodbye(out) && !uses(out), "{}", out.escape_ascii());
        }
        for out in [
            &b"AUTH PLAIN AHUAcA==\r\n"[..],
            b"a1 LOGIN u p\r\n",
            b"USER u\r\n",
            b"MAIL FROM:<a@b.test>\r\n",
            b"<?xml version='1.0'?><stream:stream to='a'><auth xmlns='x'>AHUAcA==</auth>",
            b"<iq><query/></iq>",
            b"\0\0\0\x10\0\x03\0\0user\0u\0\0",
        ] {
            assert!(uses(out) && !is_goodbye(out), "{}", out.escape_ascii());
        }
        for out in [&b"AUTH TLS\r\n"[..], b"EHLO user\r\n", b"a1 STARTTLS\r\n", b"CAPA\r\n"] {
            assert!(!uses(out) && !is_goodbye(out), "{}", out.escape_ascii());
        }
        assert!(asks(b"a1 CAPABILITY\r\n") && asks(b"EHLO user\r\n"));
        assert!(!asks(b"POST\r\n") && !asks(b"CAPA\r\nUSER u\r\n") && !asks(b"\x03\0"));
    }
}
