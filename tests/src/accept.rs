//! What the tested side may do instead of what its row shows; `vectors/README.md` has the words and what they mean.

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

/// A legal alternative. None of them is TLS where the row has none, or the use of a byte from before TLS inside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Alternative {
    /// Server: it refuses by a reply of its own, and closes or not.
    Refusal,
    /// It closes the connection.
    Close,
    /// It stays silent, up to a time limit of its own.
    Wait,
    /// TLS starts, and the bytes received before it have no effect inside.
    Discard,
    /// Client: it says goodbye before it closes.
    Quit,
    /// Client: it requests TLS all the same, although it is not offered.
    Request,
    /// Client with an opportunistic policy: it goes on without TLS.
    Plaintext,
}

impl Alternative {
    /// All words.
    pub const ALL: [Self; 7] = [
        Self::Refusal,
        Self::Close,
        Self::Wait,
        Self::Discard,
        Self::Quit,
        Self::Request,
        Self::Plaintext,
    ];

    /// The word in tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refusal => "refusal",
            Self::Close => "close",
            Self::Wait => "wait",
            Self::Discard => "discard",
            Self::Quit => "quit",
            Self::Request => "request",
            Self::Plaintext => "plaintext",
        }
    }
}

/// The alternatives of an expanded row that states none.
pub(crate) fn of(row: &Table) -> Vec<Alternative> {
    let text = |table: &Table, key| table.get(key).and_then(Value::as_str).map(str::to_owned);
    let last = match row.get("mail").and_then(Value::as_table) {
        Some(mail) => mail,
        None => row,
    };
    let error = text(last, "error").unwrap_or_default();
    let error = error.split('(').next().unwrap_or_default();
    let end = text(last, "end").unwrap_or_default();
    let opportunistic = text(row, "policy").as_deref() == Some("opportunistic");
    let mut words = if text(row, "role").as_deref() == Some("server") {
        server(row, last, &end, error)
    } else {
        client(&end, error, opportunistic)
    };
    words.sort_unstable();
    words
}

fn server(row: &Table, last: &Table, end: &str, error: &str) -> Vec<Alternative> {
    use Alternative::{Close, Discard, Refusal, Wait};
    match error {
        "PlaintextAfterGoAhead" => vec![Refusal, Close, Discard],
        // The client has left, or says nothing.
        "Closed" => vec![Refusal, Close],
        "TimedOut" => vec![Refusal, Close, Wait],
        "" if row.contains_key("early") => vec![Refusal, Close, Discard],
        "" if end == "quit" => vec![Close],
        "" if refuses(row) || refuses(last) => vec![Refusal, Close],
        "" => Vec::new(),
        // A violation of the protocol: the rest of a line may be missing, too.
        _ => vec![Refusal, Close, Wait],
    }
}

fn client(end: &str, error: &str, opportunistic: bool) -> Vec<Alternative> {
    use Alternative::{Close, Discard, Plaintext, Quit, Request, Wait};
    let mut words = match (error, end) {
        ("PlaintextAfterGoAhead", _) => return vec![Close, Discard],
        ("", "plaintext") => return vec![Close, Quit],
        // The server may close at any time, and a client may give up.
        ("", "waiting") => return vec![Close, Quit],
        ("", _) => return Vec::new(),
        ("Closed" | "Unverified", _) => vec![Close, Quit],
        ("NotOffered", _) => vec![Close, Quit, Wait, Request],
        _ => vec![Close, Quit, Wait],
    };
    if opportunistic && error != "Unverified" {
        words.push(Plaintext);
    }
    words
}

/// Whether a dialogue has a turn in which the server refuses by a line of text.
fn refuses(dialogue: &Table) -> bool {
    let turns = dialogue.get("turns").and_then(Value::as_array);
    let says = |turn: &Value| turn.get("out").and_then(Value::as_str).is_some_and(is_refusal);
    turns.is_some_and(|turns| turns.iter().any(says))
}

/// Whether one of these lines is a reply that refuses: a code 4yz, 5yz or 691, or `NO`, `BAD`, `BYE`, `-ERR` or `ERR`,
/// after a tag, `*` or a prefix, if any.
#[must_use]
pub fn is_refusal(lines: &str) -> bool {
    let refuses = |status: String| {
        matches!(&status[..], "NO" | "BAD" | "BYE" | "-ERR" | "ERR" | "691")
            || is_code(&status) && status.starts_with(['4', '5'])
    };
    lines.lines().filter_map(status).any(refuses)
}

/// The code or the word of a reply's last line.
pub(crate) fn status(line: &str) -> Option<String> {
    let mut words = line.split(' ');
    let first = words.next()?;
    if is_code(first) || matches!(first, "OK" | "NO" | "BYE" | "+OK" | "-ERR" | "ERR") {
        return Some(first.to_owned());
    }
    // All lines of a reply but the last; what follows is text.
    if first.get(..3).is_some_and(is_code) && first[3..].starts_with('-') {
        return None;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_that_refuse() {
        for (lines, refuses) in [
            ("220 mx\r\n", false),
            ("250-mx\r\n250 SIZE 500\r\n", false),
            ("220 400\r\n", false),
            ("454 4.7.0 not now\r\n", true),
            ("250 ok\r\n503-a\r\n503 b\r\n", true),
            ("+OK 500\r\n", false),
            ("-ERR\r\n", true),
            ("b OK\r\n", false),
            ("b NO [UNAVAILABLE] not now\r\n", true),
            ("* BYE\r\n", true),
            (":s.example.org 691 * :no\r\n", true),
            (":s.example.org 670 * :go\r\n", false),
            ("OK STARTTLS\n", false),
            ("ERR INVALID-ARGUMENT\n", true),
            ("NO (TRYLATER) \"later\"\r\n", true),
            ("5000\r\n", false),
            ("", false),
        ] {
            assert_eq!(is_refusal(lines), refuses, "{lines}");
        }
    }
}
