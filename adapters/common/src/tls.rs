use std::fmt;
use std::sync::Arc;

use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
#[cfg(feature = "scram")]
use rustls::crypto::SecureRandom;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::TLS12;
use rustls::{ClientConfig, CommonState, OtherError, RootCertStore, ServerConnection};
use starttls::{Policy, Protocol, Verification};
use starttls_rustls::{Judging, explain};

use crate::trust::{Trust, empty_anchor, may_issue};
use crate::{Doing, Error, Observer};

const CA_FILE: &str = "the CA file";
const CLIENT_KEY: &str = "the client certificate's private key";
const CONFIGURATION: &str = "the TLS configuration";

fn bad(what: &'static str, why: impl Into<String>) -> Error {
    Error::Argument { what, why: why.into() }
}

/// Parses the certificates of a PEM text. There has to be at least one.
pub(crate) fn certificates(
    pem: &[u8],
    what: &'static str,
) -> Result<Vec<CertificateDer<'static>>, Error> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match all {
        Ok(all) if all.is_empty() => Err(bad(what, "has no PEM certificate in it")),
        Ok(all) => Ok(all),
        Err(error) => Err(bad(what, format!("is not PEM: {error}"))),
    }
}

/// A client's trust in servers, and its cryptography.
///
/// ```no_run
/// use starttls_common::ClientTls;
///
/// let tls = ClientTls::with_ca_pem(&std::fs::read("ca.pem")?)?
///     .with_client_cert_pem(&std::fs::read("client.pem")?, &std::fs::read("client.key")?)?;
/// assert!(tls.is_certified());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
    verifier: Option<Arc<Trust>>,
    inspecting: bool,
    without_alpn: bool,
}

impl ClientTls {
    /// Trusts the system's certificate authorities.
    ///
    /// If the variables `SSL_CERT_FILE` or `SSL_CERT_DIR` are set, they name a PEM file or a directory with the
    /// authorities instead.
    ///
    /// # Errors
    /// [`Error::Argument`] if no authority of the system can be read, or if there is no cryptography
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

    /// Trusts the authorities whose certificates are in a PEM text, and no others.
    ///
    /// A server that shows one of these certificates as its own, byte for byte, is trusted too, within the
    /// certificate's names and dates, whether or not it is a CA's. A certificate without CA rights is trusted
    /// for no other server.
    ///
    /// # Errors
    /// [`Error::Argument`] if the text has no certificate or a malformed one, or if there is no cryptography
    /// provider.
    pub fn with_ca_pem(pem: &[u8]) -> Result<Self, Error> {
        let certificates = certificates(pem, CA_FILE)?;
        let mut roots = RootCertStore::empty();
        for (index, certificate) in certificates.iter().enumerate() {
            let mut one = RootCertStore::empty();
            one.add(certificate.clone()).map_err(|error| {
                bad(
                    CA_FILE,
                    format!("has a bad certificate, number {}: {}", index + 1, explain(&error)),
                )
            })?;
            // Without this check, the holder of a self-signed server certificate could issue certificates for
            // any name.
            if may_issue(certificate) {
                roots.extend(one.roots);
            }
        }
        if roots.is_empty() {
            roots.roots.push(empty_anchor());
        }
        Self::trusting_also(roots, certificates, provider()?)
    }

    /// Trusts a server that shows one of the certificates of a PEM text as its own, byte for byte, and no
    /// other.
    ///
    /// The certificate's names and dates do not matter, because the caller knows whose certificate it is.
    /// This is the rule of TLSA records with usage DANE-EE (RFC 7671 §5.1).
    ///
    /// # Errors
    /// [`Error::Argument`] if the text has no certificate, or if there is no cryptography provider.
    pub fn with_pin_pem(pem: &[u8]) -> Result<Self, Error> {
        let provider = provider()?;
        let pinned = certificates(pem, "the file with the pinned certificate")?;
        Self::by(Trust::pinned(pinned, Arc::clone(&provider)), provider)
    }

    /// Shows the server a client certificate if it requests one.
    ///
    /// `chain` is a PEM chain that starts with the client's own certificate; `key` is its private key in PEM.
    ///
    /// # Errors
    /// [`Error::Argument`] if one of the two is missing or malformed, or if the key does not match the
    /// certificate.
    pub fn with_client_cert_pem(mut self, chain: &[u8], key: &[u8]) -> Result<Self, Error> {
        let chain = certificates(chain, "the client certificate")?;
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|error| bad(CLIENT_KEY, format!("is not a private key in PEM: {error}")))?;
        let certified = CertifiedKey::from_der(chain, key, self.config.crypto_provider())
            .map_err(|error| bad(CLIENT_KEY, format!("cannot be used: {}", explain(&error))))?;
        let mut config = ClientConfig::clone(&self.config);
        config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(certified));
        // A resumed session skips the certificate request, so sessions from before are dropped.
        config.resumption = Resumption::default();
        self.config = Arc::new(config);
        Ok(self)
    }

    /// Whether there is a client certificate, including one of a caller's configuration.
    #[must_use]
    pub fn is_certified(&self) -> bool {
        self.config.client_auth_cert_resolver.has_certs()
    }

    /// Trusts `roots`, with the cryptography of `provider`.
    ///
    /// # Errors
    /// [`Error::Argument`] if `roots` is empty or `provider` supports no TLS version of rustls.
    pub fn trusting(roots: RootCertStore, provider: Arc<CryptoProvider>) -> Result<Self, Error> {
        Self::trusting_also(roots, Vec::new(), provider)
    }

    /// Trusts `roots`, and the servers whose own certificate is in `known`.
    fn trusting_also(
        roots: RootCertStore,
        known: Vec<CertificateDer<'static>>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, Error> {
        let authorities =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .map_err(|error| bad(CONFIGURATION, error.to_string()))?;
        Self::by(Trust::authorities(authorities, known, Arc::clone(&provider)), provider)
    }

    fn by(trust: Trust, provider: Arc<CryptoProvider>) -> Result<Self, Error> {
        let verifier = Arc::new(trust);
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| bad(CONFIGURATION, error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&verifier) as _)
            .with_no_client_auth();
        let (config, verifier) = (Arc::new(config), Some(verifier));
        Ok(Self { config, verifier, inspecting: false, without_alpn: false })
    }

    /// Uses the caller's configuration. Every certificate that its verifier accepts counts as verified.
    #[must_use]
    pub const fn from_config(config: Arc<ClientConfig>) -> Self {
        Self { config, verifier: None, inspecting: false, without_alpn: false }
    }

    /// The configuration, for connections that the caller makes itself.
    #[must_use]
    pub fn rustls(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }

    /// Fills `octets` with random bytes of cryptographic quality.
    ///
    /// # Errors
    /// [`Error::Argument`] if the provider has no random numbers.
    #[cfg(feature = "scram")]
    pub fn fill_random(&self, octets: &mut [u8]) -> Result<(), Error> {
        fill(self.config.crypto_provider().secure_random, octets)
    }

    /// Completes the handshake even if the certificate does not verify, so that an
    /// [`Observer`](crate::Observer) sees it.
    ///
    /// If the policy requires TLS, the connection still fails before anything is sent.
    #[must_use]
    pub const fn inspecting(mut self) -> Self {
        self.inspecting = true;
        self
    }

    /// Does not offer the protocol's ALPN id. The ids of the configuration are still offered.
    ///
    /// Some servers know only another id and answer with the alert `no_application_protocol`.
    #[must_use]
    pub const fn without_alpn(mut self) -> Self {
        self.without_alpn = true;
        self
    }

    /// The configuration of one handshake. `name` is the name that the certificate has to contain.
    ///
    /// # Errors
    /// [`Error::Argument`] if `name` is no valid DNS name or IP address.
    pub fn open(&self, name: &str, alpn: Option<&[u8]>, policy: Policy) -> Result<Opening, Error> {
        let server = ServerName::try_from(name.to_owned()).map_err(|error| Error::Argument {
            what: "the server's name",
            why: format!("{name:?} cannot be verified: {error}"),
        })?;
        let mut offered = self.config.alpn_protocols.clone();
        offered.extend(alpn.filter(|_| !self.without_alpn).map(<[u8]>::to_vec));
        let lenient = policy == Policy::Opportunistic || self.inspecting;
        let (config, judging) = match &self.verifier {
            Some(verifier) if lenient => {
                let judging = Arc::new(Judging::new(Arc::clone(verifier) as _));
                let mut config = ClientConfig::clone(&self.config);
                // An opportunistic session has an unverified peer. A strict connection that resumed it would
                // skip verification.
                config.resumption = Resumption::disabled();
                config.dangerous().set_certificate_verifier(Arc::clone(&judging) as _);
                (Arc::new(config), Some(judging))
            }
            _ => (Arc::clone(&self.config), None),
        };
        Ok(Opening { config, name: server, alpn: offered, judging, policy })
    }
}

/// The configuration of a client's handshake.
#[derive(Debug)]
pub struct Opening {
    /// The configuration of rustls.
    pub config: Arc<ClientConfig>,
    /// The name that the certificate has to contain.
    pub name: ServerName<'static>,
    /// The offered ALPN ids.
    pub alpn: Vec<Vec<u8>>,
    /// The judge of the certificate, if the handshake itself accepts any.
    judging: Option<Arc<Judging>>,
    policy: Policy,
}

impl Opening {
    /// The configuration, for a TLS library that takes no ALPN ids for each connection.
    #[must_use]
    pub fn config_with_alpn(&self) -> Arc<ClientConfig> {
        let mut config = ClientConfig::clone(&self.config);
        config.alpn_protocols.clone_from(&self.alpn);
        Arc::new(config)
    }

    /// A placeholder configuration for a TLS library that creates its own connection.
    ///
    /// [`hello`](crate::hello) has already sent the ClientHello, and its connection replaces the
    /// placeholder's. Nothing of the placeholder is sent.
    #[must_use]
    pub fn placeholder(&self) -> Arc<ClientConfig> {
        let provider = Arc::clone(self.config.crypto_provider());
        // The cheapest one: a TLS 1.2 ClientHello needs no key exchange, and without resumption no session is
        // used up.
        ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS12]).map_or_else(
            |_| Arc::clone(&self.config),
            |builder| {
                let roots = RootCertStore::empty();
                let mut config = builder.with_root_certificates(roots).with_no_client_auth();
                config.resumption = Resumption::disabled();
                Arc::new(config)
            },
        )
    }

    /// How far the server was verified. Call it after the handshake.
    ///
    /// # Errors
    /// [`Error::Tls`] if the policy requires a verified server and it is not verified.
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

/// Fills `octets` with random numbers of a provider.
#[cfg(feature = "scram")]
pub(crate) fn fill(random: &dyn SecureRandom, octets: &mut [u8]) -> Result<(), Error> {
    random.fill(octets).map_err(|_| Error::Argument {
        what: "the cryptography provider",
        why: "has no random numbers".to_owned(),
    })
}

/// The process's default provider, or else that of the enabled feature.
pub(crate) fn provider() -> Result<Arc<CryptoProvider>, Error> {
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

/// Checks that a server chose the ALPN id of a protocol that [demands](starttls::Protocol::demands_alpn) it.
///
/// Without it, an attacker could redirect the connection to a server of another protocol that has a
/// certificate for the same name (ALPACA).
///
/// # Errors
/// [`Error::Tls`] if the server chose another id or none.
pub fn check_chosen(protocol: Protocol, chosen: Option<&[u8]>) -> Result<(), Error> {
    match protocol.alpn.filter(|_| protocol.demands_alpn()) {
        Some(alpn) if chosen != Some(alpn) => {
            let why = NotChosen(protocol.name);
            Err(Error::Tls(rustls::Error::Other(OtherError(Arc::new(why)))))
        }
        _ => Ok(()),
    }
}

#[derive(Debug)]
struct NotChosen(&'static str);

impl fmt::Display for NotChosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the server did not choose the ALPN id that {} demands where TLS comes first: it speaks another protocol \
             or an older version",
            self.0
        )
    }
}

impl std::error::Error for NotChosen {}

/// Checks that a server's handshake ended with the ALPN id `alpn`, if there is one.
///
/// # Errors
/// [`Foreign`](starttls::Error::Foreign) if the client did not choose the id.
pub fn check_alpn(alpn: Option<&[u8]>, tls: &CommonState) -> Result<(), Error> {
    match alpn {
        Some(alpn) if tls.alpn_protocol() != Some(alpn) => Err(starttls::Error::Foreign.into()),
        _ => Ok(()),
    }
}

/// Gives a server's TLS the bytes that the client sent before the go-ahead.
///
/// # Errors
/// [`Error::Tls`] if the bytes are not TLS, and [`Error::Io`].
pub fn take_early(tls: &mut ServerConnection, early: &mut &[u8]) -> Result<(), Error> {
    while !early.is_empty() {
        tls.read_tls(early).map_err(Error::io(Doing::Handshake))?;
        tls.process_new_packets()?;
    }
    Ok(())
}
