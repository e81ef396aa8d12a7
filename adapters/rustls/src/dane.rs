//! Certificates checked by TLSA records instead of by authorities that everybody trusts (RFC 7672 §3).

mod common_name;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU8, Ordering};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, DnsName, InvalidDnsNameError, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256, Sha512};
use starttls::policy::Names;
use starttls::policy::dane::{Association, Associations, Matching, Selector, Usage};

/// What a certificate is compared with.
#[derive(Debug)]
struct Record {
    usage: Usage,
    selector: Selector,
    matching: Matching,
    data: Vec<u8>,
}

impl Record {
    fn new(association: Association<'_>) -> Self {
        let Association { usage, selector, matching, data, .. } = association;
        Self { usage, selector, matching, data: data.into() }
    }

    fn matches(&self, certificate: &CertificateDer<'_>) -> bool {
        let selected = |octets: &[u8]| match self.matching {
            Matching::Full => octets == self.data,
            Matching::Sha256 => Sha256::digest(octets).as_slice() == self.data,
            Matching::Sha512 => Sha512::digest(octets).as_slice() == self.data,
        };
        match self.selector {
            Selector::Certificate => selected(certificate),
            Selector::PublicKey => ParsedCertificate::try_from(certificate)
                .is_ok_and(|parsed| selected(&parsed.subject_public_key_info())),
        }
    }
}

/// Verifies a server by its TLSA records. Made for one connection, to
/// [`Requirement::Dane`](starttls::policy::Requirement::Dane).
///
/// A server whose own certificate matches (`DANE-EE`) is the right one whatever its names and dates are.
/// Where the certificate of an authority matches (`DANE-TA`), the chain from it has to be valid and the
/// server's certificate has to have one of the names: as a DNS name among its alternative names or, if
/// there is no DNS name, as a Common Name (RFC 7672 §3.2.3); the latter only where no authority in the
/// chain is limited to certain names. The authority has to be in the chain that the server presents,
/// unless the record is the whole of its certificate. Where nothing matches, the error is
/// [`CertificateError::ApplicationVerificationFailure`].
///
/// SNI has to carry the base domain (RFC 7672 §8.1): connect with [`server_name`](Self::server_name).
#[derive(Debug)]
pub struct Verifier {
    provider: Arc<CryptoProvider>,
    records: Vec<Record>,
    base: ServerName<'static>,
    names: Vec<ServerName<'static>>,
    verified: AtomicU8,
}

const BY_END_ENTITY: u8 = 1;
const BY_TRUST_ANCHOR: u8 = 2;

impl Verifier {
    /// A verifier that goes by these records.
    ///
    /// # Errors
    /// The base domain is no name that can stand in a certificate.
    pub fn new(
        names: Names<'_>,
        records: Associations<'_>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, InvalidDnsNameError> {
        let mut all = names.iter().map(|name| {
            DnsName::try_from(name.as_str()).map(|name| ServerName::DnsName(name.to_owned()))
        });
        let base = all.next().unwrap_or(Err(InvalidDnsNameError))?;
        // One that cannot be in a certificate is no reason to refuse the others.
        let names = core::iter::once(base.clone()).chain(all.flatten()).collect();
        let records = records.iter().map(Record::new).collect();
        Ok(Self { provider, records, base, names, verified: AtomicU8::new(0) })
    }

    /// The base domain, for SNI.
    #[must_use]
    pub const fn server_name(&self) -> &ServerName<'static> {
        &self.base
    }

    /// By which kind of record the server was verified; `None` if it was not.
    #[must_use]
    pub fn verified_by(&self) -> Option<Usage> {
        match self.verified.load(Ordering::Relaxed) {
            BY_END_ENTITY => Some(Usage::EndEntity),
            BY_TRUST_ANCHOR => Some(Usage::TrustAnchor),
            _ => None,
        }
    }

    fn of(&self, usage: Usage) -> impl Iterator<Item = &Record> {
        self.records.iter().filter(move |record| record.usage == usage)
    }

    /// The authorities that records vouch for.
    fn anchors(&self, presented: &[CertificateDer<'_>]) -> RootCertStore {
        let mut anchors = RootCertStore::empty();
        for certificate in presented {
            if self.of(Usage::TrustAnchor).any(|record| record.matches(certificate)) {
                // One that cannot be read issued nothing that could be checked.
                let _ = anchors.add(certificate.clone().into_owned());
            }
        }
        for record in self.of(Usage::TrustAnchor) {
            if (record.selector, record.matching) == (Selector::Certificate, Matching::Full) {
                let _ = anchors.add(record.data.clone().into());
            }
        }
        anchors
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.verified.store(0, Ordering::Relaxed);
        if self.of(Usage::EndEntity).any(|record| record.matches(end_entity)) {
            self.verified.store(BY_END_ENTITY, Ordering::Relaxed);
            return Ok(ServerCertVerified::assertion());
        }
        let anchors = self.anchors(intermediates);
        if anchors.is_empty() {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        let certificate = ParsedCertificate::try_from(end_entity)?;
        verify_server_cert_signed_by_trust_anchor(
            &certificate,
            &anchors,
            intermediates,
            now,
            self.provider.signature_verification_algorithms.all,
        )?;
        let mut verdict = Err(CertificateError::NotValidForName.into());
        for name in &self.names {
            verdict = verdict.or_else(|_: rustls::Error| verify_server_name(&certificate, name));
        }
        // Whether a chain's limits allow a Common Name is not checked with the chain.
        let is_limited = || {
            anchors.roots.iter().any(|anchor| anchor.name_constraints.is_some())
                || intermediates.iter().any(common_name::is_constrained)
        };
        if verdict.is_err() && (!common_name::has_one(end_entity, &self.names) || is_limited()) {
            verdict?;
        }
        self.verified.store(BY_TRUST_ANCHOR, Ordering::Relaxed);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
