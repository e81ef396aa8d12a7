/// The field by which a sender says that he can do without TLS (RFC 8689 §3).
const NAME: &[u8] = b"TLS-Required";

/// Whether the head of a message says that it may go without TLS, for
/// [`Options::tls_optional`](super::Options::tls_optional).
///
/// ```abnf
/// requiretls-field = "TLS-Required:" [FWS] "No" CRLF
/// ```
///
/// Lines may end in LF alone. The head ends at an empty line, or at one that is no field: what is behind
/// it counts as little as a field with another value, and a field that is there twice (RFC 8689 §3), as
/// without them nothing is taken from what protects the mail.
///
/// ```
/// use starttls::mx::tls_optional;
///
/// assert!(tls_optional(b"Subject: your certificate\r\nTLS-Required: No\r\n\r\nhas expired\r\n"));
/// assert!(!tls_optional(b"Subject: your certificate\r\n\r\nTLS-Required: No\r\n"));
/// ```
#[must_use]
pub fn tls_optional(message: &[u8]) -> bool {
    let mut said = None;
    let mut rest = message;
    while let Some((name, value, behind)) = field(rest) {
        if name.eq_ignore_ascii_case(NAME) {
            if said.is_some() {
                return false;
            }
            said = Some(value.trim_ascii().eq_ignore_ascii_case(b"No"));
        }
        rest = behind;
    }
    said == Some(true)
}

/// The name and the value of the first field, and what is behind it (RFC 5322 §2.2, blanks in front of the
/// colon as in §4.5).
fn field(head: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let is_end = |octets: &[u8]| matches!(octets, [b'\n', next] if !matches!(next, b' ' | b'\t'));
    let line_end = head.windows(2).position(is_end).unwrap_or(head.len());
    let (field, behind) = head.split_at_checked(line_end).unwrap_or((head, &[]));
    let colon = field.iter().position(|octet| *octet == b':')?;
    let (name, value) = field.split_at_checked(colon)?;
    let (value, behind) =
        (value.strip_prefix(b":")?, behind.strip_prefix(b"\n").unwrap_or_default());
    let name_end = name.iter().position(|octet| matches!(octet, b' ' | b'\t')).unwrap_or(colon);
    let (name, blanks) = name.split_at_checked(name_end)?;
    let is_name = !name.is_empty() && name.iter().all(u8::is_ascii_graphic);
    (is_name && blanks.trim_ascii().is_empty()).then_some((name, value, behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_that_may_go_without() {
        let rows: [(&str, bool); 34] = [
            ("TLS-Required: No\r\n\r\n", true),
            ("TLS-Required:No\r\n", true),
            ("TLS-Required: No", true),
            ("TLS-Required: No\n\nx", true),
            ("tls-REQUIRED: nO\r\n", true),
            ("From: a@example.org\r\nTLS-Required: No\r\nTo: b@example.org\r\n\r\n", true),
            ("TLS-Required:\r\n No\r\n\r\n", true),
            ("TLS-Required:\r\n\t \tNo \r\n\r\n", true),
            ("TLS-Required \t: No\r\n\r\n", true),
            ("Subject: a\r\n b: c\r\nTLS-Required: No\r\n", true),
            ("TLS-Required: No\r\n\r\nTLS-Required: No\r\n", true),
            ("", false),
            ("\r\n", false),
            ("\r\nTLS-Required: No\r\n", false),
            ("\nTLS-Required: No\n", false),
            ("Subject: a\r\n\r\nTLS-Required: No\r\n", false),
            ("Subject: a\r\n\r\n b: c\r\nTLS-Required: No\r\n", false),
            ("no field\r\nTLS-Required: No\r\n", false),
            (" TLS-Required: No\r\n", false),
            ("Subject: a\r\n TLS-Required: No\r\n", false),
            ("TLS-Required: No\r\nTLS-Required: No\r\n", false),
            ("TLS-Required: No\r\ntls-required: Yes\r\n", false),
            ("TLS-Required: Yes\r\nTLS-Required: No\r\n", false),
            ("TLS-Required: Yes\r\n", false),
            ("TLS-Required:\r\n", false),
            ("TLS-Required\r\n", false),
            ("TLS-Required: No (really)\r\n", false),
            ("TLS-Required: No\r\n Yes\r\n", false),
            ("TLS-Required: N\r\n o\r\n", false),
            ("TLS-Required: \"No\"\r\n", false),
            ("TLS-Required: No\rX: y\r\n", false),
            ("TLS-Required: No\0\r\n", false),
            ("X-TLS-Required: No\r\n", false),
            ("TLS Required: No\r\n", false),
        ];
        for (message, expected) in rows {
            assert_eq!(tls_optional(message.as_bytes()), expected, "{message:?}");
        }
    }
}
