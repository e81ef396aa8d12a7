use rustls::pki_types::CertificateDer;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

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
