//! The client's verification of certificates.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

use crate::client::ClientFault;

/// A verifier that overlooks what the fault says.
#[derive(Debug)]
pub(crate) struct Lenient {
    pub(crate) verifier: Arc<WebPkiServerVerifier>,
    pub(crate) fault: Option<ClientFault>,
}

impl Lenient {
    fn overlooks(&self, error: &Error) -> bool {
        use CertificateError as E;
        let Error::InvalidCertificate(error) = error else { return false };
        match self.fault {
            Some(ClientFault::AnyIssuer) => matches!(error, E::UnknownIssuer),
            Some(ClientFault::Expired) => matches!(error, E::Expired | E::ExpiredContext { .. }),
            Some(ClientFault::NotYet) => {
                matches!(error, E::NotValidYet | E::NotValidYetContext { .. })
            }
            Some(ClientFault::AnyName) => {
                matches!(error, E::NotValidForName | E::NotValidForNameContext { .. })
            }
            Some(ClientFault::IgnoresList) => matches!(error, E::Revoked),
            Some(ClientFault::AnyPurpose) => {
                matches!(error, E::InvalidPurpose | E::InvalidPurposeContext { .. })
            }
            _ => false,
        }
    }
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.verifier.verify_server_cert(certificate, chain, name, ocsp, now) {
            Err(error) if self.overlooks(&error) => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}
