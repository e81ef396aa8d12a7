//! As much of XML as streams have: no comments, no CDATA, no entities.

/// The length of the first of these at the start of `bytes`, once it is whole: blanks, a declaration, the header of a
/// stream, an end tag, or an element with all that is in it.
pub(super) fn first_len(bytes: &[u8]) -> Option<usize> {
    let blanks = bytes.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    match bytes.get(blanks)? {
        _ if blanks > 0 => return Some(blanks),
        b'<' => {}
        // Text between elements, which streams do not have: up to the next tag.
        _ => return Some(bytes.iter().position(|byte| *byte == b'<').unwrap_or(bytes.len())),
    }
    let (mut length, mut depth) = (0, 0_usize);
    loop {
        let rest = bytes.get(length..)?;
        let start = rest.iter().position(|byte| *byte == b'<')?;
        let tag = &rest[start..];
        let tag = &tag[..tag_len(tag)?];
        length += start + tag.len();
        match tag {
            [b'<', b'?', ..] => {}
            [b'<', b'/', ..] => depth = depth.saturating_sub(1),
            [.., b'/', b'>'] => {}
            _ if depth == 0 && name(tag) == "stream:stream" => {}
            _ => depth += 1,
        }
        if depth == 0 {
            return Some(length);
        }
    }
}

/// The length of a tag, in whose quoted values a `>` does not end it.
fn tag_len(bytes: &[u8]) -> Option<usize> {
    let mut quote = None;
    for (at, byte) in bytes.iter().enumerate() {
        match (quote, byte) {
            (None, b'>') => return Some(at + 1),
            (None, b'\'' | b'"') => quote = Some(*byte),
            (Some(open), byte) if open == *byte => quote = None,
            _ => {}
        }
    }
    None
}

/// The name in the first tag, with the slash of an end tag. Empty if there is none.
pub(super) fn name(element: &[u8]) -> &str {
    let inside = element.strip_prefix(b"<").unwrap_or_default();
    let end = |(at, byte): (usize, &u8)| {
        byte.is_ascii_whitespace() || *byte == b'>' || at > 0 && *byte == b'/'
    };
    let length = inside.iter().enumerate().position(end).unwrap_or(inside.len());
    std::str::from_utf8(&inside[..length]).unwrap_or_default()
}

/// The value of an attribute of the first tag.
pub(super) fn attribute(element: &[u8], wanted: &str) -> Option<String> {
    let tag = std::str::from_utf8(&element[..tag_len(element)?]).ok()?;
    let mut rest = tag.get(1 + name(element).len()..)?;
    while let Some((key, value)) = rest.split_once('=') {
        let value = value.trim_start();
        let quote = value.chars().next().filter(|quote| matches!(quote, '\'' | '"'))?;
        let (value, after) = value[1..].split_once(quote)?;
        if key.trim() == wanted {
            return Some(value.to_owned());
        }
        rest = after;
    }
    None
}

/// The first element of this name inside the element, from its begin.
pub(super) fn part<'e>(element: &'e [u8], wanted: &str) -> Option<&'e [u8]> {
    let starts = element.iter().enumerate().skip(1).filter(|(_, byte)| **byte == b'<');
    starts.map(|(at, _)| &element[at..]).find(|part| name(part) == wanted)
}

/// Whether the element has neither text nor elements in it.
pub(super) fn is_empty(element: &[u8]) -> bool {
    let Some(tag) = tag_len(element) else { return false };
    element[..tag].ends_with(b"/>") || element[tag..].starts_with(b"</")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths() {
        for (bytes, expected) in [
            (&b"<a/><b/>"[..], Some(4)),
            (b"<a><b x='>'/></a>", Some(17)),
            (b"<a><a/><a></a></a>x", Some(18)),
            (b"<stream:stream a=\"/>\"><b/>", Some(22)),
            (b"<?xml version='1.0'?><a/>", Some(21)),
            (b"</stream:stream>x", Some(16)),
            (b" \r\n<a/>", Some(3)),
            (b" ", None),
            (b"text<a/>", Some(4)),
            (b"<a><b/>", None),
            (b"<a x='>", None),
            (b"", None),
        ] {
            assert_eq!(first_len(bytes), expected, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn names_and_attributes() {
        for (element, expected) in [
            (&b"<a x='1' y=\"2'3\"/>"[..], ("a", Some("2'3"))),
            (b"<a/>", ("a", None)),
            (b"</a>", ("/a", None)),
            (b"<a:b\ty='' />", ("a:b", Some(""))),
            (b"text", ("", None)),
        ] {
            let found = (name(element), attribute(element, "y"));
            let expected = (expected.0, expected.1.map(str::to_owned));
            assert_eq!(found, expected, "{}", element.escape_ascii());
        }
    }

    #[test]
    fn parts() {
        let element = b"<a><b><c x='1'/></b></a>";
        assert_eq!(part(element, "c").and_then(|c| attribute(c, "x")).as_deref(), Some("1"));
        assert_eq!(part(element, "a"), None);
        for (element, empty) in [
            (&b"<a/>"[..], true),
            (b"<a></a>", true),
            (b"<a>x</a>", false),
            (b"<a><b/></a>", false),
        ] {
            assert_eq!(is_empty(element), empty, "{}", element.escape_ascii());
        }
    }
}
