//! ClientHellos of our own making: larger, older or in other pieces than a TLS library sends them. Whether a server answers
//! one with a ServerHello shows all that the tests want to know, so no handshake is completed.

/// A ClientHello of TLS 1.3 and 1.2 with at least `size` bytes (RFC 8446 section 4.1.2), as one record. A padding extension
/// (RFC 7685) fills it, as post-quantum key shares do.
pub(crate) fn padded(random: &[u8; 64], name: &str, size: usize) -> Vec<u8> {
    let (random, share) = random.split_at(32);
    let mut extensions = Vec::new();
    if name.parse::<std::net::IpAddr>().is_err() && !name.is_empty() {
        let host = [&[0][..], &with_length(name.as_bytes())].concat();
        extension(&mut extensions, 0, &with_length(&host));
    }
    // Groups: x25519, secp256r1; their share: x25519, for which any 32 bytes are a public key (RFC 7748 section 5).
    extension(&mut extensions, 10, &with_length(&[0, 29, 0, 23]));
    extension(&mut extensions, 51, &with_length(&[&[0, 29][..], &with_length(share)].concat()));
    extension(
        &mut extensions,
        13,
        &with_length(&[4, 3, 8, 7, 8, 4, 8, 5, 8, 6, 4, 1, 5, 1, 6, 1, 5, 3]),
    );
    extension(&mut extensions, 43, &[4, 3, 4, 3, 3]);
    extension(&mut extensions, 11, &[1, 0]);
    extension(&mut extensions, 23, &[]);
    extension(&mut extensions, 65281, &[0]);
    let suites = [
        0x13, 1, 0x13, 2, 0x13, 3, 0xc0, 0x2b, 0xc0, 0x2f, 0xc0, 0x2c, 0xc0, 0x30, 0xcc, 0xa9,
        0xcc, 0xa8,
    ];
    let bare = record([3, 3], random, &suites, &extensions).len() + 4;
    extension(&mut extensions, 21, &vec![0; size.saturating_sub(bare)]);
    record([3, 3], random, &suites, &extensions)
}

/// A ClientHello of an older version (RFC 2246, RFC 4346), as one record.
pub(crate) fn old(random: &[u8; 64], version: [u8; 2]) -> Vec<u8> {
    let mut extensions = Vec::new();
    extension(&mut extensions, 10, &with_length(&[0, 23, 0, 24]));
    extension(&mut extensions, 11, &[1, 0]);
    extension(&mut extensions, 65281, &[0]);
    let suites = [0xc0, 9, 0xc0, 0x13, 0xc0, 0x0a, 0xc0, 0x14, 0, 0x2f, 0, 0x35, 0, 0x0a];
    record(version, &random[..32], &suites, &extensions)
}

/// A fatal alert `handshake_failure` (RFC 8446 section 6).
pub(crate) const ALERT: [u8; 7] = [21, 3, 1, 0, 2, 2, 40];

/// A ServerHello of SSL 3 (RFC 6101 section 5.6.1.3), as one record.
pub(crate) fn old_server() -> Vec<u8> {
    let hello = [&[3, 0][..], &[7; 32], &[0, 0, 0x2f, 0]].concat();
    let handshake = [&[2, 0][..], &with_length(&hello)].concat();
    [&[22, 3, 0][..], &with_length(&handshake)].concat()
}

/// What a server says to a ClientHello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// A ServerHello, or the request for another ClientHello.
    Hello,
    /// An alert.
    Alert,
    /// Something else.
    Other,
}

/// Reads the begin of a server's answer; `None` while it is too short.
pub(crate) fn said(bytes: &[u8]) -> Option<Said> {
    match bytes {
        [22, 3, _, _, _, kind, ..] => Some(if *kind == 2 { Said::Hello } else { Said::Other }),
        [21, 3, _, _, _, _, _, ..] => Some(Said::Alert),
        [22 | 21] | [22 | 21, 3, ..] | [] => None,
        _ => Some(Said::Other),
    }
}

fn record(version: [u8; 2], random: &[u8], suites: &[u8], extensions: &[u8]) -> Vec<u8> {
    let mut hello = version.to_vec();
    hello.extend(random);
    hello.push(32);
    hello.extend(random);
    hello.extend(with_length(suites));
    hello.extend([1, 0]);
    hello.extend(with_length(extensions));
    let [_, high, mid, low] = u32::try_from(hello.len()).unwrap_or(u32::MAX).to_be_bytes();
    let handshake = [&[1, high, mid, low][..], &hello].concat();
    [&[22, 3, 1][..], &with_length(&handshake)].concat()
}

fn extension(all: &mut Vec<u8>, kind: u16, content: &[u8]) {
    all.extend(kind.to_be_bytes());
    all.extend(with_length(content));
}

/// The bytes with their number, of two bytes, before them.
fn with_length(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes();
    [&length[..], bytes].concat()
}

#[cfg(test)]
mod tests {
    use rustls::server::Acceptor;

    use super::*;

    fn accepted(hello: &[u8]) -> Result<Option<String>, String> {
        let mut acceptor = Acceptor::default();
        let mut rest = hello;
        while !rest.is_empty() {
            acceptor.read_tls(&mut rest).map_err(|error| error.to_string())?;
        }
        let accepted = acceptor.accept().map_err(|(error, _)| error.to_string())?;
        Ok(accepted.and_then(|accepted| accepted.client_hello().server_name().map(str::to_owned)))
    }

    #[test]
    fn rustls_reads_them() {
        for size in [300, 1800, 8000] {
            let hello = padded(&[7; 64], "mx.example.org", size);
            assert_eq!(hello.len(), size);
            assert_eq!(accepted(&hello), Ok(Some("mx.example.org".to_owned())));
        }
        assert_eq!(accepted(&padded(&[7; 64], "127.0.0.1", 400)), Ok(None));
        assert_eq!(said(&old(&[7; 64], [3, 1])), Some(Said::Other));
        assert_eq!(said(&ALERT), Some(Said::Alert));
        assert_eq!(said(&ALERT[..3]), None);
    }
}
