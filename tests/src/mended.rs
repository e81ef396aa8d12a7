//! A message as its recipient gets it.

/// A message as it leaves: CRLF for every line end and after the last line; a space for a lone CR in the header.
#[must_use]
pub fn mended(message: &[u8]) -> Vec<u8> {
    let (mut mended, mut rest) = (Vec::new(), message);
    let (mut in_header, mut line) = (true, 0);
    while let [octet, tail @ ..] = rest {
        let end = match rest {
            [b'\r', b'\r', b'\n', after @ ..]
            | [b'\r', b'\n', after @ ..]
            | [b'\n', after @ ..] => Some(after),
            [b'\r'] | [b'\r', b'\r'] => Some(&[][..]),
            [b'\r', after @ ..] if !in_header => Some(after),
            _ => None,
        };
        match end {
            Some(after) => {
                in_header &= mended.len() > line;
                mended.extend(b"\r\n");
                (line, rest) = (mended.len(), after);
            }
            None => {
                mended.push(if *octet == b'\r' { b' ' } else { *octet });
                rest = tail;
            }
        }
    }
    if mended.len() > line {
        mended.extend(b"\r\n");
    }
    mended
}
