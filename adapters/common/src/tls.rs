use std::sync::Arc;

use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, CommonState, RootCertStore, ServerConnection};
use starttls::{Policy, Verification};
use starttls_rustls::Judging;

use crate::{Doing, Error, Observer};

/// Whom a client trusts, and by which cryptography.
#[derive(Clone, Debug)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
    verifier: Option<Arc<WebPkiServerVerifier>>,
    inspecting: bool,
}

impl ClientTls {
    /// Trusts the system's certificate authorities.
    ///
    /// # Errors
    /// [`Error::Argument`] if the system has none that can be read, or there is no cryptography
    /// provider.
    #[cfg(feature = "native-roots")]
    pub fn system() -> Result<Self, Error> {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            let why = found.errors.first().map_or_else(
                || "has no certificate authorities; pass your own CA file".to_owned(),
                |error| format!("cannot be read: {error}"),
            );
            return Err(Error::Argument { what: "the system's trust store", why });
        }
        Self::trusting(roots, provider()?)
    }

    /// Trusts the certificates of a PEM text and nobody else.
    ///
    /// # Errors
    /// [`Error::Argument`] if there is none in it, or there is no cryptography provider.
    pub fn with_ca_pem(pem: &[u8]) -> Result<Self, Error> {
        let bad = |why: String| Error::Argument { what: "the CA file", why };
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| bad(format!("is not PEM: {error}")))?;
            roots.add(certificate).map_err(|error| bad(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(bad("has no PEM certificate in it".to_owned()));
        }
        Self::trusting(roots, provider()?)
    }

    /// Trusts `roots` and computes with `provider`.
    ///
    /// # Errors
    /// [`Error::Argument`] if the two cannot work together.
    pub fn trusting(roots: RootCertStore, provider: Arc<CryptoProvider>) -> Result<Self, Error> {
        let bad = |why: String| Error::Argument { what: "the TLS configuration", why };
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .map_err(|error| bad(error.to_string()))?;
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| bad(error.to_string()))?
            .with_webpki_verifier(Arc::clone(&verifier))
            .with_no_client_auth();
        Ok(Self { config: Arc::new(config), verifier: Some(verifier), inspecting: false })
    }

    /// Uses a configuration of the caller's own. Whatever its verifier lets pass counts as verified.
    #[must_use]
    pub const fn from_config(config: Arc<ClientConfig>) -> Self {
        Self { config, verifier: None, inspecting: false }
    }

    /// The configuration, to use it for connections of one's own.
    #[must_use]
    pub fn rustls(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }

    /// Fills `octets` with what nobody can predict.
    ///
    /// # Errors
    /// [`Error::Argument`] if the provider has no random numbers.
    #[cfg(feature = "scram")]
    pub fn fill_random(&self, octets: &mut [u8]) -> Result<(), Error> {
        let random = self.config.crypto_provider().secure_random;
        random.fill(octets).map_err(|_| Error::Argument {
            what: "the cryptography provider",
            why: "has no random numbers".to_owned(),
        })
    }

    /// Lets the handshake end with a certificate that does not verify, so that an
    /// [`Observer`](crate::Observer) sees it. Where the policy requires TLS it fails all the same,
    /// before anything is sent.
    #[must_use]
    pub const fn inspecting(mut self) -> Self {
        self.inspecting = true;
        self
    }

    /// What the handshake of one connection begins with. `name` is whom the certificate must be for.
    ///
    /// # Errors
    /// [`Error::Argument`] if nobody can have that name.
    pub fn open(&self, name: &str, alpn: Option<&[u8]>, policy: Policy) -> Result<Opening, Error> {
        let server = ServerName::try_from(name.to_owned()).map_err(|error| Error::Argument {
            what: "the server's name",
            why: format!("{name:?} cannot be verified: {error}"),
        })?;
        let mut offered = self.config.alpn_protocols.clone();
        offered.extend(alpn.map(<[u8]>::to_vec));
        let lenient = policy == Policy::Opportunistic || self.inspecting;
        let (config, judging) = match &self.verifier {
            Some(verifier) if lenient => {
                let judging = Arc::new(Judging::new(Arc::clone(verifier) as _));
                let mut config = ClientConfig::clone(&self.config);
                // A session that began with a stranger must not be resumed by who is strict.
                config.resumption = Resumption::disabled();
                config.dangerous().set_certificate_verifier(Arc::clone(&judging) as _);
                (Arc::new(config), Some(judging))
            }
            _ => (Arc::clone(&self.config), None),
        };
        Ok(Opening { config, name: server, alpn: offered, judging, policy })
    }
}

/// What a client's handshake begins with.
#[derive(Debug)]
pub struct Opening {
    /// The configuration.
    pub config: Arc<ClientConfig>,
    /// Whom the certificate must be for.
    pub name: ServerName<'static>,
    /// What is offered.
    pub alpn: Vec<Vec<u8>>,
    /// Who judges the certificate if not the handshake.
    judging: Option<Arc<Judging>>,
    policy: Policy,
}

impl Opening {
    /// The configuration, for a TLS that takes no ALPN ids of a connection's own.
    #[must_use]
    pub fn config_with_alpn(&self) -> Arc<ClientConfig> {
        let mut config = ClientConfig::clone(&self.config);
        config.alpn_protocols.clone_from(&self.alpn);
        Arc::new(config)
    }

    /// What is known of the server, behind the handshake.
    ///
    /// # Errors
    /// [`Error::Tls`] if nobody vouches for it, and the policy requires that.
    pub fn judge(
        &self,
        tls: &CommonState,
        observer: &mut dyn Observer,
    ) -> Result<Verification, Error> {
        let problem = self.judging.as_deref().and_then(Judging::problem);
        observer.secured(tls, problem.as_ref());
        match problem {
            Some(problem) if self.policy == Policy::Required => Err(problem.into()),
            Some(_) => Ok(Verification::Unverified),
            None => Ok(Verification::Verified),
        }
    }
}

/// The provider that a feature names, or the process's own.
fn provider() -> Result<Arc<CryptoProvider>, Error> {
    if let Some(provider) = CryptoProvider::get_default() {
        return Ok(Arc::clone(provider));
    }
    #[cfg(feature = "ring")]
    return Ok(Arc::new(rustls::crypto::ring::default_provider()));
    #[cfg(all(feature = "aws-lc-rs", not(feature = "ring")))]
    return Ok(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    #[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
    Err(Error::Argument {
        what: "the cryptography provider",
        why: "is missing: enable the feature `ring` or `aws-lc-rs`, or install one".to_owned(),
    })
}

/// Whether TLS ended with the protocol that it takes, where it takes one.
///
/// # Errors
/// [`Foreign`](starttls::Error::Foreign).
pub fn check_alpn(alpn: Option<&[u8]>, tls: &CommonState) -> Result<(), Error> {
    match alpn {
        Some(alpn) if tls.alpn_protocol() != Some(alpn) => Err(starttls::Error::Foreign.into()),
        _ => Ok(()),
    }
}

/// Hands a server's TLS what the client sent of it ahead of the go-ahead.
///
/// # Errors
/// [`Error::Tls`] if it is no TLS, or [`Error::Io`].
pub fn take_early(tls: &mut ServerConnection, early: &mut &[u8]) -> Result<(), Error> {
    while !early.is_empty() {
        tls.read_tls(early).map_err(Error::io(Doing::Handshake))?;
        tls.process_new_packets()?;
    }
    Ok(())
}
