use std::fmt;
use std::ops::Deref;

#[cfg(feature = "scram")]
use rustls::ProtocolVersion;
use starttls::mail::Credentials;
use starttls::mail::session::Mechanism;
#[cfg(feature = "scram")]
use starttls::mail::{ChannelBinding, Nonce};

use rustls::{ClientConnection, ConnectionCommon};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::{ClientTls, Error};

/// A password or a token. It is never shown, and is wiped from memory when dropped.
///
/// ```
/// use starttls_common::Secret;
///
/// let secret = Secret::new("passw0rd");
/// assert!(secret.matches("passw0rd"));
/// assert_eq!(format!("{secret:?}"), "Secret(..)");
/// ```
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps a secret.
    #[must_use]
    pub fn new(secret: impl Into<String>) -> Self {
        Self(Zeroizing::new(secret.into()))
    }

    /// Whether `offered` is the same secret. The time of the comparison reveals only the secret's length.
    #[must_use]
    pub fn matches(&self, offered: &str) -> bool {
        self.0.as_bytes().ct_eq(offered.as_bytes()).into()
    }
}

impl Deref for Secret {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Proof {
    Password,
    Token,
    Certificate,
}

/// A user and the proof of the user's identity. It is never shown, and the secret is wiped from memory when
/// dropped.
///
/// ```
/// use starttls::mail::session::Mechanism;
/// use starttls_common::Login;
///
/// let login = Login::new("user", "password").by(Mechanism::Plain);
/// assert!(login.check().is_ok());
/// assert!(Login::new("user", "").check().is_err());
/// ```
#[derive(Clone)]
pub struct Login {
    user: String,
    secret: Secret,
    proof: Proof,
    mechanism: Option<Mechanism>,
    #[cfg(feature = "scram")]
    max_iterations: Option<u32>,
}

impl Login {
    /// A login by a user name and a password of 1 to 255 bytes each.
    #[must_use]
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            user: user.into(),
            secret: Secret::new(password),
            proof: Proof::Password,
            mechanism: None,
            #[cfg(feature = "scram")]
            max_iterations: None,
        }
    }

    /// A login by `XOAUTH2`: a user name and an OAuth 2.0 bearer token of 1 to 4,096 bytes.
    #[must_use]
    pub fn bearer(user: impl Into<String>, token: impl Into<String>) -> Self {
        Self { proof: Proof::Token, ..Self::new(user, token) }
    }

    /// A login by `EXTERNAL`: the certificate that the client shows in the TLS handshake (RFC 4422 Appendix
    /// A).
    ///
    /// Set the certificate with [`ClientTls::with_client_cert_pem`]; without one, nothing is dialled.
    /// `authorization` is the user to act as, at most 255 bytes. If it is empty, the server takes the user
    /// from the certificate.
    #[must_use]
    pub fn external(authorization: impl Into<String>) -> Self {
        Self { proof: Proof::Certificate, ..Self::new(authorization, "") }
    }

    /// Uses only this mechanism. By default the client uses the strongest that the server offers.
    #[must_use]
    pub const fn by(mut self, mechanism: Mechanism) -> Self {
        self.mechanism = Some(mechanism);
        self
    }

    /// Limits the hash iterations that a server may demand in SCRAM, see
    /// [`Credentials::with_max_iterations`].
    #[cfg(feature = "scram")]
    #[must_use]
    pub const fn with_max_iterations(mut self, most: u32) -> Self {
        self.max_iterations = Some(most);
        self
    }

    /// Checks the login before a connection is opened.
    ///
    /// # Errors
    /// [`Error::Argument`] if the user name or the secret is invalid.
    pub fn check(&self) -> Result<(), Error> {
        self.credentials(&Binding::default()).map(drop)
    }

    /// Checks, before a connection is opened, that an `EXTERNAL` login has a client certificate.
    ///
    /// # Errors
    /// [`Error::Argument`] if `certified` is `false` and the login needs a certificate.
    pub fn check_certificate(&self, certified: bool) -> Result<(), Error> {
        if self.proof == Proof::Certificate && !certified {
            return Err(Error::Argument {
                what: "the login",
                why: "needs a client certificate (EXTERNAL), and none is configured".to_owned(),
            });
        }
        Ok(())
    }

    /// The credentials for one connection.
    ///
    /// # Errors
    /// [`Error::Argument`] if the user name or the secret is invalid.
    pub fn credentials<'a>(&'a self, connected: &'a Binding) -> Result<Credentials<'a>, Error> {
        let credentials = match self.proof {
            Proof::Password => Credentials::new(&self.user, &self.secret),
            Proof::Token => Credentials::bearer(&self.user, &self.secret),
            Proof::Certificate => Credentials::external(&self.user),
        };
        let credentials = credentials.map_err(Error::argument("the user name or password"))?;
        let credentials = connected.bind(credentials)?;
        #[cfg(feature = "scram")]
        let credentials = match self.max_iterations {
            Some(most) => credentials.with_max_iterations(most),
            None => credentials,
        };
        Ok(match self.mechanism {
            Some(mechanism) => credentials.by(mechanism),
            None => credentials,
        })
    }
}

/// Binds a login to its connection: a nonce and, over TLS 1.3, a channel binding.
///
/// It is never shown, and is wiped from memory when dropped.
#[derive(Default)]
pub struct Binding {
    #[cfg(feature = "scram")]
    nonce: Nonce,
    #[cfg(feature = "scram")]
    exporter: Exporter,
}

/// The channel binding `tls-exporter` of a connection (RFC 9266). It is never shown, and is wiped from memory
/// when dropped. Without the feature `scram` it is empty.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Exporter(#[cfg(feature = "scram")] Option<Zeroizing<[u8; 32]>>);

#[cfg(feature = "scram")]
impl Exporter {
    /// The binding of this connection. Before TLS 1.3 it would need the extended master secret, so it is left
    /// out there.
    pub(crate) fn of<D>(connection: &ConnectionCommon<D>) -> Self {
        Self(match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => {
                let label = b"EXPORTER-Channel-Binding";
                let material = connection.export_keying_material([0; 32], label, Some(b""));
                material.ok().map(Zeroizing::new)
            }
            _ => None,
        })
    }

    pub(crate) fn get(&self) -> Option<&[u8; 32]> {
        self.0.as_deref()
    }

    pub(crate) const fn is_some(&self) -> bool {
        self.0.is_some()
    }
}

#[cfg(not(feature = "scram"))]
impl Exporter {
    pub(crate) fn of<D>(_: &ConnectionCommon<D>) -> Self {
        Self()
    }

    pub(crate) const fn is_some(&self) -> bool {
        let _ = self;
        false
    }
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exporter(..)")
    }
}

impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Binding(..)")
    }
}

#[cfg(feature = "scram")]
impl Binding {
    /// A fresh binding for a connection.
    ///
    /// # Errors
    /// [`Error::Argument`] if the provider has no random numbers.
    pub fn over(connection: &ClientConnection, tls: &ClientTls) -> Result<Self, Error> {
        let mut nonce = Nonce::default();
        tls.fill_random(&mut nonce)?;
        Ok(Self { nonce, exporter: Exporter::of(connection) })
    }

    /// A fresh binding for a TLS library without channel bindings. `fill` writes random bytes, or returns
    /// `false`.
    ///
    /// # Errors
    /// [`Error::Argument`] if `fill` returns `false`.
    pub fn without_channel(fill: impl FnOnce(&mut [u8]) -> bool) -> Result<Self, Error> {
        let mut nonce = Nonce::default();
        if !fill(&mut nonce) {
            let why = "has no random numbers".to_owned();
            return Err(Error::Argument { what: "the system", why });
        }
        Ok(Self { nonce, exporter: Exporter::default() })
    }

    fn bind<'a>(&'a self, credentials: Credentials<'a>) -> Result<Credentials<'a>, Error> {
        let credentials = credentials.with_nonce(&self.nonce);
        match self.exporter.get() {
            Some(material) => credentials
                .with_binding(ChannelBinding::Exporter(material))
                .map_err(Error::argument("the channel binding")),
            None => Ok(credentials),
        }
    }
}

#[cfg(not(feature = "scram"))]
impl Binding {
    /// An empty binding: without the feature `scram` no mechanism needs one.
    ///
    /// # Errors
    /// None.
    pub fn over(_: &ClientConnection, _: &ClientTls) -> Result<Self, Error> {
        Ok(Self::default())
    }

    /// An empty binding: without the feature `scram` no mechanism needs one.
    ///
    /// # Errors
    /// None.
    pub fn without_channel(_: impl FnOnce(&mut [u8]) -> bool) -> Result<Self, Error> {
        Ok(Self::default())
    }

    fn bind<'a>(&'a self, credentials: Credentials<'a>) -> Result<Credentials<'a>, Error> {
        Ok(credentials)
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(..)")
    }
}

/// A user name and a password.
impl<U: Into<String>, P: Into<String>> From<(U, P)> for Login {
    fn from((user, password): (U, P)) -> Self {
        Self::new(user, password)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_matches_only_itself() {
        let secret = Secret::new("passw0rd");
        assert!(secret.matches("passw0rd"));
        for other in ["", "passw0r", "passw0rd ", "Passw0rd", "passw0re"] {
            assert!(!secret.matches(other), "{other}");
        }
        assert_eq!(format!("{secret:?}"), "Secret(..)");
    }

    #[test]
    fn logins_and_secrets_are_never_shown() {
        let login = Login::new("user", "passw0rd");
        let shown = format!("{:?} {login:?} {:?}", login.secret, Binding::default());
        assert_eq!(shown, "Secret(..) Login(..) Binding(..)");
        assert_eq!(&*login.secret, "passw0rd");
        let token = Login::bearer("user", "t0ken").by(Mechanism::Plain);
        assert_eq!(format!("{token:?} {:?}", token.clone()), "Login(..) Login(..)");
    }
}
