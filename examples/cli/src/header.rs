//! The header of an existing message: the positions of its fields (RFC 5322 §2.2 and §4.5).

use std::ops::Range;

/// A field of a header.
#[derive(Debug)]
pub(crate) struct Field<'m> {
    name: &'m [u8],
    /// Its range of bytes in the message, with line ends.
    pub(crate) range: Range<usize>,
    body: &'m [u8],
}

impl Field<'_> {
    /// The field's name, case-insensitive.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// The unfolded text: of a fold only the white space stays (RFC 5322 §2.2.3).
    pub(crate) fn unfolded(&self) -> String {
        let lines = self.body.split_inclusive(|octet| *octet == b'\n').map(content);
        String::from_utf8_lossy(&lines.collect::<Vec<_>>().concat()).into_owned()
    }
}

/// The fields of a message's header, which ends at the first empty line.
///
/// A line without a colon is not a field, but later lines may be. Parsers disagree on whether such a line ends the
/// header, and no other parser may find a `Bcc` that we missed.
pub(crate) fn fields(message: &[u8]) -> Vec<Field<'_>> {
    let mut fields: Vec<Field<'_>> = Vec::new();
    let (mut start, mut folds) = (0, false);
    for line in message.split_inclusive(|octet| *octet == b'\n') {
        let end = start + line.len();
        if content(line).is_empty() {
            break;
        }
        match fields.last_mut() {
            _ if !line.starts_with(b" ") && !line.starts_with(b"\t") => {
                let colon = line.iter().position(|octet| *octet == b':');
                // White space before the colon is obsolete, and not part of the name (RFC 5322 §4.5).
                let name = colon.map(|colon| line[..colon].trim_ascii_end());
                let is_name =
                    |name: &&[u8]| !name.is_empty() && name.iter().all(u8::is_ascii_graphic);
                folds = false;
                if let (Some(colon), Some(name)) = (colon, name.filter(is_name)) {
                    fields.push(Field { name, range: start..end, body: &line[colon + 1..] });
                    folds = true;
                }
            }
            Some(field) if folds => {
                let body = end - start + field.body.len();
                field.body = &message[end - body..end];
                field.range.end = end;
            }
            _ => {}
        }
        start = end;
    }
    fields
}

/// A line without its end: LF, CR LF, or CR CR LF, from a program that converted LF to CR LF twice. Any other
/// CR is part of the line.
pub(crate) fn content(line: &[u8]) -> &[u8] {
    let Some(line) = line.strip_suffix(b"\n") else { return line };
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(message: &str) -> Vec<(String, String)> {
        let fields = fields(message.as_bytes());
        let text = |name| String::from_utf8_lossy(name).into_owned();
        fields.iter().map(|field| (text(field.name), field.unfolded())).collect()
    }

    #[test]
    fn fields_are_found_as_the_standard_defines() {
        for (message, expected) in [
            ("", &[][..]),
            ("\nTo: a@b\n", &[]),
            ("\r\r\nTo: a@b\n", &[]),
            ("no field\n", &[]),
            ("To: a@b", &[("To", " a@b")]),
            ("To \t: a@b\r\n\r\nCc: c@d\r\n", &[("To", " a@b")]),
            ("To:\r\n a@b,\r\n\tc@d\r\nCc:e@f\n\n", &[("To", " a@b,\tc@d"), ("Cc", "e@f")]),
            ("To: a@b,\r\r\n c@d\r\r\n\r\r\nCc: e@f", &[("To", " a@b, c@d")]),
            // A lone CR does not start a field, and three do not form an empty line.
            ("Subject: x\rBcc: a@b\n", &[("Subject", " x\rBcc: a@b")]),
            ("A: x\n\r\r\r\nBcc: a@b\n", &[("A", " x"), ("Bcc", " a@b")]),
            ("A: x\n \nBcc: a@b\n", &[("A", " x "), ("Bcc", " a@b")]),
            // Nor does a line that is not a field end the header.
            ("A: x\nno field\n at all: y\nBcc: a@b\n", &[("A", " x"), ("Bcc", " a@b")]),
            ("a b: x\n: y\n", &[]),
        ] {
            let expected: Vec<_> =
                expected.iter().map(|(name, body)| ((*name).into(), (*body).into())).collect();
            assert_eq!(found(message), expected, "{message:?}");
        }
    }
}
