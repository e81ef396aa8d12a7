//! Certificates for tests: an authority, and the servers that it vouches for.
//!
//! Whatever cannot be made panics: a test has nothing to go on with.

use std::sync::Arc;

use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ALL_VERSIONS, ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};

/// The cryptography of all that is made here.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// A CA that nobody else knows.
#[derive(Debug)]
pub struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Default for Authority {
    // A name that is not the server's: OpenSSL would take that for a self-signed certificate.
    fn default() -> Self {
        Self::new("a CA for tests")
    }
}

impl Authority {
    /// With this common name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.self_signed(&key).expect("a CA");
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// Its own certificate.
    #[must_use]
    pub fn der(&self) -> &CertificateDer<'static> {
        self.certificate.der()
    }

    /// Its own certificate, as text.
    #[must_use]
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// Itself and no other.
    #[must_use]
    pub fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.der().clone()).expect("a CA");
        roots
    }

    /// A client that trusts it alone, with these versions of TLS.
    #[must_use]
    pub fn client(&self, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
        ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .expect("versions")
            .with_root_certificates(self.roots())
            .with_no_client_auth()
    }

    /// A server's certificate for these names.
    #[must_use]
    pub fn identity<N: Into<String>>(&self, names: impl IntoIterator<Item = N>) -> Identity {
        let names: Vec<_> = names.into_iter().map(Into::into).collect();
        let key = KeyPair::generate().expect("a key");
        let certificate = CertificateParams::new(names)
            .and_then(|leaf| leaf.signed_by(&key, &self.issuer))
            .expect("a certificate");
        Identity { certificate, key }
    }

    /// A server's certificate for `localhost`.
    #[must_use]
    pub fn localhost(&self) -> Identity {
        self.identity(["localhost"])
    }
}

/// A server's certificate and its key.
#[derive(Debug)]
pub struct Identity {
    certificate: Certificate,
    key: KeyPair,
}

impl Identity {
    /// The certificate.
    #[must_use]
    pub fn der(&self) -> &CertificateDer<'static> {
        self.certificate.der()
    }

    /// The certificate, as text.
    #[must_use]
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// The key, as text.
    #[must_use]
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// A server that shows it, with every version of TLS.
    #[must_use]
    pub fn server(&self) -> ServerConfig {
        self.server_of(ALL_VERSIONS)
    }

    /// A server that shows it, with these versions of TLS.
    #[must_use]
    pub fn server_of(&self, versions: &[&'static SupportedProtocolVersion]) -> ServerConfig {
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).expect("a key");
        ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![self.der().clone()], key)
            .expect("a certificate")
    }
}
