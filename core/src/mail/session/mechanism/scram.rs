//! `SCRAM-SHA-256` (RFC 5802, RFC 7677).

use hmac::{Hmac, KeyInit, Mac};
use pbkdf2::pbkdf2_hmac;
use sha2::{Digest, Sha256};

use super::{Mechanism, decode};
use crate::Error;
use crate::conceal::conceal;
use crate::mail::base64::Encoder;
use crate::mail::{ChannelBinding, Credentials};
use crate::smtp::MAX_LINE;
use crate::smtp::reply::decimal;
use crate::wire::Writer;

/// What servers may ask for: no less than RFC 7677 §4 does, and no more than a second or two of a
/// computer's time.
const ITERATIONS: core::ops::RangeInclusive<usize> = 4096..=1_000_000;

/// The longest salt, in octets.
const MAX_SALT: usize = 64;

type Hash = [u8; 32];

/// What a server will say that knows the password.
#[derive(Clone, Copy, Default)]
pub(in crate::mail::session) struct Expected(Hash);

conceal!("Expected", Expected);

impl Expected {
    /// Holds the server's last message against it.
    pub(super) fn verify(&self, challenge: &[u8]) -> Result<(), Error> {
        let mut buffer = [0; MAX_LINE];
        match decode(challenge, &mut buffer)? {
            [b'v', b'=', signature @ ..] => {
                let mut buffer = [0; MAX_LINE];
                let signature = signature.split(|octet| *octet == b',').next();
                if decode(signature.unwrap_or_default(), &mut buffer)? == self.0 {
                    Ok(())
                } else {
                    Err(Error::Unverified)
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

/// `gs2-header`: whether and by what the channel is bound.
fn header(credentials: &Credentials<'_>, mechanism: Mechanism) -> &'static [u8] {
    match (&credentials.binding, mechanism) {
        (Some(ChannelBinding::Exporter(_)), Mechanism::ScramSha256Plus) => b"p=tls-exporter,,",
        (Some(ChannelBinding::ServerEndPoint(_)), Mechanism::ScramSha256Plus) => {
            b"p=tls-server-end-point,,"
        }
        // The client could, and thinks that the server cannot.
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

/// The client's nonce, printable.
fn nonce(credentials: &Credentials<'_>) -> [u8; 24] {
    let mut printed = [0; 24];
    let mut out = Writer::new(&mut printed);
    let mut encoder = Encoder::new(&mut out);
    encoder.put(credentials.nonce.map(<[u8; 18]>::as_slice).unwrap_or_default());
    encoder.finish();
    printed
}

/// What the server says first: `nonce "," salt "," iteration-count ["," extensions]`.
struct First<'m> {
    nonce: &'m [u8],
    salt: &'m [u8],
    iterations: u32,
}

impl<'m> First<'m> {
    fn parse(message: &'m [u8]) -> Result<Self, Error> {
        let mut fields = message.split(|octet| *octet == b',');
        match (fields.next(), fields.next(), fields.next()) {
            (
                Some([b'r', b'=', nonce @ ..]),
                Some([b's', b'=', salt @ ..]),
                Some([b'i', b'=', count @ ..]),
            ) => {
                let iterations = decimal(count)
                    .filter(|count| ITERATIONS.contains(count))
                    .and_then(|count| u32::try_from(count).ok())
                    .ok_or(Error::Syntax)?;
                Ok(Self { nonce, salt, iterations })
            }
            _ => Err(Error::Syntax),
        }
    }
}

/// `client-final-message = channel-binding "," nonce "," proof`, which answers `challenge`; says what
/// the server has to say to that.
pub(super) fn put_final(
    credentials: &Credentials<'_>,
    mechanism: Mechanism,
    challenge: &[u8],
    out: &mut Writer<'_>,
) -> Result<Expected, Error> {
    let mut buffer = [0; MAX_LINE];
    let message = decode(challenge, &mut buffer)?;
    let first = First::parse(message)?;
    let ours = nonce(credentials);
    if !first.nonce.starts_with(&ours) || first.nonce.len() == ours.len() {
        return Err(Error::Unverified);
    }

    let mut salt = [0; MAX_LINE];
    let salt = decode(first.salt, &mut salt)?;
    if salt.is_empty() || salt.len() > MAX_SALT {
        return Err(Error::Syntax);
    }
    let mut salted = Hash::default();
    pbkdf2_hmac::<Sha256>(credentials.secret.as_bytes(), salt, first.iterations, &mut salted);

    // What is signed: everything said, but for the proof.
    let mut without_proof = [0; MAX_LINE + 128];
    let mut bound = Writer::new(&mut without_proof);
    bound.put(b"c=");
    let mut encoder = Encoder::new(&mut bound);
    encoder.put(header(credentials, mechanism));
    match (mechanism, credentials.binding) {
        (Mechanism::ScramSha256Plus, Some(ChannelBinding::Exporter(data))) => encoder.put(data),
        (Mechanism::ScramSha256Plus, Some(ChannelBinding::ServerEndPoint(data))) => {
            encoder.put(data);
        }
        _ => {}
    }
    encoder.finish();
    bound.put(b",r=");
    bound.put(first.nonce);
    let length = bound.finish()?;
    let without_proof = without_proof.get(..length).unwrap_or_default();
    let sign = |key: &Hash| -> Result<Hash, Error> {
        let mut hash = keyed(key)?;
        put_bare(credentials, |octets| hash.update(octets));
        hash.update(b",");
        hash.update(message);
        hash.update(b",");
        hash.update(without_proof);
        Ok(hash.finalize().into_bytes().into())
    };

    let client_key = derive(&salted, b"Client Key")?;
    let mut proof = sign(&Sha256::digest(client_key).into())?;
    for (octet, key) in proof.iter_mut().zip(client_key) {
        *octet ^= key;
    }
    let expected = sign(&derive(&salted, b"Server Key")?)?;

    let mut printed = [0; 44];
    let mut inner = Writer::new(&mut printed);
    let mut encoder = Encoder::new(&mut inner);
    encoder.put(&proof);
    encoder.finish();
    let mut out = Encoder::new(out);
    out.put(without_proof);
    out.put(b",p=");
    out.put(&printed);
    out.finish();
    Ok(Expected(expected))
}

fn keyed(key: &Hash) -> Result<Hmac<Sha256>, Error> {
    Hmac::new_from_slice(key).map_err(|_| Error::Unsupported)
}

fn derive(salted: &Hash, label: &[u8]) -> Result<Hash, Error> {
    let mut hash = keyed(salted)?;
    hash.update(label);
    Ok(hash.finalize().into_bytes().into())
}
