//! Verification of a server: its certificates, its name, and its proof that it owns the key. By [`webpki`]
//! and P-256.

use core::fmt;
use core::sync::atomic::{AtomicU8, Ordering};
use core::time::Duration;

use embedded_tls::alert::{AlertDescription, AlertLevel};
use embedded_tls::{
    Aes128GcmSha256, CertificateEntryRef, CertificateRef, CertificateVerifyRef, Sha256,
    SignatureScheme, TlsError, TlsVerifier,
};
use p256::ecdsa::signature::DigestVerifier;
use p256::ecdsa::signature::digest::Digest;
use p256::ecdsa::{Signature, VerifyingKey};
use rustls_pki_types::{
    AlgorithmIdentifier, CertificateDer, InvalidSignature, ServerName,
    SignatureVerificationAlgorithm, TrustAnchor, UnixTime, alg_id,
};
use starttls::Verification;
use webpki::{EndEntityCert, Error, KeyUsage};

/// The cipher suite that every TLS 1.3 server has to support (RFC 8446 §9.1).
pub(crate) type Suite = Aes128GcmSha256;

/// The maximum number of intermediate certificates from a server.
const MAX_INTERMEDIATES: usize = 4;

/// The size of a public key, in bytes: an uncompressed P-256 point (SEC 1 §2.3.3).
const KEY: usize = 65;

/// Why a server did not verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Problem {
    /// The expected name is neither a host name nor an IP address.
    BadName,
    /// The clock does not know the time.
    NoTime,
    /// A certificate has expired.
    Expired,
    /// A certificate is not valid yet, or the clock is wrong.
    NotYetValid,
    /// The server's certificate is for another name. Only subject alternative names count, not the common
    /// name (RFC 9525 §2).
    WrongName,
    /// No trusted authority issued the server's certificate: no chain leads to a trust anchor.
    UnknownIssuer,
    /// The issuer of a certificate is no certificate authority.
    NotAnAuthority,
    /// The server shows a CA certificate as its own.
    Authority,
    /// A certificate is not for servers (RFC 5280 §4.2.1.12).
    WrongUsage,
    /// A CA issued a certificate for a name outside its name constraints (RFC 5280 §4.2.1.10).
    NameConstraint,
    /// The chain is longer than a CA allows, or than this client can follow.
    PathTooLong,
    /// The issuer's signature on a certificate is wrong.
    CertificateSignature,
    /// A key or a signature uses another algorithm than ECDSA on P-256 with SHA-256.
    UnsupportedAlgorithm,
    /// The server did not prove that it owns the certificate: its signature on the handshake is wrong (RFC
    /// 8446 §4.4.3) or missing.
    HandshakeSignature,
    /// The server sent no X.509 certificate.
    NoCertificate,
    /// A certificate does not have the form of RFC 5280.
    Malformed,
}

impl Problem {
    /// The alert to the server (RFC 8446 §6.2).
    const fn alert(self) -> AlertDescription {
        match self {
            Self::Expired | Self::NotYetValid => AlertDescription::CertificateExpired,
            Self::UnknownIssuer => AlertDescription::UnknownCa,
            Self::HandshakeSignature => AlertDescription::DecryptError,
            Self::UnsupportedAlgorithm => AlertDescription::UnsupportedCertificate,
            Self::BadName | Self::NoTime => AlertDescription::InternalError,
            _ => AlertDescription::BadCertificate,
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::CertExpired { .. } => Self::Expired,
            Error::CertNotValidYet { .. } => Self::NotYetValid,
            Error::CertNotValidForName(_) => Self::WrongName,
            Error::UnknownIssuer => Self::UnknownIssuer,
            Error::EndEntityUsedAsCa => Self::NotAnAuthority,
            Error::CaUsedAsEndEntity => Self::Authority,
            Error::RequiredEkuNotFoundContext(_) | Error::EmptyEkuExtension => Self::WrongUsage,
            Error::NameConstraintViolation => Self::NameConstraint,
            Error::PathLenConstraintViolated
            | Error::MaximumPathDepthExceeded
            | Error::MaximumPathBuildCallsExceeded
            | Error::MaximumSignatureChecksExceeded
            | Error::MaximumNameConstraintComparisonsExceeded => Self::PathTooLong,
            Error::InvalidSignatureForPublicKey => Self::CertificateSignature,
            Error::UnsupportedSignatureAlgorithmContext(_)
            | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
                Self::UnsupportedAlgorithm
            }
            _ => Self::Malformed,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadName => "the server's name is neither a host name nor an IP address",
            Self::NoTime => "the time is not known",
            Self::Expired => "a certificate has expired",
            Self::NotYetValid => "a certificate is not valid yet",
            Self::WrongName => "the server's certificate is for another name",
            Self::UnknownIssuer => "no trusted authority issued the server's certificate",
            Self::NotAnAuthority => "the issuer of a certificate is not a certificate authority",
            Self::Authority => "the server shows a CA certificate as its own",
            Self::WrongUsage => "a certificate is not for servers",
            Self::NameConstraint => {
                "an authority issued a certificate for a name that it is not allowed to certify"
            }
            Self::PathTooLong => "the certificate chain is too long",
            Self::CertificateSignature => "the signature on a certificate is wrong",
            Self::UnsupportedAlgorithm => {
                "a certificate uses another algorithm than P-256 with SHA-256"
            }
            Self::HandshakeSignature => "the server did not prove that it owns its certificate",
            Self::NoCertificate => "the server sent no certificate",
            Self::Malformed => "a certificate is malformed",
        })
    }
}

impl core::error::Error for Problem {}

/// The current time. Any function that returns it implements this.
pub trait Time {
    /// Seconds since 1970-01-01 00:00 UTC. `None` while the time is unknown: then no server verifies.
    fn now(&mut self) -> Option<u64>;
}

impl<F: FnMut() -> Option<u64>> Time for F {
    fn now(&mut self) -> Option<u64> {
        self()
    }
}

/// A trust anchor from a CA certificate in DER.
///
/// # Errors
/// [`Problem::Malformed`].
pub fn anchor<'a>(certificate: &'a CertificateDer<'a>) -> Result<TrustAnchor<'a>, Problem> {
    webpki::anchor_from_trusted_cert(certificate).map_err(Problem::from)
}

/// The expected name, the trusted authorities and the time.
#[derive(Clone)]
struct Trust<'a> {
    name: ServerName<'a>,
    anchors: &'a [TrustAnchor<'a>],
    now: UnixTime,
}

/// The verifier of one handshake.
pub(crate) struct Judge<'j> {
    /// `None` accepts any server.
    trust: Option<Trust<'j>>,
    /// Between the certificate and its proof: the signed transcript and the server's key.
    claim: Option<(Sha256, [u8; KEY])>,
    proven: bool,
    problem: Option<Problem>,
}

impl<'j> Judge<'j> {
    /// Trusts certificates issued by `anchors`. Without `anchors`, accepts any server as unverified.
    ///
    /// # Errors
    /// [`Problem::NoTime`], before anything is sent.
    pub(crate) fn new(
        name: &ServerName<'j>,
        anchors: Option<&'j [TrustAnchor<'j>]>,
        time: &mut impl Time,
    ) -> Result<Self, Problem> {
        let trust = match anchors {
            Some(anchors) => {
                let now = Duration::from_secs(time.now().ok_or(Problem::NoTime)?);
                Some(Trust { name: name.clone(), anchors, now: UnixTime::since_unix_epoch(now) })
            }
            None => None,
        };
        Ok(Self { trust, claim: None, proven: false, problem: None })
    }

    /// How far the server was verified, after the handshake.
    pub(crate) fn verdict(&self) -> Result<Verification, Problem> {
        match (&self.trust, self.problem) {
            (_, Some(problem)) => Err(problem),
            (None, None) => Ok(Verification::Unverified),
            // The end of a handshake proves nothing: only a verified signature does.
            (Some(_), None) if !self.proven => Err(Problem::HandshakeSignature),
            (Some(_), None) => Ok(Verification::Verified),
        }
    }

    /// The problem, if one was found.
    pub(crate) const fn problem(&self) -> Option<Problem> {
        self.problem
    }

    /// Stores a verdict. An error becomes the alert to the server.
    fn judged(&mut self, judgement: Result<(), Problem>) -> Result<(), TlsError> {
        judgement.map_err(|problem| {
            (self.proven, self.claim) = (false, None);
            self.problem = Some(problem);
            TlsError::AbortHandshake(AlertLevel::Fatal, problem.alert())
        })
    }
}

impl TlsVerifier<Suite> for Judge<'_> {
    /// Ignored: the name is in [`Trust`], and [`verify_chain`] checks it.
    fn set_hostname_verification(&mut self, _: &str) -> Result<(), TlsError> {
        Ok(())
    }

    fn verify_certificate(
        &mut self,
        transcript: &Sha256,
        certificate: CertificateRef<'_>,
    ) -> Result<(), TlsError> {
        (self.proven, self.claim) = (false, None);
        let Some(trust) = &self.trust else { return Ok(()) };
        let judgement = verify_chain(trust, &certificate)
            .map(|key| self.claim = Some((transcript.clone(), key)));
        self.judged(judgement)
    }

    fn verify_signature(&mut self, proof: CertificateVerifyRef<'_>) -> Result<(), TlsError> {
        if self.trust.is_none() {
            return Ok(());
        }
        // Taken, so that each proof needs its own certificate.
        let judgement = match self.claim.take() {
            Some((transcript, key)) => check_proof(&proof, transcript, &key),
            None => Err(Problem::NoCertificate),
        };
        self.proven = judgement.is_ok();
        self.judged(judgement)
    }
}

/// Verifies the chain to a trust anchor, the dates, the usage and the name (RFC 5280 §6, RFC 9525). Returns
/// the public key of the server's certificate.
fn verify_chain(trust: &Trust<'_>, certificate: &CertificateRef<'_>) -> Result<[u8; KEY], Problem> {
    let mut chain = certificate.entries.iter();
    let leaf = chain.next().and_then(der).ok_or(Problem::NoCertificate)?;
    let mut intermediates = [const { CertificateDer::from_slice(&[]) }; MAX_INTERMEDIATES];
    let mut count = 0;
    // Further certificates are ignored: a longer list would only extend the search.
    for ((place, entry), n) in intermediates.iter_mut().zip(chain).zip(1..) {
        *place = der(entry).ok_or(Problem::NoCertificate)?;
        count = n;
    }
    let leaf = EndEntityCert::try_from(&leaf)?;
    leaf.verify_for_usage(
        &[&P256Sha256],
        trust.anchors,
        intermediates.get(..count).unwrap_or_default(),
        trust.now,
        KeyUsage::server_auth(),
        None,
        None,
    )?;
    leaf.verify_is_valid_for_subject_name(&trust.name)?;
    let key = PublicKey::new();
    leaf.verify_signature(&key, b"", b"")?;
    Ok(key.octets())
}

fn der<'c>(entry: &CertificateEntryRef<'c>) -> Option<CertificateDer<'c>> {
    match *entry {
        CertificateEntryRef::X509(der) => Some(CertificateDer::from(der)),
        CertificateEntryRef::RawPublicKey(_) => None,
    }
}

/// Verifies the server's signature on the handshake (RFC 8446 §4.4.3). Without it, anyone could replay a
/// server's public certificate.
fn check_proof(
    proof: &CertificateVerifyRef<'_>,
    transcript: Sha256,
    key: &[u8],
) -> Result<(), Problem> {
    if proof.signature_scheme != SignatureScheme::EcdsaSecp256r1Sha256 {
        return Err(Problem::UnsupportedAlgorithm);
    }
    let signed = Sha256::new()
        .chain_update([b' '; 64])
        .chain_update(b"TLS 1.3, server CertificateVerify\0")
        .chain_update(transcript.finalize());
    check(key, signed, proof.signature).ok_or(Problem::HandshakeSignature)
}

/// Verifies an ECDSA signature on P-256. `None` if it is wrong or malformed.
fn check(key: &[u8], signed: Sha256, signature: &[u8]) -> Option<()> {
    let key = VerifyingKey::from_sec1_bytes(key).ok()?;
    let signature = Signature::from_der(signature).ok()?;
    key.verify_digest(signed, &signature).ok()
}

/// ECDSA on P-256 with SHA-256.
#[derive(Debug)]
struct P256Sha256;

impl SignatureVerificationAlgorithm for P256Sha256 {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let signed = Sha256::new().chain_update(message);
        check(public_key, signed, signature).ok_or(InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_P256
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_SHA256
    }
}

/// Copies the key from a certificate. Without a heap, webpki gives the key only to a signature algorithm, and
/// the certificate is gone when the proof arrives.
#[derive(Debug)]
struct PublicKey([AtomicU8; KEY]);

impl PublicKey {
    const fn new() -> Self {
        Self([const { AtomicU8::new(0) }; KEY])
    }

    fn octets(self) -> [u8; KEY] {
        self.0.map(AtomicU8::into_inner)
    }
}

impl SignatureVerificationAlgorithm for PublicKey {
    fn verify_signature(
        &self,
        public_key: &[u8],
        _: &[u8],
        _: &[u8],
    ) -> Result<(), InvalidSignature> {
        if public_key.len() != KEY {
            return Err(InvalidSignature);
        }
        for (place, octet) in self.0.iter().zip(public_key) {
            place.store(*octet, Ordering::Relaxed);
        }
        Ok(())
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_P256
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_SHA256
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge<'j>(anchors: Option<&'j [TrustAnchor<'j>]>) -> Judge<'j> {
        let name = ServerName::try_from("mail.example.org").expect("a name");
        Judge::new(&name, anchors, &mut || Some(1)).expect("a time")
    }

    const PROOF: CertificateVerifyRef<'_> = CertificateVerifyRef {
        signature_scheme: SignatureScheme::EcdsaSecp256r1Sha256,
        signature: &[],
    };

    #[test]
    fn a_server_without_proof_is_rejected() {
        assert_eq!(judge(Some(&[])).verdict(), Err(Problem::HandshakeSignature));
        let mut silent = judge(Some(&[]));
        assert!(silent.verify_signature(PROOF).is_err(), "a proof without a certificate");
        assert_eq!(silent.verdict(), Err(Problem::NoCertificate));
        let mut empty = judge(Some(&[]));
        let nothing = CertificateRef::with_context(&[]);
        assert!(empty.verify_certificate(&Sha256::default(), nothing).is_err());
        assert_eq!(empty.verdict(), Err(Problem::NoCertificate));
    }

    #[test]
    fn without_anchors_no_server_is_verified() {
        let mut lenient = judge(None);
        let nothing = CertificateRef::with_context(&[]);
        assert!(lenient.verify_certificate(&Sha256::default(), nothing).is_ok());
        assert!(lenient.verify_signature(PROOF).is_ok());
        assert_eq!(lenient.verdict(), Ok(Verification::Unverified));
    }
}
