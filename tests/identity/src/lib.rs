//! Certificates for tests: an authority, and certificates that it signs.
//!
//! Every failure panics, because a test cannot continue without its certificates.

use std::io::{Read, Write};
use std::sync::Arc;

pub use rcgen;
use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{
    ALL_VERSIONS, ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned,
    SupportedProtocolVersion,
};

/// The crypto provider of every configuration in this crate.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// The size of a piece of a ClientHello, in bytes.
const PIECE: usize = 300;

/// Requests TLS from a mail server and sends `localhost` a ClientHello too large for one segment, like one with
/// post-quantum key shares. It goes in pieces; its first `early` bytes go together with the request.
pub fn hello_in_pieces<S: Read + Write>(
    mut stream: S,
    mut config: ClientConfig,
    early: usize,
) -> StreamOwned<ClientConnection, S> {
    config.alpn_protocols = (0..99).map(|n| format!("unused protocol {n}").into()).collect();
    let name = ServerName::try_from("localhost").expect("a name");
    let mut tls = ClientConnection::new(Arc::new(config), name).expect("a client");
    let mut hello = Vec::new();
    while tls.wants_write() {
        tls.write_tls(&mut hello).expect("written");
    }
    assert!(hello.len() > 1500, "{}", hello.len());
    let (early, late) = hello.split_at(early);
    // In the last line of each reply a space follows the code.
    let reply = |stream: &mut S| {
        let mut line = vec![0; 4];
        while line.get(3) != Some(&b' ') || line.last() != Some(&b'\n') {
            if line.last() == Some(&b'\n') || line == [0; 4] {
                line.clear();
            }
            let mut octet = [0];
            stream.read_exact(&mut octet).expect("an answer");
            line.push(octet[0]);
        }
    };
    reply(&mut stream);
    stream.write_all(b"EHLO me\r\n").expect("written");
    reply(&mut stream);
    stream.write_all(&[b"STARTTLS\r\n", early].concat()).expect("written");
    reply(&mut stream);
    for piece in late.chunks(PIECE) {
        stream.write_all(piece).and_then(|()| stream.flush()).expect("written");
    }
    StreamOwned::new(tls, stream)
}

/// A CA only for this test.
#[derive(Debug)]
pub struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Default for Authority {
    // Not the server's name: OpenSSL would consider that a self-signed certificate.
    fn default() -> Self {
        Self::new("a CA for tests")
    }
}

impl Authority {
    /// Makes an authority with this common name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let (params, key) = authority(name);
        let certificate = params.self_signed(&key).expect("a CA");
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// Makes an intermediate authority with this common name, signed by this one.
    #[must_use]
    pub fn intermediate(&self, name: &str) -> Self {
        let (params, key) = authority(name);
        let certificate = params.signed_by(&key, &self.issuer).expect("a CA");
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// The authority's certificate.
    #[must_use]
    pub fn der(&self) -> &CertificateDer<'static> {
        self.certificate.der()
    }

    /// The authority's certificate, as PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// A root store that contains only this authority.
    #[must_use]
    pub fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.der().clone()).expect("a CA");
        roots
    }

    /// A client that trusts only this authority, with these versions of TLS.
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
        self.identity_with(names, |_| ())
    }

    /// The same, with its parameters changed by `change`.
    #[must_use]
    pub fn identity_with<N: Into<String>>(
        &self,
        names: impl IntoIterator<Item = N>,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Identity {
        let (leaf, key) = leaf(names, change);
        let certificate = leaf.signed_by(&key, &self.issuer).expect("a certificate");
        Identity { certificate, key }
    }

    /// A server's certificate for `localhost`.
    #[must_use]
    pub fn localhost(&self) -> Identity {
        self.identity(["localhost"])
    }
}

fn authority(name: &str) -> (CertificateParams, KeyPair) {
    leaf::<String>([], |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
    })
}

fn leaf<N: Into<String>>(
    names: impl IntoIterator<Item = N>,
    change: impl FnOnce(&mut CertificateParams),
) -> (CertificateParams, KeyPair) {
    let names: Vec<_> = names.into_iter().map(Into::into).collect();
    let mut params = CertificateParams::new(names).expect("names");
    change(&mut params);
    (params, KeyPair::generate().expect("a key"))
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

    /// A self-signed certificate, with its parameters changed by `change`.
    #[must_use]
    pub fn self_signed<N: Into<String>>(
        names: impl IntoIterator<Item = N>,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Self {
        let (params, key) = leaf(names, change);
        Self { certificate: params.self_signed(&key).expect("a certificate"), key }
    }

    /// The certificate, as PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// The key, as PEM.
    #[must_use]
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// A server with this certificate, with every version of TLS.
    #[must_use]
    pub fn server(&self) -> ServerConfig {
        self.server_of(ALL_VERSIONS)
    }

    /// A server with this certificate, with these versions of TLS.
    #[must_use]
    pub fn server_of(&self, versions: &[&'static SupportedProtocolVersion]) -> ServerConfig {
        ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![self.der().clone()], self.private_key())
            .expect("a certificate")
    }

    /// A server that sends this chain after its own certificate.
    #[must_use]
    pub fn server_with(
        &self,
        chain: impl IntoIterator<Item = CertificateDer<'static>>,
    ) -> ServerConfig {
        let chain = std::iter::once(self.der().clone()).chain(chain).collect();
        ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(chain, self.private_key())
            .expect("a certificate")
    }

    /// A server that demands a client certificate from this authority, with these versions of TLS.
    #[must_use]
    pub fn server_demanding(
        &self,
        clients: &Authority,
        versions: &[&'static SupportedProtocolVersion],
    ) -> ServerConfig {
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(clients.roots()), provider());
        ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .expect("versions")
            .with_client_cert_verifier(verifier.build().expect("a verifier"))
            .with_single_cert(vec![self.der().clone()], self.private_key())
            .expect("a certificate")
    }

    fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::try_from(self.key.serialize_der()).expect("a key")
    }
}
