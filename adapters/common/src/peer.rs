use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::{CipherSuite, ProtocolVersion, ServerConnection};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use crate::login::Exporter;

/// A client's certificate that the server's verifier accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCertificate {
    der: CertificateDer<'static>,
}

impl PeerCertificate {
    pub(crate) fn new(der: &CertificateDer<'_>) -> Self {
        Self { der: der.clone().into_owned() }
    }

    /// The certificate in DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The subject's distinguished name as in RFC 4514, in ASCII. Empty if there is none.
    #[must_use]
    pub fn subject(&self) -> String {
        let subject = self.read().map(|read| read.tbs_certificate().subject().to_string());
        subject.unwrap_or_default().escape_default().to_string()
    }

    /// The alternative names that are host names or mail addresses (RFC 5280 §4.2.1.6), in ASCII.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let read = self.read();
        let names = read.as_ref().and_then(|read| {
            read.tbs_certificate().get_extension::<SubjectAltName>().ok().flatten()
        });
        let Some((_, SubjectAltName(names))) = names else { return Vec::new() };
        let name = |name: &GeneralName| match name {
            GeneralName::DnsName(name) => Some(name.as_str().to_owned()),
            GeneralName::Rfc822Name(address) => Some(address.as_str().to_owned()),
            _ => None,
        };
        let names = names.iter().filter_map(name);
        names.map(|name| name.escape_default().to_string()).collect()
    }

    fn read(&self) -> Option<Certificate> {
        Certificate::from_der(&self.der).ok()
    }
}

/// What a server knows about the client of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peer {
    /// The client's address and port. `None` if the caller did not tell it, as for a Unix socket.
    pub address: Option<SocketAddr>,
    /// The name in the client's last `EHLO`, `HELO` or `LHLO`, escaped and in ASCII. Only the client claims
    /// it. After TLS has started it is the name from inside TLS.
    pub hello: Option<String>,
    /// Whether the client said `EHLO` or `LHLO`, which allow extensions.
    pub extended: bool,
    /// Whether it speaks LMTP instead of SMTP.
    pub lmtp: bool,
    /// The TLS of the connection. `None` in plaintext.
    pub tls: Option<Arc<PeerTls>>,
    /// The user that logged in.
    pub user: Option<String>,
}

impl Peer {
    /// Whether the connection uses TLS.
    #[must_use]
    pub const fn is_encrypted(&self) -> bool {
        self.tls.is_some()
    }

    /// The client's certificate, if the server requests one and the client showed one.
    #[must_use]
    pub fn certificate(&self) -> Option<&PeerCertificate> {
        self.tls.as_ref().and_then(|tls| tls.certificate.as_ref())
    }
}

/// The TLS that a server and a client agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerTls {
    /// The version.
    pub version: ProtocolVersion,
    /// The cipher suite.
    pub cipher: CipherSuite,
    /// The name of the server that the client asked for (SNI, RFC 6066 §3), in lower case.
    pub name: Option<String>,
    /// The client's certificate, if the server requests one and the client showed one.
    pub certificate: Option<PeerCertificate>,
    pub(crate) binding: Exporter,
}

impl PeerTls {
    pub(crate) fn new(tls: &ServerConnection) -> Self {
        let own = tls.peer_certificates().and_then(<[_]>::first);
        Self {
            version: tls.protocol_version().unwrap_or(ProtocolVersion::Unknown(0)),
            cipher: tls
                .negotiated_cipher_suite()
                .map_or(CipherSuite::Unknown(0), |suite| suite.suite()),
            name: tls.server_name().map(str::to_owned),
            certificate: own.map(PeerCertificate::new),
            binding: Exporter::of(tls),
        }
    }

    /// Whether the connection has a channel binding.
    #[must_use]
    pub(crate) fn can_bind(&self) -> bool {
        self.binding.is_some()
    }

    /// The channel binding `tls-exporter`, if the connection has one.
    #[cfg(feature = "scram")]
    pub(crate) fn exporter(&self) -> Option<&[u8; 32]> {
        self.binding.get()
    }

    /// The registered name of the cipher suite, such as `TLS_AES_128_GCM_SHA256`.
    #[must_use]
    pub fn cipher_name(&self) -> String {
        // The registry has no version in the names of the suites of TLS 1.3.
        format!("{:?}", self.cipher).replacen("TLS13_", "TLS_", 1)
    }
}
