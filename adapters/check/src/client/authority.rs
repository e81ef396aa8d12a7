//! The certificates of our servers.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    PublicKeyData as _, RevokedCertParams, SerialNumber,
};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use time::{Duration, OffsetDateTime};

use crate::server::CannotRun;
use crate::trust::provider;

/// The fault of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Nothing.
    None,
    /// It is its own issuer.
    SelfSigned,
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYet,
    /// It is for another name.
    OtherName,
    /// It was issued by a CA that the client does not know.
    OtherCa,
    /// It is for clients only (RFC 5280 section 4.2.1.12).
    ForClients,
    /// The CA has revoked it.
    Revoked,
}

/// The serial number of revoked certificates.
const REVOKED: u64 = 7421;

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// A CA for the servers that test a client. A client that is configured once can be tested as long as the CA is kept.
#[derive(Clone)]
pub struct TestAuthority {
    certificate: String,
    key: String,
}

impl std::fmt::Debug for TestAuthority {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestAuthority")
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

impl TestAuthority {
    /// A new CA, valid for ten years.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn generate() -> Result<Self, CannotRun> {
        let made = authority(NAME, Duration::days(3650)).map_err(|error| cannot(&error))?;
        Ok(Self { certificate: made.0.pem(), key: made.1.key().serialize_pem() })
    }

    /// A CA that [`generate`](Self::generate) has made: its certificate and its key, PEM.
    ///
    /// # Errors
    /// A text is not PEM of that kind, the key is another certificate's, or the CA is not one of these.
    pub fn from_pem(certificate: &str, key: &str) -> Result<Self, CannotRun> {
        let der = CertificateDer::from_pem_slice(certificate.as_bytes());
        let der = der.map_err(|error| CannotRun(format!("the certificate: {error:?}")))?;
        let pair =
            KeyPair::from_pem(key).map_err(|error| CannotRun(format!("the key: {error}")))?;
        let public = pair.der_bytes();
        if !der.windows(public.len()).any(|part| part == public) {
            return Err(CannotRun("the key is not that of the certificate".to_owned()));
        }
        // The certificates are issued in this name.
        if !der.windows(NAME.len()).any(|part| part == NAME.as_bytes()) {
            let why = "the CA was made by another program. Name a file that does not exist, for a new CA.";
            return Err(CannotRun(why.to_owned()));
        }
        Ok(Self { certificate: certificate.to_owned(), key: key.to_owned() })
    }

    /// The certificate, PEM. The client has to trust it.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate
    }

    /// The key, PEM. Its owner can pose as any server to a client that trusts the certificate, so keep it secret.
    #[must_use]
    pub fn key_pem(&self) -> &str {
        &self.key
    }
}

fn cannot(error: &dyn std::fmt::Display) -> CannotRun {
    CannotRun(error.to_string())
}

/// The CA of a run, which issues the servers' certificates.
pub(crate) struct Authority {
    /// The CA's certificate, PEM.
    pub(crate) pem: String,
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    other: Issuer<'static, KeyPair>,
    name: String,
}

impl Authority {
    /// A CA whose servers have this name.
    pub(crate) fn new(name: &str, kept: Option<&TestAuthority>) -> Result<Self, Failed> {
        let (pem, certificate, issuer) = match kept {
            Some(kept) => {
                let der = CertificateDer::from_pem_slice(kept.certificate.as_bytes())?;
                let issuer = Issuer::new(params(NAME), KeyPair::from_pem(&kept.key)?);
                (kept.certificate.clone(), der, issuer)
            }
            None => {
                let (certificate, issuer) = authority(NAME, Duration::DAY)?;
                (certificate.pem(), certificate.der().clone(), issuer)
            }
        };
        let (_, other) = authority("another CA", Duration::DAY)?;
        Ok(Self { pem, certificate, issuer, other, name: name.to_owned() })
    }

    /// The list of revoked certificates, PEM.
    pub(crate) fn revocations(&self) -> Result<String, Failed> {
        let now = OffsetDateTime::now_utc();
        let list = CertificateRevocationListParams {
            this_update: now - Duration::HOUR,
            next_update: now + Duration::DAY,
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![RevokedCertParams {
                serial_number: SerialNumber::from(REVOKED),
                revocation_time: now - Duration::HOUR,
                reason_code: None,
                invalidity_date: None,
            }],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        Ok(list.signed_by(&self.issuer)?.pem()?)
    }

    /// The TLS of a server.
    pub(crate) fn server(&self, flaw: Flaw) -> Result<Arc<ServerConfig>, Failed> {
        let name = if flaw == Flaw::OtherName { "other.invalid" } else { &self.name };
        let mut leaf = CertificateParams::new(vec![name.to_owned()])?;
        leaf.distinguished_name.push(DnType::CommonName, name);
        leaf.is_ca = IsCa::ExplicitNoCa;
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![match flaw {
            Flaw::ForClients => ExtendedKeyUsagePurpose::ClientAuth,
            _ => ExtendedKeyUsagePurpose::ServerAuth,
        }];
        leaf.use_authority_key_identifier_extension = true;
        if flaw == Flaw::Revoked {
            leaf.serial_number = Some(SerialNumber::from(REVOKED));
        }
        let now = OffsetDateTime::now_utc();
        (leaf.not_before, leaf.not_after) = match flaw {
            Flaw::Expired => (now - Duration::days(9), now - Duration::days(2)),
            Flaw::NotYet => (now + Duration::days(2), now + Duration::days(9)),
            _ => (now - Duration::HOUR, now + Duration::DAY),
        };
        let key = KeyPair::generate()?;
        let certificate = match flaw {
            Flaw::SelfSigned => leaf.self_signed(&key)?,
            Flaw::OtherCa => leaf.signed_by(&key, &self.other)?,
            _ => leaf.signed_by(&key, &self.issuer)?,
        };
        let mut chain = vec![certificate.der().clone()];
        if flaw != Flaw::SelfSigned && flaw != Flaw::OtherCa {
            chain.push(self.certificate.clone());
        }
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key.into())?;
        config.send_half_rtt_data = true;
        Ok(Arc::new(config))
    }
}

/// The name of the CA that clients trust.
const NAME: &str = "starttls test CA";

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn authority(
    name: &str,
    time: Duration,
) -> Result<(rcgen::Certificate, Issuer<'static, KeyPair>), rcgen::Error> {
    let mut params = params(name);
    let now = OffsetDateTime::now_utc();
    (params.not_before, params.not_after) = (now - Duration::HOUR, now + time);
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok((certificate, Issuer::new(params, key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_not_logged() {
        let authority = TestAuthority::generate().expect("random numbers");
        let text = format!("{authority:?}");
        assert!(text.contains("CERTIFICATE") && !text.contains("PRIVATE"), "{text}");
    }

    #[test]
    fn a_ca_of_another_program_is_refused() {
        let (certificate, issuer) =
            super::authority("another CA", Duration::DAY).expect("random numbers");
        let error = TestAuthority::from_pem(&certificate.pem(), &issuer.key().serialize_pem());
        let error = error.expect_err("another name").to_string();
        assert!(error.contains("another program"), "{error}");
    }
}
