use std::sync::Arc;

use starttls_tokio::ClientTls;
use test_identity::provider;
use tokio_rustls::TlsAcceptor;

/// A certificate authority.
pub(crate) struct Authority {
    ca: test_identity::Authority,
    /// A client that trusts only this authority.
    pub(crate) trust: ClientTls,
}

/// A server's certificate.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) acceptor: TlsAcceptor,
    /// The certificate in hexadecimal, for a TLSA record.
    pub(crate) certificate: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let ca = test_identity::Authority::default();
        let trust = ClientTls::trusting(ca.roots(), provider()).expect("roots");
        Self { ca, trust }
    }

    pub(crate) fn identity(&self, names: &[&str]) -> Identity {
        let identity = self.ca.identity(names.iter().copied());
        Identity {
            acceptor: Arc::new(identity.server()).into(),
            certificate: identity.der().iter().map(|octet| format!("{octet:02X}")).collect(),
        }
    }
}
