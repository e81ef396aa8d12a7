use std::fmt;

#[cfg(feature = "scram")]
use rustls::ProtocolVersion;
use starttls::mail::Credentials;
use starttls::mail::session::Mechanism;
#[cfg(feature = "scram")]
use starttls::mail::{ChannelBinding, Nonce};

use rustls::ClientConnection;

use crate::{ClientTls, Error};

/// Who sends, and what proves it. Never shown.
#[derive(Clone)]
pub struct Login {
    user: String,
    secret: String,
    is_token: bool,
    mechanism: Option<Mechanism>,
}

impl Login {
    /// A user name and a password, 1 to 255 octets each.
    #[must_use]
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self { user: user.into(), secret: password.into(), is_token: false, mechanism: None }
    }

    /// A user name and a bearer token of OAuth 2.0, of 1 to 4,096 octets, for `XOAUTH2`.
    #[must_use]
    pub fn bearer(user: impl Into<String>, token: impl Into<String>) -> Self {
        Self { is_token: true, ..Self::new(user, token) }
    }

    /// By this mechanism and no other; without, by the strongest that the server offers.
    #[must_use]
    pub const fn by(mut self, mechanism: Mechanism) -> Self {
        self.mechanism = Some(mechanism);
        self
    }

    /// Says early what is wrong with them.
    ///
    /// # Errors
    /// [`Error::Argument`].
    pub fn check(&self) -> Result<(), Error> {
        self.credentials(&Binding::default()).map(drop)
    }

    /// What is shown over this connection.
    ///
    /// # Errors
    /// [`Error::Argument`].
    pub fn credentials<'a>(&'a self, connected: &'a Binding) -> Result<Credentials<'a>, Error> {
        let credentials = if self.is_token {
            Credentials::bearer(&self.user, &self.secret)
        } else {
            Credentials::new(&self.user, &self.secret)
        };
        let credentials = credentials.map_err(Error::argument("the user name or password"))?;
        let credentials = connected.bind(credentials)?;
        Ok(match self.mechanism {
            Some(mechanism) => credentials.by(mechanism),
            None => credentials,
        })
    }
}

/// What binds a login to its connection: a nonce and, over TLS 1.3, a channel binding.
#[derive(Debug, Default)]
pub struct Binding {
    #[cfg(feature = "scram")]
    nonce: Nonce,
    #[cfg(feature = "scram")]
    exporter: Option<[u8; 32]>,
}

#[cfg(feature = "scram")]
impl Binding {
    /// Fresh for a connection.
    ///
    /// # Errors
    /// [`Error::Argument`] if there are no random numbers.
    pub fn over(connection: &ClientConnection, tls: &ClientTls) -> Result<Self, Error> {
        let mut nonce = Nonce::default();
        tls.fill_random(&mut nonce)?;
        // `tls-exporter` (RFC 9266), which only TLS 1.3 has without further conditions.
        let exporter = match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => {
                let label = b"EXPORTER-Channel-Binding";
                connection.export_keying_material([0; 32], label, Some(b"")).ok()
            }
            _ => None,
        };
        Ok(Self { nonce, exporter })
    }

    /// Fresh for a connection of a TLS that has no channel binding; `fill` has random numbers, or says no.
    ///
    /// # Errors
    /// [`Error::Argument`] if there are no random numbers.
    pub fn without_channel(fill: impl FnOnce(&mut [u8]) -> bool) -> Result<Self, Error> {
        let mut nonce = Nonce::default();
        if !fill(&mut nonce) {
            let why = "has no random numbers".to_owned();
            return Err(Error::Argument { what: "the system", why });
        }
        Ok(Self { nonce, exporter: None })
    }

    fn bind<'a>(&'a self, credentials: Credentials<'a>) -> Result<Credentials<'a>, Error> {
        let credentials = credentials.with_nonce(&self.nonce);
        match &self.exporter {
            Some(material) => credentials
                .with_binding(ChannelBinding::Exporter(material))
                .map_err(Error::argument("the channel binding")),
            None => Ok(credentials),
        }
    }
}

#[cfg(not(feature = "scram"))]
impl Binding {
    /// Nothing ties it.
    ///
    /// # Errors
    /// None.
    pub fn over(_: &ClientConnection, _: &ClientTls) -> Result<Self, Error> {
        Ok(Self::default())
    }

    /// Nothing ties it.
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
