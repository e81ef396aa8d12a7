use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;

use super::{MAX_SAID, decode};
use crate::Error;
use crate::mail::Credentials;
use crate::mail::base64::Encoder;
use crate::wire::Writer;

/// Prints the user name, a blank, and the keyed hash of the challenge in lower case (RFC 2195 §2).
pub(super) fn put(
    credentials: &Credentials<'_>,
    challenge: &[u8],
    out: &mut Writer<'_>,
) -> Result<(), Error> {
    let mut buffer = [0; MAX_SAID];
    let challenge = decode(challenge, &mut buffer)?;
    let mut hash = Hmac::<Md5>::new_from_slice(credentials.secret.as_bytes())
        .map_err(|_| Error::NoMechanism)?;
    hash.update(challenge);
    let mut out = Encoder::new(out);
    out.put(credentials.user.as_bytes());
    out.put(b" ");
    for octet in hash.finalize().into_bytes() {
        out.put(&[hexadecimal(octet >> 4), hexadecimal(octet & 0xf)]);
    }
    out.finish();
    Ok(())
}

const fn hexadecimal(digit: u8) -> u8 {
    match digit {
        0..=9 => b'0' | digit,
        _ => digit.wrapping_add(b'a' - 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_2195() {
        let credentials = Credentials::new("tim", "tanstaaftanstaaf").expect("valid");
        let mut output = [0; 64];
        let mut out = Writer::new(&mut output);
        let challenge = b"PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+";
        assert_eq!(put(&credentials, challenge, &mut out), Ok(()));
        let written = out.finish().expect("64 bytes are enough");
        assert_eq!(&output[..written], b"dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw");
        let mut out = Writer::new(&mut output);
        assert_eq!(put(&credentials, b"no base64", &mut out), Err(Error::Syntax));
    }
}
