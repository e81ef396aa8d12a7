//! TLS by the system: Secure Transport, SChannel or OpenSSL, by the crate [native-tls](::native_tls).

use std::fmt;
use std::sync::Arc;

use ::native_tls::{Certificate, TlsConnector};
use starttls::{Policy, Verification};

use crate::{Binding, Error};

/// Which servers a client trusts, with TLS by the system.
///
/// It has less than rustls: without [`Policy::Required`] a server never counts as verified, there is no channel
/// binding (`SCRAM-SHA-256-PLUS` is not offered), [`Observer::secured`](crate::Observer::secured) is not called, and
/// TLSA records (DANE) cannot be checked.
#[derive(Clone, Default)]
pub struct NativeTls {
    authorities: Vec<Certificate>,
    only_these: bool,
}

impl NativeTls {
    /// Trusts the system's certificate authorities.
    #[must_use]
    pub const fn system() -> Self {
        Self { authorities: Vec::new(), only_these: false }
    }

    /// Trusts the certificates of a PEM text and no others.
    ///
    /// # Errors
    /// [`Error::Argument`] if there is none in it.
    pub fn with_ca_pem(pem: &[u8]) -> Result<Self, Error> {
        let authorities = Certificate::stack_from_pem(pem);
        match authorities {
            Ok(authorities) if !authorities.is_empty() => {
                Ok(Self { authorities, only_these: true })
            }
            Ok(_) => Err(bad("the CA file", "has no PEM certificate in it")),
            Err(error) => Err(bad("the CA file", &format!("is not PEM: {error}"))),
        }
    }

    /// What makes the handshake of one connection, and what is then known of the server.
    ///
    /// # Errors
    /// [`Error::Argument`] if the system has no such TLS.
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
        if let Some(alpn) = alpn.and_then(|alpn| std::str::from_utf8(alpn).ok()) {
            builder.request_alpns(&[alpn]);
        }
        let verification = match policy {
            Policy::Required => Verification::Verified,
            // The system does not say whether it would have been verified.
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

    /// What binds a login to a connection: a nonce, and no channel.
    ///
    /// # Errors
    /// [`Error::Argument`] if there are no random numbers.
    pub fn binding(&self) -> Result<Binding, Error> {
        Binding::without_channel(|octets| getrandom::fill(octets).is_ok())
    }

    /// Why a handshake failed.
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
