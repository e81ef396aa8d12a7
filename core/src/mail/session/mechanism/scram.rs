//! `SCRAM-SHA-256` (RFC 5802, RFC 7677).

use hmac::Mac;
use sha2::{Digest, Sha256};

use super::{MAX_SAID, Mechanism, decode};
use crate::Error;
use crate::conceal::conceal;
use crate::mail::Credentials;
use crate::mail::base64::Encoder;
use crate::mail::scram::{MAX_SALT, MIN_ITERATIONS, derive, keyed, salted};
use crate::smtp::reply::decimal;
use crate::wipe::Secret;
use crate::wire::Writer;

/// The longest text before the nonce in the final message, in bytes: a header and a binding of at most 64
/// bytes, in base64.
const MAX_BOUND: usize = 128;

/// The longest final message, in bytes before base64.
pub(in crate::mail::session) const MAX_FINAL: usize = MAX_SAID + MAX_BOUND + b",p=".len() + 44;

/// The signature of a server that knows the password.
#[derive(Default)]
pub(in crate::mail::session) struct Expected(Secret);

conceal!("Expected", Expected);

impl Expected {
    /// Compares the server's final message with it.
    pub(super) fn verify(&self, challenge: &[u8]) -> Result<(), Error> {
        let mut buffer = [0; MAX_SAID];
        match decode(challenge, &mut buffer)? {
            [b'v', b'=', signature @ ..] => {
                let mut buffer = [0; MAX_SALT];
                let signature = signature.split(|octet| *octet == b',').next();
                match decode(signature.unwrap_or_default(), &mut buffer) {
                    Ok(signature) if self.0.is(signature) => Ok(()),
                    Ok(_) | Err(Error::FrameTooLong) => Err(Error::Unverified),
                    Err(error) => Err(error),
                }
            }
            [b'e', b'=', ..] => Err(Error::Refused),
            _ => Err(Error::Syntax),
        }
    }
}

/// `client-first-message = gs2-header client-first-message-bare`.
pub(super) fn put_first(
    credentials: &Credentials<'_>,
    mechanism: Mechanism,
    out: &mut Encoder<'_, '_>,
) {
    out.put(header(credentials, mechanism));
    put_bare(credentials, |octets| out.put(octets));
}

/// `gs2-header`: whether and how the channel is bound.
fn header(credentials: &Credentials<'_>, mechanism: Mechanism) -> &'static [u8] {
    match (&credentials.binding, mechanism) {
        (Some(binding), Mechanism::ScramSha256Plus) => binding.header(),
        // The client supports channel binding and believes that the server does not. If an attacker removed
        // the server's offer, the server detects it by this (RFC 5802 §6).
        (Some(_), _) if !credentials.is_forced() => b"y,,",
        _ => b"n,,",
    }
}

/// `client-first-message-bare = username "," nonce`.
fn put_bare(credentials: &Credentials<'_>, mut put: impl FnMut(&[u8])) {
    put(b"n=");
    for octet in credentials.user.as_bytes() {
        match octet {
            b',' => put(b"=2C"),
            b'=' => put(b"=3D"),
            octet => put(&[*octet]),
        }
    }
    put(b",r=");
    put(&nonce(credentials));
}

/// The client's nonce in printable form.
fn nonce(credentials: &Credentials<'_>) -> [u8; 24] {
    let mut printed = [0; 24];
    let mut out = Writer::new(&mut printed);
    let mut encoder = Encoder::new(&mut out);
    encoder.put(credentials.nonce.map(<[u8; 18]>::as_slice).unwrap_or_default());
    encoder.finish();
    printed
}

/// The server's first message: `nonce "," salt "," iteration-count ["," extensions]`.
struct First<'m> {
    nonce: &'m [u8],
    salt: &'m [u8],
    iterations: u32,
}

impl<'m> First<'m> {
    fn parse(message: &'m [u8], most: u32) -> Result<Self, Error> {
        let mut fields = message.split(|octet| *octet == b',');
        match (fields.next(), fields.next(), fields.next()) {
            (
                Some([b'r', b'=', nonce @ ..]),
                Some([b's', b'=', salt @ ..]),
                Some([b'i', b'=', count @ ..]),
            ) => match decimal(count).map(u32::try_from) {
                None | Some(Ok(..MIN_ITERATIONS)) => Err(Error::Syntax),
                Some(Ok(iterations)) if iterations <= most => Ok(Self { nonce, salt, iterations }),
                Some(_) => Err(Error::TooManyIterations),
            },
            _ => Err(Error::Syntax),
        }
    }
}

/// Prints `client-final-message = channel-binding "," nonce "," proof`, the response to `challenge`.
/// Returns the signature that the server has to send.
pub(super) fn put_final(
    credentials: &Credentials<'_>,
    mechanism: Mechanism,
    challenge: &[u8],
    out: &mut Writer<'_>,
) -> Result<Expected, Error> {
    let mut buffer = [0; MAX_SAID];
    let message = decode(challenge, &mut buffer)?;
    let first = First::parse(message, credentials.most_iterations())?;
    let ours = nonce(credentials);
    if !first.nonce.starts_with(&ours) || first.nonce.len() == ours.len() {
        return Err(Error::Unverified);
    }

    let mut salt = [0; MAX_SALT];
    let salt = decode(first.salt, &mut salt).map_err(|_| Error::Syntax)?;
    if salt.is_empty() {
        return Err(Error::Syntax);
    }
    let salted = salted(credentials.secret, salt, first.iterations);

    // The signature covers all messages without the proof.
    let mut without_proof = [0; MAX_SAID + MAX_BOUND];
    let mut bound = Writer::new(&mut without_proof);
    bound.put(b"c=");
    let mut encoder = Encoder::new(&mut bound);
    encoder.put(header(credentials, mechanism));
    if let (Mechanism::ScramSha256Plus, Some(binding)) = (mechanism, credentials.binding) {
        encoder.put(binding.data());
    }
    encoder.finish();
    bound.put(b",r=");
    bound.put(first.nonce);
    let length = bound.finish()?;
    let without_proof = without_proof.get(..length).unwrap_or_default();
    let sign = |key: &Secret| -> Result<Secret, Error> {
        let mut hash = keyed(key)?;
        put_bare(credentials, |octets| hash.update(octets));
        hash.update(b",");
        hash.update(message);
        hash.update(b",");
        hash.update(without_proof);
        Ok(Secret(hash.finalize().into_bytes().into()))
    };

    let client_key = derive(&salted, b"Client Key")?;
    let mut proof = sign(&Secret(Sha256::digest(client_key.0.as_slice()).into()))?;
    for (octet, key) in proof.0.iter_mut().zip(&client_key.0) {
        *octet ^= key;
    }
    let expected = sign(&derive(&salted, b"Server Key")?)?;

    let mut printed = [0; 44];
    let mut inner = Writer::new(&mut printed);
    let mut encoder = Encoder::new(&mut inner);
    encoder.put(&proof.0);
    encoder.finish();
    let mut out = Encoder::new(out);
    out.put(without_proof);
    out.put(b",p=");
    out.put(&printed);
    out.finish();
    Ok(Expected(expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iterations_have_two_limits() {
        let parse = |message: &'static str, most| {
            First::parse(message.as_bytes(), most).map(|first| first.iterations)
        };
        assert_eq!(parse("r=a,s=b,i=4096", 4096), Ok(4096));
        assert_eq!(parse("r=a,s=b,i=4097", 4096), Err(Error::TooManyIterations));
        assert_eq!(parse("r=a,s=b,i=4294967296", u32::MAX), Err(Error::TooManyIterations));
        assert_eq!(parse("r=a,s=b,i=4095", u32::MAX), Err(Error::Syntax));
        assert_eq!(parse("r=a,s=b,i=0", u32::MAX), Err(Error::Syntax));
        let credentials = Credentials::new("a", "b").expect("valid");
        assert_eq!(credentials.most_iterations(), 1_000_000);
        assert_eq!(credentials.or_max_iterations(5_000).most_iterations(), 5_000);
        let chosen = credentials.with_max_iterations(10_000).or_max_iterations(5_000);
        assert_eq!(chosen.most_iterations(), 10_000);
        assert_eq!(credentials.with_max_iterations(10_000).most_iterations(), 10_000);
    }
}
