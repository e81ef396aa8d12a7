//! Logins by SCRAM at a server (RFC 5802, RFC 7677).

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use base64ct::{Base64, Encoding as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use rustls::crypto::{CryptoProvider, SecureRandom};
use sha2::Sha256;
use starttls::mail::receiver::{ScramExchange, ScramFinal, ScramFirst, ScramKeys, ScramStart};
use starttls::mail::{ChannelBinding, Nonce};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::tls::fill;
use crate::{Error, InboxSettings, PeerTls};

/// The number of hash iterations of a new [`StoredPassword`]: the minimum of RFC 7677 §4, so that firmware
/// can log in.
pub const SCRAM_ITERATIONS: u32 = 4096;

/// A password in the form that a server stores to check it by SCRAM. It cannot be read from that form, but it
/// can be guessed: keep the form secret.
///
/// Its text has the form that PostgreSQL stores, too:
/// `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`, with the salt and the keys in base64. Debug
/// output does not show it.
///
/// ```
/// use starttls_common::rustls::crypto::CryptoProvider;
/// use starttls_common::{Error, StoredPassword};
///
/// fn to_store(password: &str, provider: &CryptoProvider) -> Result<String, Error> {
///     Ok(StoredPassword::new(password, provider)?.to_text().to_string())
/// }
///
/// let text = StoredPassword::derive("pencil", b"16 random bytes!", 4096)?.to_text();
/// assert!(text.starts_with("SCRAM-SHA-256$4096:"));
/// assert!(text.parse::<StoredPassword>()?.matches("pencil"));
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone)]
pub struct StoredPassword {
    salt: Vec<u8>,
    iterations: u32,
    stored_key: Zeroizing<[u8; 32]>,
    server_key: Zeroizing<[u8; 32]>,
}

impl StoredPassword {
    /// Stores a password of 1 to 255 bytes, with a random salt and [`SCRAM_ITERATIONS`].
    ///
    /// # Errors
    /// [`Error::Argument`] if the password is invalid, or the provider has no random numbers.
    pub fn new(password: &str, provider: &CryptoProvider) -> Result<Self, Error> {
        let mut salt = [0; 16];
        fill(provider.secure_random, &mut salt)?;
        Self::derive(password, &salt, SCRAM_ITERATIONS)
    }

    /// Stores a password with this salt of 1 to 64 bytes and at least 4,096 iterations.
    ///
    /// # Errors
    /// [`Error::Argument`] for other values.
    pub fn derive(password: &str, salt: &[u8], iterations: u32) -> Result<Self, Error> {
        let keys = ScramKeys::derive(password, salt, iterations);
        Ok(Self::of(salt, iterations, &keys.map_err(Error::argument("the password"))?))
    }

    fn of(salt: &[u8], iterations: u32, keys: &ScramKeys<'_>) -> Self {
        Self {
            salt: salt.to_vec(),
            iterations,
            stored_key: Zeroizing::new(*keys.stored_key()),
            server_key: Zeroizing::new(*keys.server_key()),
        }
    }

    /// Whether `offered` is this password, for logins that reveal it (PLAIN and LOGIN).
    ///
    /// It takes the time of all iterations; the comparison reveals nothing.
    #[must_use]
    pub fn matches(&self, offered: &str) -> bool {
        let offered = Self::derive(offered, &self.salt, self.iterations);
        offered.is_ok_and(|offered| offered.stored_key.ct_eq(&*self.stored_key).into())
    }

    /// The text to store.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let [salt, stored, server] = [&self.salt, &self.stored_key[..], &self.server_key[..]]
            .map(|octets| Zeroizing::new(Base64::encode_string(octets)));
        let (salt, stored, server) = (&*salt, &*stored, &*server);
        Zeroizing::new(format!("SCRAM-SHA-256${}:{salt}${stored}:{server}", self.iterations))
    }

    fn keys(&self) -> Result<ScramKeys<'_>, Error> {
        let keys = ScramKeys::new(&self.salt, self.iterations, *self.stored_key, *self.server_key);
        keys.map_err(Error::argument("the stored password"))
    }
}

impl FromStr for StoredPassword {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let read = || {
            let (iterations, rest) = text.strip_prefix("SCRAM-SHA-256$")?.split_once(':')?;
            let (salt, keys) = rest.split_once('$')?;
            let (stored, server) = keys.split_once(':')?;
            let octets = |base64| Base64::decode_vec(base64).ok().map(Zeroizing::new);
            let key = |base64| <[u8; 32]>::try_from(octets(base64)?.as_slice()).ok();
            let (salt, iterations) = (octets(salt)?, iterations.parse().ok()?);
            let keys = ScramKeys::new(&salt, iterations, key(stored)?, key(server)?).ok()?;
            Some(Self::of(&salt, iterations, &keys))
        };
        read().ok_or_else(|| Error::Argument {
            what: "the stored password",
            why: "is not SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>, of at least 4,096 \
                  iterations"
                .to_owned(),
        })
    }
}

impl fmt::Debug for StoredPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoredPassword(..)")
    }
}

/// The secret of a server from which it makes salts and keys for unknown users, so that a client cannot
/// learn from the salt which users exist. It lasts as long as the settings.
#[derive(Default)]
pub(crate) struct Unknown(OnceLock<Zeroizing<[u8; 32]>>);

impl Unknown {
    /// Keys that no password has, always the same for this name.
    fn password(&self, user: &str, random: &dyn SecureRandom) -> Result<StoredPassword, Error> {
        if self.0.get().is_none() {
            let mut secret = Zeroizing::new([0; 32]);
            fill(random, &mut *secret)?;
            // Another thread may have been first.
            let _ = self.0.set(secret);
        }
        let secret = self.0.get().map(|secret| secret.as_slice()).unwrap_or_default();
        let hash = |purpose: &[u8]| -> [u8; 32] {
            let mut hash =
                Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes a key of any length");
            hash.update(purpose);
            hash.update(user.as_bytes());
            hash.finalize().into_bytes().into()
        };
        Ok(StoredPassword {
            salt: hash(b"salt")[..16].to_vec(),
            iterations: SCRAM_ITERATIONS,
            stored_key: Zeroizing::new(hash(b"stored")),
            server_key: Zeroizing::new(hash(b"server")),
        })
    }
}

impl fmt::Debug for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unknown(..)")
    }
}

/// A client's login by SCRAM, from its first message on.
pub(crate) struct Scram {
    user: String,
    /// The first message, until the user's keys are known.
    first: Vec<u8>,
    plus: bool,
    exchange: Option<ScramExchange>,
}

impl Scram {
    /// A client's first message, if it is valid and the client acts for itself.
    pub(crate) fn new(first: ScramFirst<'_>) -> Option<Self> {
        let mut buffer = [0; ScramFirst::MAX];
        let (mut user, mut authorization) = ([0; 255], [0; 255]);
        let start = first.decode(&mut buffer).ok()?;
        let user = start.user(&mut user).ok()?;
        // No user may act for another one here.
        let own = ["", user].contains(&start.authorization(&mut authorization).ok()?);
        own.then(|| Self {
            user: user.to_owned(),
            first: start.message().to_vec(),
            plus: start.is_plus(),
            exchange: None,
        })
    }

    pub(crate) fn user(&self) -> &str {
        &self.user
    }

    /// The user has this password, or is unknown. Returns whether the client's binding is right.
    pub(crate) fn begin(
        &mut self,
        stored: Option<StoredPassword>,
        settings: &InboxSettings,
        tls: Option<&PeerTls>,
    ) -> Result<bool, Error> {
        let random = settings.tls().crypto_provider().secure_random;
        let stored = match stored {
            Some(stored) => stored,
            None => settings.unknown().password(&self.user, random)?,
        };
        let mut nonce = Nonce::default();
        fill(random, &mut nonce)?;
        // A client that could bind the channel says so, if the server did not offer it.
        let exporter = tls.filter(|_| settings.binds()).and_then(PeerTls::exporter);
        let bindings = exporter.map(ChannelBinding::Exporter);
        let start = ScramStart::parse(&self.first, self.plus);
        let start = start.map_err(Error::argument("the client's message"))?;
        self.exchange = start.exchange(&stored.keys()?, &nonce, bindings.as_slice()).ok();
        Ok(self.exchange.is_some())
    }

    /// Whether this proves that the client knows the password.
    pub(crate) fn verify(&mut self, last: ScramFinal<'_>) -> bool {
        self.exchange.as_mut().is_some_and(|exchange| exchange.verify(&last).is_ok())
    }

    pub(crate) const fn exchange(&self) -> Option<&ScramExchange> {
        self.exchange.as_ref()
    }
}

impl fmt::Debug for Scram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scram(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys of RFC 7677 §3, computed by another implementation.
    const PENCIL: &str = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$\
                          WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:\
                          wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

    #[test]
    fn a_stored_password_is_text() {
        let stored: StoredPassword = PENCIL.parse().expect("a stored password");
        assert_eq!(*stored.to_text(), PENCIL);
        let salt = Base64::decode_vec("W22ZaJ0SNY7soEsUEjb6gQ==").expect("base64");
        let derived = StoredPassword::derive("pencil", &salt, 4096).expect("a password");
        assert_eq!(*derived.to_text(), PENCIL);
        assert!(stored.matches("pencil"));
        assert!(!stored.matches("Pencil") && !stored.matches(""));
        assert_eq!(format!("{stored:?}"), "StoredPassword(..)");
    }

    #[test]
    fn other_texts_are_refused() {
        let replaced = |from, to| PENCIL.replacen(from, to, 1);
        for text in [
            String::new(),
            "pencil".to_owned(),
            replaced("SCRAM-SHA-256", "SCRAM-SHA-1"),
            replaced("4096", "4095"),
            replaced("4096", "-1"),
            replaced("W22ZaJ0SNY7soEsUEjb6gQ==", ""),
            replaced("W22ZaJ0SNY7soEsUEjb6gQ==", "?"),
            replaced("WG5d8oPm", ""),
            replaced(":wfPL", "wfPL"),
            format!("{PENCIL}AAAA"),
        ] {
            let error = text.parse::<StoredPassword>().expect_err(&text).to_string();
            assert!(error.contains("SCRAM-SHA-256$<iterations>"), "{error}");
            assert!(!error.contains("W22Z"), "{error}");
        }
    }

    #[derive(Debug)]
    struct Random;

    impl SecureRandom for Random {
        fn fill(&self, octets: &mut [u8]) -> Result<(), rustls::crypto::GetRandomFailed> {
            octets.fill(7);
            Ok(())
        }
    }

    #[test]
    fn an_unknown_user_has_always_the_same_salt() {
        let unknown = Unknown::default();
        let salt = |user| unknown.password(user, &Random).expect("random numbers").salt;
        assert_eq!(salt("a"), salt("a"));
        assert_ne!(salt("a"), salt("b"));
        let other = Unknown::default();
        other.0.set(Zeroizing::new([8; 32])).expect("empty");
        assert_ne!(other.password("a", &Random).expect("random numbers").salt, salt("a"));
    }
}
