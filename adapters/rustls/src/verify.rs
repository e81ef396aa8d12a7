//! A verifier that lets the handshake complete, so that the policy can judge afterwards.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use once_cell::race::OnceBox;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use starttls::Verification;

/// Wraps a verifier: stores its verdict about the certificate, and accepts the certificate in any case.
///
/// The signatures of the handshake are checked as usual, so the peer still has to prove that it owns the
/// certificate.
#[derive(Debug)]
pub struct Judging {
    verifier: Arc<dyn ServerCertVerifier>,
    verdict: OnceBox<Result<(), Error>>,
}

impl Judging {
    /// A verifier for one handshake.
    #[must_use]
    pub fn new(verifier: Arc<dyn ServerCertVerifier>) -> Self {
        Self { verifier, verdict: OnceBox::new() }
    }

    /// Why the certificate does not verify. [`Error::NoCertificatesPresented`] if the verifier was never
    /// asked.
    #[must_use]
    pub fn problem(&self) -> Option<Error> {
        match self.verdict.get() {
            Some(verdict) => verdict.clone().err(),
            None => Some(Error::NoCertificatesPresented),
        }
    }

    /// `Verified` only if the verifier was asked and accepted the certificate.
    pub(crate) fn verdict(&self) -> Verification {
        if self.problem().is_none() { Verification::Verified } else { Verification::Unverified }
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Judging {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Judging({})", self.verdict());
    }
}

impl ServerCertVerifier for Judging {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = self.verifier.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        // Only the first verdict counts. A later call cannot improve it.
        let _ = self.verdict.set(Box::new(verdict.map(drop)));
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        self.verifier.requires_raw_public_keys()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        self.verifier.root_hint_subjects()
    }
}
