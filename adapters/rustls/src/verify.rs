//! A verifier that lets the handshake end, so that the caller's policy can judge.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use once_cell::race::OnceBox;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use starttls::Verification;

/// Remembers what the real verifier said of the certificate. The proof that the server owns it is
/// demanded as ever.
#[derive(Debug)]
pub struct Judging {
    verifier: Arc<dyn ServerCertVerifier>,
    verdict: OnceBox<Result<(), Error>>,
}

impl Judging {
    /// For one handshake.
    #[must_use]
    pub fn new(verifier: Arc<dyn ServerCertVerifier>) -> Self {
        Self { verifier, verdict: OnceBox::new() }
    }

    /// Why the certificate does not verify. A verifier that was never asked has not said yes.
    #[must_use]
    pub fn problem(&self) -> Option<Error> {
        match self.verdict.get() {
            Some(verdict) => verdict.clone().err(),
            None => Some(Error::NoCertificatesPresented),
        }
    }

    /// Whether the verifier was asked and said yes.
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
