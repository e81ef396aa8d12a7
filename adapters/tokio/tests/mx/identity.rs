use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::{RootCertStore, ServerConfig};
use starttls_tokio::ClientTls;
use tokio_rustls::TlsAcceptor;

/// An authority.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Who trusts nobody else.
    pub(crate) trust: ClientTls,
}

/// A server's certificate.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) acceptor: TlsAcceptor,
    /// In hexadecimal, for a TLSA record.
    pub(crate) certificate: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut ca = CertificateParams::new(Vec::new()).expect("no names");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = ca.self_signed(&key).expect("a CA");
        let mut roots = RootCertStore::empty();
        roots.add(certificate.der().clone()).expect("a CA");
        let trust = ClientTls::trusting(roots, Arc::new(ring::default_provider())).expect("roots");
        Self { issuer: Issuer::new(ca, key), trust }
    }

    pub(crate) fn identity(&self, names: &[&str]) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let certificate =
            CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
                .and_then(|leaf| leaf.signed_by(&key, &self.issuer))
                .expect("a certificate");
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).expect("a key"),
            )
            .expect("a certificate");
        Identity {
            acceptor: Arc::new(config).into(),
            certificate: certificate.der().iter().map(|octet| format!("{octet:02X}")).collect(),
        }
    }
}
