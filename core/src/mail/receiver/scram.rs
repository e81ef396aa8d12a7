//! `SCRAM-SHA-256` and `SCRAM-SHA-256-PLUS` on the server (RFC 5802, RFC 7677).

use core::str;

use heapless::Vec;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use super::login::text;
use crate::conceal::conceal;
use crate::mail::base64::{Encoder, decode, is_base64};
use crate::mail::credentials::MAX_SECRET;
use crate::mail::limits::MAX_COMMAND;
use crate::mail::scram::{MAX_SALT, MIN_ITERATIONS, derive, keyed, salted};
use crate::mail::{ChannelBinding, Nonce};
use crate::wipe::Secret;
use crate::wire::Writer;
use crate::{ArgumentError, Error};

/// The longest nonce of a client, in bytes.
const MAX_NONCE: usize = 128;

/// The length of the server's part of the nonce, in printable form.
const OUR_NONCE: usize = 24;

/// The longest message of the server: both nonces, a salt in base64 and a number.
const MAX_REPLY: usize =
    b"r=,s=,i=4294967295".len() + MAX_NONCE + OUR_NONCE + MAX_SALT.div_ceil(3) * 4;

/// The data that a server stores to check a user's password by SCRAM: a salt, a number of iterations and two
/// keys (RFC 5802 §3). The password cannot be read from it, but it can be guessed: keep it secret. Debug
/// output does not show it.
///
/// ```
/// use starttls::mail::receiver::ScramKeys;
///
/// // When the user chooses a password. The salt is random, and the same for no other user.
/// let keys = ScramKeys::derive("pencil", b"16 random bytes!", 4096)?;
/// // When it is read from storage.
/// let again = ScramKeys::new(b"16 random bytes!", 4096, *keys.stored_key(), *keys.server_key())?;
/// assert_eq!(again.stored_key(), keys.stored_key());
/// # Ok::<(), starttls::ArgumentError>(())
/// ```
pub struct ScramKeys<'a> {
    salt: &'a [u8],
    iterations: u32,
    stored: Secret,
    server: Secret,
}

impl<'a> ScramKeys<'a> {
    /// Keys from storage: a salt of 1 to 64 bytes, at least 4,096 iterations (RFC 7677 §4), `StoredKey` and
    /// `ServerKey`.
    ///
    /// # Errors
    /// [`ArgumentError::Empty`] or [`ArgumentError::TooLong`] for a salt of another length,
    /// [`ArgumentError::Malformed`] for fewer iterations.
    pub fn new(
        salt: &'a [u8],
        iterations: u32,
        stored_key: [u8; 32],
        server_key: [u8; 32],
    ) -> Result<Self, ArgumentError> {
        check(salt, iterations)?;
        Ok(Self { salt, iterations, stored: Secret(stored_key), server: Secret(server_key) })
    }

    /// The keys of a password. If it is not ASCII, prepare it first (RFC 4013). The time grows with the
    /// iterations.
    ///
    /// # Errors
    /// Those of [`new`](Self::new), and [`ArgumentError::Empty`] or [`ArgumentError::TooLong`] for a
    /// password that does not have 1 to 255 bytes, [`ArgumentError::Forbidden`] for a NUL in it.
    pub fn derive(password: &str, salt: &'a [u8], iterations: u32) -> Result<Self, ArgumentError> {
        check(salt, iterations)?;
        text(password.as_bytes())?;
        let salted = salted(password, salt, iterations);
        let key = |label| derive(&salted, label).map_err(|_| ArgumentError::Malformed);
        let stored = Secret(Sha256::digest(key(b"Client Key")?.0.as_slice()).into());
        Ok(Self { salt, iterations, stored, server: key(b"Server Key")? })
    }

    /// `StoredKey`. Keep it secret.
    #[must_use]
    pub const fn stored_key(&self) -> &[u8; 32] {
        &self.stored.0
    }

    /// `ServerKey`. Keep it secret: with it, a server can pretend to know the password.
    #[must_use]
    pub const fn server_key(&self) -> &[u8; 32] {
        &self.server.0
    }
}

fn check(salt: &[u8], iterations: u32) -> Result<(), ArgumentError> {
    match salt.len() {
        0 => Err(ArgumentError::Empty),
        1..=MAX_SALT if iterations >= MIN_ITERATIONS => Ok(()),
        1..=MAX_SALT => Err(ArgumentError::Malformed),
        _ => Err(ArgumentError::TooLong),
    }
}

/// A client's first message in base64, as received. Debug output does not show it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ScramFirst<'i> {
    base64: &'i [u8],
    plus: bool,
}

impl<'i> ScramFirst<'i> {
    /// The length of the longest decoded message, in bytes.
    pub const MAX: usize = MAX_COMMAND / 4 * 3;

    pub(super) fn new(base64: &'i [u8], plus: bool) -> Option<Self> {
        is_base64(base64).then_some(Self { base64, plus })
    }

    /// Decodes the message into `buffer`. [`MAX`](Self::MAX) bytes are enough for any.
    ///
    /// # Errors
    /// [`ArgumentError::TooLong`] for the buffer, the user name (255 bytes) or the nonce (128 bytes), and
    /// those of [`ScramStart::user`]; [`ArgumentError::Malformed`] if it has not the form of RFC 5802 §7, or
    /// demands an extension. Refuse the login then.
    pub fn decode<'b>(&self, buffer: &'b mut [u8]) -> Result<ScramStart<'b>, ArgumentError> {
        ScramStart::parse(decode(self.base64, buffer)?, self.plus)
    }
}

/// A client's first message: its user name and how it binds the channel. Debug output does not show it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ScramStart<'b> {
    message: &'b [u8],
    plus: bool,
    /// `gs2-cbind-flag`.
    flag: &'b [u8],
    /// `gs2-header`.
    header: &'b [u8],
    /// The name after `a=`, or nothing.
    authorization: &'b [u8],
    /// `client-first-message-bare`.
    bare: &'b [u8],
    /// The name after `n=`.
    user: &'b [u8],
    nonce: &'b [u8],
}

impl<'b> ScramStart<'b> {
    /// Reads a message again that was decoded before, for an application that keeps
    /// [`message`](Self::message) while it looks up the user's keys. `plus` is [`is_plus`](Self::is_plus).
    ///
    /// # Errors
    /// Those of [`ScramFirst::decode`].
    pub fn parse(message: &'b [u8], plus: bool) -> Result<Self, ArgumentError> {
        // `client-first-message = gs2-header client-first-message-bare`.
        let malformed = ArgumentError::Malformed;
        let comma = |octet: &u8| *octet == b',';
        let mut parts = message.splitn(3, comma);
        let (flag, authorization, bare) = (parts.next(), parts.next(), parts.next());
        let (Some(flag), Some(authorization), Some(bare)) = (flag, authorization, bare) else {
            return Err(malformed);
        };
        let authorization = match authorization {
            [] => &[],
            [b'a', b'=', name @ ..] => name,
            _ => return Err(malformed),
        };
        let header = message.get(..message.len().saturating_sub(bare.len())).unwrap_or_default();
        let mut fields = bare.split(comma);
        // A field `m=` in front of the name demands an extension, and none is known.
        let (Some([b'n', b'=', user @ ..]), Some([b'r', b'=', nonce @ ..])) =
            (fields.next(), fields.next())
        else {
            return Err(malformed);
        };
        if nonce.is_empty() || !nonce.iter().all(u8::is_ascii_graphic) {
            return Err(malformed);
        }
        if nonce.len() > MAX_NONCE {
            return Err(ArgumentError::TooLong);
        }
        let start = Self { message, plus, flag, header, authorization, bare, user, nonce };
        let mut buffer = [0; MAX_SECRET];
        start.user(&mut buffer)?;
        start.authorization(&mut buffer)?;
        Ok(start)
    }

    /// The whole decoded message.
    #[must_use]
    pub const fn message(&self) -> &'b [u8] {
        self.message
    }

    /// Whether the mechanism is `SCRAM-SHA-256-PLUS`.
    #[must_use]
    pub const fn is_plus(&self) -> bool {
        self.plus
    }

    /// The user name, decoded into `buffer`. 255 bytes are enough for any.
    ///
    /// # Errors
    /// Those of [`UserName::decode`](super::UserName::decode).
    pub fn user<'n>(&self, buffer: &'n mut [u8]) -> Result<&'n str, ArgumentError> {
        name(self.user, buffer)
    }

    /// The user that the client wants to act as, decoded into `buffer`. It is empty for its own. Refuse the
    /// login if the user may not do that.
    ///
    /// # Errors
    /// Those of [`user`](Self::user).
    pub fn authorization<'n>(&self, buffer: &'n mut [u8]) -> Result<&'n str, ArgumentError> {
        match self.authorization {
            [] => Ok(""),
            authorization => name(authorization, buffer),
        }
    }

    /// Begins the exchange with the user's `keys` and a fresh `nonce`. `bindings` are those that the
    /// connection has; none if only `SCRAM-SHA-256` is offered.
    ///
    /// For an unknown user, use a salt that is always the same for the name, and keys that no password has,
    /// so that the client does not learn which users exist.
    ///
    /// # Errors
    /// [`Error::Unverified`] if the client uses another binding, or was told that there is none. The latter
    /// shows an attacker who changed the offer (RFC 5802 §6). Refuse the login.
    pub fn exchange(
        &self,
        keys: &ScramKeys<'_>,
        nonce: &Nonce,
        bindings: &[ChannelBinding<'_>],
    ) -> Result<ScramExchange, Error> {
        let mut bound = Sha256::new();
        bound.update(self.header);
        match (self.flag, self.plus) {
            (b"n", false) => {}
            (b"y", false) if bindings.is_empty() => {}
            (flag, true) => {
                let is_used = |binding: &&ChannelBinding<'_>| {
                    binding.header().strip_suffix(b",,") == Some(flag)
                };
                let binding = bindings.iter().find(is_used).ok_or(Error::Unverified)?;
                bound.update(binding.data());
            }
            _ => return Err(Error::Unverified),
        }
        let mut reply = [0; MAX_REPLY];
        let mut out = Writer::new(&mut reply);
        out.put(b"r=");
        out.put(self.nonce);
        put_base64(nonce, &mut out);
        let nonces = out.len();
        out.put(b",s=");
        put_base64(keys.salt, &mut out);
        out.put(b",i=");
        out.put_decimal(usize::try_from(keys.iterations).unwrap_or(usize::MAX));
        let length = out.finish()?;
        let reply = reply.get(..length).unwrap_or_default();

        let begin = |key: &Secret| -> Result<Hmac<Sha256>, Error> {
            let mut hash = keyed(key)?;
            for part in [self.bare, b",", reply, b","] {
                hash.update(part);
            }
            Ok(hash)
        };
        Ok(ScramExchange {
            client: begin(&keys.stored)?,
            server: begin(&keys.server)?,
            stored: Secret(keys.stored.0),
            bound: bound.finalize().into(),
            message: Vec::from_slice(reply).map_err(|_| Error::FrameTooLong)?,
            nonces,
            is_proved: false,
        })
    }
}

/// `saslname`: UTF-8 in which `=2C` is a comma and `=3D` an equals sign.
fn name<'n>(encoded: &[u8], buffer: &'n mut [u8]) -> Result<&'n str, ArgumentError> {
    let mut out = Writer::new(buffer);
    let mut rest = encoded;
    while let [octet, tail @ ..] = rest {
        rest = match (*octet, tail) {
            (b'=', [b'2', b'C', tail @ ..]) => {
                out.push(b',');
                tail
            }
            (b'=', [b'3', b'D', tail @ ..]) => {
                out.push(b'=');
                tail
            }
            (b'=', _) => return Err(ArgumentError::Malformed),
            (octet, tail) => {
                out.push(octet);
                tail
            }
        };
    }
    let length = out.finish().map_err(|_| ArgumentError::TooLong)?;
    text(buffer.get(..length).unwrap_or_default())
}

fn put_base64(octets: &[u8], out: &mut Writer<'_>) {
    let mut encoder = Encoder::new(out);
    encoder.put(octets);
    encoder.finish();
}

/// A client's final message in base64, as received. Debug output does not show it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ScramFinal<'i>(&'i [u8]);

impl<'i> ScramFinal<'i> {
    pub(super) fn new(base64: &'i [u8]) -> Option<Self> {
        is_base64(base64).then_some(Self(base64))
    }
}

/// The server's side of one exchange: 640 bytes on a 64-bit machine. Debug output does not show it.
///
/// ```
/// use starttls::mail::receiver::{ScramKeys, ScramStart};
///
/// // In a server it comes with `Event::ScramFirst`.
/// let start = ScramStart::parse(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO", false)?;
/// assert_eq!(start.user(&mut [0; 255]), Ok("user"));
/// let keys = ScramKeys::derive("pencil", b"16 random bytes!", 4096)?;
/// // 18 bytes that no client can guess. Connections without a binding have an empty list.
/// let exchange = start.exchange(&keys, &[7; 18], &[]).expect("the client binds nothing");
/// // `Receiver::challenge` sends its message, and `verify` reads the client's proof.
/// assert!(!exchange.is_proved());
/// # Ok::<(), starttls::ArgumentError>(())
/// ```
pub struct ScramExchange {
    /// The signatures of all messages so far, with `StoredKey` and with `ServerKey`.
    client: Hmac<Sha256>,
    server: Hmac<Sha256>,
    stored: Secret,
    /// The hash of the expected channel binding.
    bound: [u8; 32],
    /// The message for the client.
    message: Vec<u8, MAX_REPLY>,
    /// The length of the field `r=` at its start.
    nonces: usize,
    is_proved: bool,
}

impl ScramExchange {
    /// Checks the client's proof that it knows the password, over this connection.
    ///
    /// # Errors
    /// [`Error::Unverified`] if it does not prove it, [`Error::Syntax`] if it has not the form of RFC 5802
    /// §7, [`Error::OutOfOrder`] after a proof. Refuse the login.
    pub fn verify(&mut self, last: &ScramFinal<'_>) -> Result<(), Error> {
        if self.is_proved {
            return Err(Error::OutOfOrder);
        }
        let syntax = |_| Error::Syntax;
        let mut buffer = [0; ScramFirst::MAX];
        let message = decode(last.0, &mut buffer).map_err(syntax)?;
        // `client-final-message = channel-binding "," nonce ["," extensions] "," proof`.
        let last = message.iter().rposition(|octet| *octet == b',').ok_or(Error::Syntax)?;
        let (without_proof, proof) = message.split_at_checked(last).ok_or(Error::Syntax)?;
        let mut fields = without_proof.split(|octet| *octet == b',');
        let (Some([b'c', b'=', bound @ ..]), Some(nonces), [b',', b'p', b'=', proof @ ..]) =
            (fields.next(), fields.next(), proof)
        else {
            return Err(Error::Syntax);
        };
        let mut buffer = [0; ScramFirst::MAX];
        let bound = decode(bound, &mut buffer).map_err(syntax)?;
        let mut key = [0; 32];
        if decode(proof, &mut key).map_err(syntax)?.len() != key.len() {
            return Err(Error::Syntax);
        }

        let sign = |hash: &Hmac<Sha256>| {
            let mut hash = hash.clone();
            hash.update(without_proof);
            Secret(hash.finalize().into_bytes().into())
        };
        for (octet, signature) in key.iter_mut().zip(sign(&self.client).0) {
            *octet ^= signature;
        }
        let key = Secret(key);
        let is_bound = <[u8; 32]>::from(Sha256::digest(bound)) == self.bound;
        let is_answer = self.message.get(..self.nonces) == Some(nonces);
        let hashed: [u8; 32] = Sha256::digest(key.0.as_slice()).into();
        if !(self.stored.is(&hashed) && is_bound && is_answer) {
            return Err(Error::Unverified);
        }

        let mut reply = [0; b"v=".len() + 44];
        let mut out = Writer::new(&mut reply);
        out.put(b"v=");
        put_base64(&sign(&self.server).0, &mut out);
        out.finish()?;
        self.message = Vec::from_slice(&reply).map_err(|_| Error::FrameTooLong)?;
        self.is_proved = true;
        Ok(())
    }

    /// Whether the client has proved that it knows the password.
    #[must_use]
    pub const fn is_proved(&self) -> bool {
        self.is_proved
    }

    /// Prints the server's message in base64.
    pub(super) fn put(&self, out: &mut Writer<'_>) {
        put_base64(&self.message, out);
    }
}

conceal!("ScramKeys", ScramKeys<'_>);
conceal!("ScramFirst", ScramFirst<'_>);
conceal!("ScramStart", ScramStart<'_>);
conceal!("ScramFinal", ScramFinal<'_>);
conceal!("ScramExchange", ScramExchange);

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_pointer_width = "64")]
    #[test]
    fn an_exchange_has_the_documented_size() {
        assert_eq!(size_of::<ScramExchange>(), 640);
    }
}
