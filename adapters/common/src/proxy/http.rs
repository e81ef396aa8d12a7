//! `CONNECT` of HTTP/1.1 (RFC 9110 §9.3.6, RFC 9112 §3.2.3).

use base64ct::{Base64, Encoding as _};
use starttls::Error;
use zeroize::Zeroizing;

use super::bracketed;
use super::tunnel::Reply;

/// The longest head of a response, in bytes.
const MAX_HEAD: usize = 16 * 1024;

/// The request. Host and login are checked.
pub(super) fn request(host: &str, port: u16, login: Option<(&str, &str)>) -> Zeroizing<Vec<u8>> {
    let host = bracketed(host);
    let mut request =
        Zeroizing::new(format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n"));
    if let Some((user, password)) = login {
        let pair = Zeroizing::new(format!("{user}:{password}"));
        let basic = Zeroizing::new(Base64::encode_string(pair.as_bytes()));
        request =
            Zeroizing::new(format!("{}Proxy-Authorization: Basic {}\r\n", &*request, &*basic));
    }
    Zeroizing::new(format!("{}\r\n", &*request).into_bytes())
}

/// Takes the head of a response; `None` if it is not complete. Interim responses are skipped (RFC 9110 §15.2).
///
/// After a 2yz status the server's bytes follow, whatever the head says about a length (RFC 9110 §9.3.6).
pub(super) fn reply<'i>(input: &mut &'i [u8]) -> Result<Option<Reply<'i>>, Error> {
    loop {
        let Some(length) = head(input)? else { return Ok(None) };
        let (response, rest) = input.split_at(length);
        let line = response.split(|octet| *octet == b'\n').next().unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Some((_, status)) = line.split_at_checked(b"HTTP/1.x ".len()) else {
            return Err(Error::Foreign);
        };
        let &[hundreds, b'0'..=b'9', b'0'..=b'9', ..] = status else { return Err(Error::Foreign) };
        *input = rest;
        return Ok(Some(match hundreds {
            b'1' => continue,
            b'2' => Reply::Open,
            b'3'..=b'5' if status.starts_with(b"407") => Reply::NeedsLogin,
            b'3'..=b'5' => Reply::Http(status),
            _ => return Err(Error::Foreign),
        }));
    }
}

/// The length of the head with the empty line after it.
///
/// # Errors
/// [`Error::Foreign`] as soon as it is clear that this is no HTTP/1, [`Error::ReplyTooLong`] for a longer head.
fn head(input: &[u8]) -> Result<Option<usize>, Error> {
    let start = b"HTTP/1.";
    if !input.iter().zip(start).all(|(octet, expected)| octet == expected) {
        return Err(Error::Foreign);
    }
    let searched = &input[..input.len().min(MAX_HEAD)];
    let end =
        searched.windows(2).zip(1..).find_map(|(pair, at)| match (pair, searched.get(at..)) {
            (b"\n\n", _) => Some(at + 1),
            (b"\n\r", Some([b'\r', b'\n', ..])) => Some(at + 2),
            _ => None,
        });
    match end {
        None if input.len() >= MAX_HEAD => Err(Error::ReplyTooLong),
        end => Ok(end),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_name_host_and_login() {
        assert_eq!(
            &**request("mail.example.org", 587, Some(("me", "secret"))),
            b"CONNECT mail.example.org:587 HTTP/1.1\r\nHost: mail.example.org:587\r\n\
              Proxy-Authorization: Basic bWU6c2VjcmV0\r\n\r\n"
        );
        assert_eq!(
            &**request("2001:db8::1", 25, None),
            b"CONNECT [2001:db8::1]:25 HTTP/1.1\r\nHost: [2001:db8::1]:25\r\n\r\n"
        );
    }

    /// Each reply whole and byte by byte; what follows stays unread.
    #[test]
    fn replies_end_where_the_server_begins() {
        for (head, expected) in [
            ("HTTP/1.1 200 OK\r\n\r\n", Ok(Reply::Open)),
            (
                "HTTP/1.0 200 Connection established\r\nVia: x\r\nContent-Length: 9\r\n\r\n",
                Ok(Reply::Open),
            ),
            ("HTTP/1.1 200\r\n\r\n", Ok(Reply::Open)),
            ("HTTP/1.1 200 OK\n\n", Ok(Reply::Open)),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", Ok(Reply::Open)),
            ("HTTP/1.1 407 Proxy Authentication Required\r\na: b\r\n\r\n", Ok(Reply::NeedsLogin)),
            ("HTTP/1.1 403 Forbidden\r\n\r\n", Ok(Reply::Http(b"403 Forbidden"))),
            ("HTTP/1.1 302 \r\n\r\n", Ok(Reply::Http(b"302 "))),
            ("220 mail.example.org ESMTP\r\n", Err(Error::Foreign)),
            ("HTTP/2 200 OK\r\n\r\n", Err(Error::Foreign)),
            ("HTTP/1.1 OK\r\n\r\n", Err(Error::Foreign)),
            ("HTTP/1.1 20\r\n\r\n", Err(Error::Foreign)),
            ("HTTP/1.1 999 no\r\n\r\n", Err(Error::Foreign)),
            ("\r\n\r\n", Err(Error::Foreign)),
        ] {
            let whole = format!("{head}220 ready\r\n");
            let mut input = whole.as_bytes();
            assert_eq!(reply(&mut input), expected.map(Some), "{head:?}");
            if expected.is_ok() {
                assert_eq!(input, b"220 ready\r\n", "{head:?}");
                for length in 0..head.len() {
                    let mut input = &head.as_bytes()[..length];
                    assert_eq!(reply(&mut input), Ok(None), "{head:?} {length}");
                }
            }
        }
    }

    #[test]
    fn a_head_has_a_limit() {
        let mut long = b"HTTP/1.1 200 OK\r\n".to_vec();
        long.resize(MAX_HEAD - 1, b'x');
        assert_eq!(reply(&mut &*long), Ok(None));
        long.push(b'x');
        assert_eq!(reply(&mut &*long), Err(Error::ReplyTooLong));
    }
}
