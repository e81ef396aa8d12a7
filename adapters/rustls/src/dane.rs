//! Verification by TLSA records instead of public certificate authorities (RFC 7672 §3).

mod authority;
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
use starttls::mx::Names;
use starttls::mx::dane::{Association, Associations, Matching, Selector, Usage};
use webpki::{EndEntityCert, KeyUsage, VerifiedPath};

use authority::Authority;

/// A TLSA record.
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

/// Verifies a server by its TLSA records, for one connection with
/// [`Requirement::Dane`](starttls::mx::Requirement::Dane).
///
/// - `DANE-EE`: the server's own certificate matches a record. Its names and dates do not matter.
/// - `DANE-TA`: a CA certificate of the chain matches a record. The chain has to be valid, including the CA's
///   own dates and limits, and the server's certificate has to contain one of the names.
///
/// The name is a DNS name of the alternative names or, if there is none, a Common Name (RFC 7672 §3.2.3). A
/// Common Name counts only if no CA in the chain has name constraints. The server has to send the matching CA
/// certificate, unless the record contains the whole certificate or key.
///
/// If no record matches, the error is [`CertificateError::ApplicationVerificationFailure`]. SNI has to be the
/// base domain (RFC 7672 §8.1): connect with [`server_name`](Self::server_name).
///
/// ```
/// use std::sync::Arc;
/// use rustls::crypto::CryptoProvider;
/// use starttls::mx::{Names, dane::Associations};
/// use starttls_rustls::dane::Verifier;
///
/// fn verifier(names: Names<'_>, records: Associations<'_>, provider: Arc<CryptoProvider>) {
///     let verifier = Verifier::new(names, records, provider).expect("a DNS name");
///     assert_eq!(verifier.verified_by(), None); // no handshake yet
/// }
/// ```
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

#[cfg(feature = "defmt")]
impl defmt::Format for Verifier {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Verifier(..)");
    }
}

impl Verifier {
    /// A verifier for these records. The first of `names` is the base domain.
    ///
    /// # Errors
    /// The base domain is no valid DNS name of a certificate.
    pub fn new(
        names: Names<'_>,
        records: Associations<'_>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, InvalidDnsNameError> {
        let mut all = names.iter().map(|name| {
            DnsName::try_from(name.as_str()).map(|name| ServerName::DnsName(name.to_owned()))
        });
        let base = all.next().unwrap_or(Err(InvalidDnsNameError))?;
        // A further name that no certificate can contain matches nothing, so it is left out.
        let names = core::iter::once(base.clone()).chain(all.flatten()).collect();
        let records = records.iter().map(Record::new).collect();
        Ok(Self { provider, records, base, names, verified: AtomicU8::new(0) })
    }

    /// The base domain, for SNI.
    #[must_use]
    pub const fn server_name(&self) -> &ServerName<'static> {
        &self.base
    }

    /// The usage of the record that verified the server. `None` if the server is not verified.
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

    /// The authorities that match a record, or the error if none of them is usable.
    fn authorities(
        &self,
        end_entity: &CertificateDer<'_>,
        presented: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<Vec<Authority>, CertificateError> {
        let whole = |selector| {
            self.of(Usage::TrustAnchor).filter(move |record| {
                (record.selector, record.matching) == (selector, Matching::Full)
            })
        };
        let recorded: Vec<CertificateDer<'_>> =
            whole(Selector::Certificate).map(|record| record.data.as_slice().into()).collect();
        let vouched = presented.iter().filter(|certificate| {
            self.of(Usage::TrustAnchor).any(|record| record.matches(certificate))
        });
        let mut authorities = Vec::new();
        let mut problem = CertificateError::ApplicationVerificationFailure;
        for certificate in vouched.chain(&recorded) {
            match Authority::new(certificate, now) {
                Ok(authority) => authorities.push(authority),
                Err(error) => problem = error,
            }
        }
        for record in whole(Selector::PublicKey) {
            if !presented.iter().any(|certificate| record.matches(certificate)) {
                let issued = core::iter::once(end_entity).chain(presented);
                authorities.extend(issued.filter_map(|it| Authority::of_key(&record.data, it)));
            }
        }
        if authorities.is_empty() { Err(problem) } else { Ok(authorities) }
    }

    /// Checks the chain from a matching authority: its signatures, dates and limits, and the server's name.
    fn verify_chain(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let authorities = self.authorities(end_entity, intermediates, now)?;
        let anchors = authorities.iter().map(|authority| authority.anchor.clone());
        let anchors = RootCertStore { roots: anchors.collect() };
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        // rustls checks first, because its errors explain more than webpki's. It cannot check `is_allowed`.
        verify_server_cert_signed_by_trust_anchor(
            &certificate,
            &anchors,
            intermediates,
            now,
            algorithms,
        )?;
        let is_allowed = |path: &VerifiedPath<'_>| {
            let is = authorities.iter().any(|authority| authority.allows(path));
            if is { Ok(()) } else { Err(webpki::Error::PathLenConstraintViolated) }
        };
        let chain =
            EndEntityCert::try_from(end_entity).map_err(|_| CertificateError::BadEncoding)?;
        let server = KeyUsage::server_auth();
        let roots = &anchors.roots;
        let path = chain
            .verify_for_usage(
                algorithms,
                roots,
                intermediates,
                now,
                server,
                None,
                Some(&is_allowed),
            )
            .map_err(|_| CertificateError::UnknownIssuer)?;
        let mut verdict = Err(CertificateError::NotValidForName.into());
        for name in &self.names {
            verdict = verdict.or_else(|_: rustls::Error| verify_server_name(&certificate, name));
        }
        // The chain's name constraints are not checked against Common Names, so a constrained CA could
        // otherwise issue any.
        let is_limited = path.anchor().name_constraints.is_some()
            || path.intermediate_certificates().any(|one| common_name::is_constrained(&one.der()));
        if !is_limited && common_name::has_one(end_entity, &self.names) {
            verdict = Ok(());
        }
        verdict
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
        self.verify_chain(end_entity, intermediates, now)?;
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
