//! A verifier that lets the handshake end, so that the caller's policy can judge.

use std::sync::{Arc, Mutex};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};

/// Remembers what the real verifier said of the certificate. The proof that the server owns it is
/// demanded as ever.
#[derive(Debug)]
pub(crate) struct Judging {
    verifier: Arc<dyn ServerCertVerifier>,
    problem: Mutex<Option<rustls::Error>>,
}

impl Judging {
    pub(crate) fn new(verifier: Arc<dyn ServerCertVerifier>) -> Self {
        let never_asked = rustls::Error::NoCertificatesPresented;
        Self { verifier, problem: Mutex::new(Some(never_asked)) }
    }

    /// Why the certificate does not verify.
    pub(crate) fn problem(&self) -> Option<rustls::Error> {
        match self.problem.lock() {
            Ok(problem) => problem.clone(),
            Err(poisoned) => poisoned.into_inner().clone(),
        }
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
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verdict = self.verifier.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        if let Ok(mut problem) = self.problem.lock() {
            *problem = verdict.err();
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}
