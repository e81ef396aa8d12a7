use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme,
};
use x509_cert::certificate::Version;
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::BasicConstraints;
use x509_cert::{Certificate, name::Name};

/// Verifies a server by authorities, or by a certificate of its own that the caller knows.
#[derive(Debug)]
pub(crate) struct Trust {
    provider: Arc<CryptoProvider>,
    /// `None` if only the known certificates are trusted.
    authorities: Option<Arc<WebPkiServerVerifier>>,
    /// Certificates trusted as a server's own, if their names and dates are right.
    known: Vec<CertificateDer<'static>>,
    /// Certificates trusted as a server's own, whatever their names and dates.
    pinned: Vec<CertificateDer<'static>>,
}

impl Trust {
    /// Trusts these authorities, and servers that show one of the `known` certificates as their own. Other
    /// TLS libraries accept this of certificates in a CA file too, and self-signed server certificates are in
    /// wide use.
    pub(crate) const fn authorities(
        authorities: Arc<WebPkiServerVerifier>,
        known: Vec<CertificateDer<'static>>,
        provider: Arc<CryptoProvider>,
    ) -> Self {
        Self { provider, authorities: Some(authorities), known, pinned: Vec::new() }
    }

    /// Trusts only these certificates.
    pub(crate) const fn pinned(
        pinned: Vec<CertificateDer<'static>>,
        provider: Arc<CryptoProvider>,
    ) -> Self {
        Self { provider, authorities: None, known: Vec::new(), pinned }
    }
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        // Certificates are public, so a copy proves nothing. The handshake's signature, which is checked
        // below, proves that the server owns the key.
        if self.pinned.contains(end_entity) {
            return Ok(ServerCertVerified::assertion());
        }
        let Some(authorities) = &self.authorities else {
            return Err(other(NotPinned));
        };
        let verdict = authorities.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match verdict {
            // webpki reports both errors only after it has checked the dates, so an expired certificate does
            // not get here. The name is unchecked so far.
            Err(error) if has_no_issuer(&error) && self.known.contains(end_entity) => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
                Err(incomplete(end_entity, intermediates)
                    .map_or_else(|| CertificateError::UnknownIssuer.into(), other))
            }
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        self.authorities.as_ref()?.root_hint_subjects()
    }
}

/// Whether a certificate may issue others (RFC 5280 §4.2.1.9). X.509 version 1 has no extension to deny it.
pub(crate) fn may_issue(certificate: &CertificateDer<'_>) -> bool {
    let Ok(certificate) = Certificate::from_der(certificate) else { return false };
    let certificate = certificate.tbs_certificate();
    match certificate.get_extension::<BasicConstraints>() {
        Ok(Some((_, constraints))) => constraints.ca,
        Ok(None) => certificate.version() == Version::V1,
        Err(_) => false,
    }
}

/// An authority that verifies no certificate: no issuer's name is empty, and no signature is by an empty key.
/// rustls demands at least one authority.
pub(crate) fn empty_anchor() -> TrustAnchor<'static> {
    let nothing: &[u8] = &[];
    TrustAnchor {
        subject: nothing.into(),
        subject_public_key_info: nothing.into(),
        name_constraints: None,
    }
}

/// Whether no issuer was found. A self-signed certificate has this error too.
fn has_no_issuer(error: &Error) -> bool {
    match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => true,
        Error::InvalidCertificate(CertificateError::Other(OtherError(error))) => {
            matches!(error.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
        }
        _ => false,
    }
}

/// The issuer of the last certificate, if the chain could continue with one that the server did not send. The
/// usual cause is a server that is configured without its intermediate certificates.
fn incomplete(
    end_entity: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
) -> Option<IncompleteChain> {
    let chain: Option<Vec<_>> = std::iter::once(end_entity)
        .chain(intermediates)
        .map(|der| Certificate::from_der(der).ok())
        .collect();
    let chain = chain?;
    // The certificates may be in any order, as for rustls.
    let (mut last, mut left) = (chain.first()?, chain.len());
    let (subject, issuer) = loop {
        let (subject, issuer) = (last.tbs_certificate().subject(), last.tbs_certificate().issuer());
        left -= 1;
        let next = chain.iter().find(|next| next.tbs_certificate().subject() == issuer);
        match next {
            Some(next) if issuer != subject && left > 0 => last = next,
            _ => break (subject, issuer),
        }
    };
    (issuer != subject).then(|| IncompleteChain { issuer: shown(issuer), sent: chain.len() })
}

/// The name, escaped to ASCII: it is the server's, and may hold control characters.
fn shown(name: &Name) -> String {
    name.to_string().escape_default().to_string()
}

fn other(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    CertificateError::Other(OtherError(Arc::new(error))).into()
}

/// The server's certificate is not the pinned one. Wrapped in
/// [`CertificateError::Other`](rustls::CertificateError::Other).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotPinned;

impl fmt::Display for NotPinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the server shows another certificate than the one that is pinned")
    }
}

impl std::error::Error for NotPinned {}

/// The issuer is not trusted, and the server did not send the issuer's certificate. Wrapped in
/// [`CertificateError::Other`](rustls::CertificateError::Other).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IncompleteChain {
    issuer: String,
    sent: usize,
}

impl fmt::Display for IncompleteChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sent = match self.sent {
            1 => "only its own certificate".to_owned(),
            sent => format!("{sent} certificates"),
        };
        write!(
            f,
            "the server sent {sent}, and none was issued by a trusted authority: the certificate of {} is neither \
             among them nor trusted. If it is an intermediate authority, the server has to send its certificate too",
            self.issuer
        )
    }
}

impl std::error::Error for IncompleteChain {}
