//! Commands as a server reads them.

/// A command's verb (RFC 5321 §4.1.1, RFC 3207, RFC 4954, RFC 3030, RFC 2033).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
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
    /// A request line of HTTP: a browser was misled to a mail port.
    Foreign,
    Unknown,
}

const VERBS: [(&[u8], Verb); 25] = [
    (b"AUTH", Verb::Auth),
    (b"BDAT", Verb::Bdat),
    (b"DATA", Verb::Data),
    (b"EHLO", Verb::Ehlo),
    (b"EXPN", Verb::Expn),
    (b"HELO", Verb::Helo),
    (b"HELP", Verb::Help),
    (b"LHLO", Verb::Lhlo),
    (b"MAIL", Verb::Mail),
    (b"NOOP", Verb::Noop),
    (b"QUIT", Verb::Quit),
    (b"RCPT", Verb::Rcpt),
    (b"RSET", Verb::Rset),
    (b"STARTTLS", Verb::StartTls),
    (b"VRFY", Verb::Vrfy),
    (b"GET", Verb::Foreign),
    (b"POST", Verb::Foreign),
    (b"PUT", Verb::Foreign),
    (b"CONNECT", Verb::Foreign),
    (b"OPTIONS", Verb::Foreign),
    (b"HEAD", Verb::Foreign),
    (b"DELETE", Verb::Foreign),
    (b"PATCH", Verb::Foreign),
    (b"TRACE", Verb::Foreign),
    (b"PRI", Verb::Foreign),
];

/// Splits a line into its verb, in any case, and its argument without blanks around it
/// (RFC 5321 §4.1.1: trailing white space should be tolerated).
pub(super) fn split(line: &[u8]) -> (Verb, &[u8]) {
    let word = super::reply::keyword(line);
    let verb = VERBS
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(word))
        .map_or(Verb::Unknown, |(_, verb)| *verb);
    let argument = line.get(word.len()..).unwrap_or_default();
    (verb, argument.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_have_no_case_and_arguments_no_margins() {
        for (line, expected) in [
            (&b"starttls"[..], (Verb::StartTls, &b""[..])),
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
