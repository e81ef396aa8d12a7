/// The field by which a sender allows delivery without TLS (RFC 8689 §3).
const NAME: &[u8] = b"TLS-Required";

/// Whether a message's header allows delivery without TLS, for
/// [`Options::tls_optional`](super::Options::tls_optional).
///
/// ```abnf
/// requiretls-field = "TLS-Required:" [FWS] "No" CRLF
/// ```
///
/// Lines may end with LF alone. The header ends at an empty line, or at a line that is no field; later
/// lines do not count.
///
/// Any doubt makes the result false, which keeps the mail's protection. Such doubts are another value of
/// the field, a second such field (RFC 8689 §3), and a bare CR in the header, which other programs may read
/// differently.
///
/// ```
/// use starttls::mx::tls_optional;
///
/// assert!(tls_optional(b"Subject: your certificate\r\nTLS-Required: No\r\n\r\nhas expired\r\n"));
/// assert!(!tls_optional(b"Subject: your certificate\r\n\r\nTLS-Required: No\r\n"));
/// ```
#[must_use]
pub fn tls_optional(message: &[u8]) -> bool {
    let mut allowed = None;
    let mut rest = message;
    while !rest.is_empty() {
        let (line, after) = unfolded(rest);
        if line.windows(2).any(|pair| matches!(pair, [b'\r', next] if *next != b'\n')) {
            return false;
        }
        let Some((name, value)) = field(line) else { break };
        if name.eq_ignore_ascii_case(NAME) {
            if allowed.is_some() {
                return false;
            }
            allowed = Some(value.trim_ascii().eq_ignore_ascii_case(b"No"));
        }
        rest = after;
    }
    allowed == Some(true)
}

/// Splits off the first line with its continuation lines (RFC 5322 §2.2.3).
fn unfolded(head: &[u8]) -> (&[u8], &[u8]) {
    let is_end = |octets: &[u8]| matches!(octets, [b'\n', next] if !matches!(next, b' ' | b'\t'));
    let line_end = head.windows(2).position(is_end).unwrap_or(head.len());
    let (line, after) = head.split_at_checked(line_end).unwrap_or((head, &[]));
    (line, after.strip_prefix(b"\n").unwrap_or_default())
}

/// The name and the value of a field (RFC 5322 §2.2; blanks before the colon are allowed by §4.5).
fn field(field: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = field.iter().position(|octet| *octet == b':')?;
    let (name, value) = field.split_at_checked(colon)?;
    let value = value.strip_prefix(b":")?;
    let name_end = name.iter().position(|octet| matches!(octet, b' ' | b'\t')).unwrap_or(colon);
    let (name, blanks) = name.split_at_checked(name_end)?;
    let is_name = !name.is_empty() && name.iter().all(u8::is_ascii_graphic);
    (is_name && blanks.trim_ascii().is_empty()).then_some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_make_tls_optional() {
        let rows: [(&str, bool); 38] = [
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
            ("Subject: a\r\r\nTLS-Required: No\r\n", false),
            ("TLS-Required: No\r\nSubject: a\r\r\n\r\n", false),
            ("TLS-Required: No\r\n\r \r\nTLS-Required: Yes\r\n", false),
            ("TLS-Required: No\r\n\r\na\rb\r\n", true),
            ("TLS-Required: No\0\r\n", false),
            ("X-TLS-Required: No\r\n", false),
            ("TLS Required: No\r\n", false),
        ];
        for (message, expected) in rows {
            assert_eq!(tls_optional(message.as_bytes()), expected, "{message:?}");
        }
    }
}
