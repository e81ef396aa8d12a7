//! The system's TLS (Secure Transport, SChannel or OpenSSL) by the crate [native-tls](::native_tls).

use std::fmt;
use std::sync::Arc;

use ::native_tls::{Certificate, Identity, TlsConnector};
use starttls::{Policy, Verification};

use crate::{Binding, Error};

/// A client's trust in servers, with the system's TLS.
///
/// It has fewer features than rustls:
///
/// - Without [`Policy::Required`] a server never counts as verified.
/// - There is no channel binding, so `SCRAM-SHA-256-PLUS` is not offered.
/// - [`Observer::secured`](crate::Observer::secured) is not called.
/// - TLSA records (DANE) cannot be checked.
///
/// ```no_run
/// use starttls_common::native_tls::NativeTls;
///
/// let tls = NativeTls::with_ca_pem(&std::fs::read("ca.pem")?)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct NativeTls {
    authorities: Vec<Certificate>,
    only_these: bool,
    identity: Option<Identity>,
}

impl NativeTls {
    /// Trusts the system's certificate authorities.
    #[must_use]
    pub const fn system() -> Self {
        Self { authorities: Vec::new(), only_these: false, identity: None }
    }

    /// Trusts the certificates of a PEM text and no others.
    ///
    /// # Errors
    /// [`Error::Argument`] if the text has no certificate or a malformed one.
    pub fn with_ca_pem(pem: &[u8]) -> Result<Self, Error> {
        let authorities = Certificate::stack_from_pem(pem);
        match authorities {
            Ok(authorities) if !authorities.is_empty() => {
                Ok(Self { authorities, only_these: true, identity: None })
            }
            Ok(_) => Err(bad("the CA file", "has no PEM certificate in it")),
            Err(error) => Err(bad("the CA file", &format!("is not PEM: {error}"))),
        }
    }

    /// Shows the server a client certificate if it requests one.
    ///
    /// `chain` is a PEM chain that starts with the client's own certificate; `key` is its private key, PKCS
    /// #8 in PEM.
    ///
    /// # Errors
    /// [`Error::Argument`] if one of the two is malformed, or if the key does not match the certificate.
    pub fn with_client_cert_pem(mut self, chain: &[u8], key: &[u8]) -> Result<Self, Error> {
        let identity = Identity::from_pkcs8(chain, key);
        let failed = |error| bad("the client certificate", &format!("cannot be used: {error}"));
        self.identity = Some(identity.map_err(failed)?);
        Ok(self)
    }

    /// Whether there is a client certificate.
    #[must_use]
    pub const fn is_certified(&self) -> bool {
        self.identity.is_some()
    }

    /// The connector of one handshake, and how far the server is verified if it succeeds.
    ///
    /// # Errors
    /// [`Error::Argument`] if the system's TLS cannot be set up.
    pub fn connector(
        &self,
        alpn: Option<&[u8]>,
        policy: Policy,
    ) -> Result<(TlsConnector, Verification), Error> {
        let mut builder = TlsConnector::builder();
        builder.disable_built_in_roots(self.only_these);
        for authority in &self.authorities {
            builder.add_root_certificate(authority.clone());
        }
        if let Some(identity) = &self.identity {
            builder.identity(identity.clone());
        }
        if let Some(alpn) = alpn.and_then(|alpn| std::str::from_utf8(alpn).ok()) {
            builder.request_alpns(&[alpn]);
        }
        let verification = match policy {
            Policy::Required => Verification::Verified,
            // The system does not tell whether the certificate would have verified, so it never counts as
            // verified.
            Policy::Opportunistic => {
                builder.danger_accept_invalid_certs(true).danger_accept_invalid_hostnames(true);
                Verification::Unverified
            }
        };
        let connector = builder.build();
        let connector = connector
            .map_err(|error| bad("the system's TLS", &format!("cannot be used: {error}")))?;
        Ok((connector, verification))
    }

    /// The binding of a login: a nonce without a channel binding.
    ///
    /// # Errors
    /// [`Error::Argument`] if the system has no random numbers.
    pub fn binding(&self) -> Result<Binding, Error> {
        Binding::without_channel(|octets| getrandom::fill(octets).is_ok())
    }

    /// Wraps the error of a failed handshake.
    #[must_use]
    pub fn error(error: ::native_tls::Error) -> Error {
        Error::Tls(rustls::Error::Other(rustls::OtherError(Arc::new(error))))
    }
}

fn bad(what: &'static str, why: &str) -> Error {
    Error::Argument { what, why: why.to_owned() }
}

impl fmt::Debug for NativeTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NativeTls").field("only_these", &self.only_these).finish_non_exhaustive()
    }
}
