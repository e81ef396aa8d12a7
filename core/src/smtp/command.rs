//! Commands, as a server reads them.

use crate::wire::{is_http, is_name, split_word};

/// A command's verb (RFC 5321 §4.1.1, RFC 3207, RFC 4954, RFC 3030, RFC 2033).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Auth,
    Bdat,
    Data,
    Ehlo,
    Expn,
    Helo,
    Help,
    Lhlo,
    Mail,
    Noop,
    Quit,
    Rcpt,
    Rset,
    StartTls,
    Vrfy,
    /// An HTTP method: a browser was misdirected to a mail port (ALPACA).
    Foreign,
    Unknown,
}

/// Splits a line into its verb, in any case, and its argument without surrounding blanks. RFC 5321 §4.1.1
/// asks servers to tolerate trailing white space.
pub(crate) fn split(line: &[u8]) -> (Verb, &[u8]) {
    let (word, argument) = split_word(line.trim_ascii_end());
    (verb(word), argument)
}

/// The verb that a word is, in any case.
fn verb(word: &[u8]) -> Verb {
    match word {
        [a, b, c, d] => match &[*a, *b, *c, *d].map(|letter| letter.to_ascii_uppercase()) {
            b"AUTH" => Verb::Auth,
            b"BDAT" => Verb::Bdat,
            b"DATA" => Verb::Data,
            b"EHLO" => Verb::Ehlo,
            b"EXPN" => Verb::Expn,
            b"HELO" => Verb::Helo,
            b"HELP" => Verb::Help,
            b"LHLO" => Verb::Lhlo,
            b"MAIL" => Verb::Mail,
            b"NOOP" => Verb::Noop,
            b"QUIT" => Verb::Quit,
            b"RCPT" => Verb::Rcpt,
            b"RSET" => Verb::Rset,
            b"VRFY" => Verb::Vrfy,
            _ if is_http(word) => Verb::Foreign,
            _ => Verb::Unknown,
        },
        _ if is_name(word, b"STARTTLS") => Verb::StartTls,
        _ if is_http(word) => Verb::Foreign,
        _ => Verb::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_match_in_any_case_and_arguments_are_trimmed() {
        for (line, expected) in [
            (&b"starttls"[..], (Verb::StartTls, &b""[..])),
            (b"STARTTLS\t", (Verb::StartTls, b"")),
            (b"AUTH\tPLAIN x", (Verb::Unknown, b"x")),
            (b"STARTTLS ", (Verb::StartTls, b"")),
            (b"StartTLS now", (Verb::StartTls, b"now")),
            (b"EHLO  a ", (Verb::Ehlo, b"a")),
            (b"STARTTLSX", (Verb::Unknown, b"")),
            (b"", (Verb::Unknown, b"")),
            (b" EHLO", (Verb::Unknown, b"EHLO")),
        ] {
            assert_eq!(split(line), expected, "{line:?}");
        }
    }
}
