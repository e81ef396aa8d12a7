//! The certificates of our servers.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use time::{Duration, OffsetDateTime};

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
}

/// A CA that lives as long as a run.
pub(crate) struct Authority {
    /// Its certificate, PEM.
    pub(crate) pem: String,
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    other: Issuer<'static, KeyPair>,
    name: String,
}

impl Authority {
    /// A CA whose servers have this name.
    pub(crate) fn new(name: &str) -> Result<Self, rcgen::Error> {
        let (certificate, issuer) = authority("starttls test CA")?;
        let (_, other) = authority("another CA")?;
        let pem = certificate.pem();
        let certificate = certificate.der().clone();
        Ok(Self { pem, certificate, issuer, other, name: name.to_owned() })
    }

    /// The TLS of a server.
    pub(crate) fn server(
        &self,
        flaw: Flaw,
    ) -> Result<Arc<ServerConfig>, Box<dyn std::error::Error + Send + Sync>> {
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

fn authority(name: &str) -> Result<(rcgen::Certificate, Issuer<'static, KeyPair>), rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let now = OffsetDateTime::now_utc();
    (params.not_before, params.not_after) = (now - Duration::HOUR, now + Duration::DAY);
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok((certificate, Issuer::new(params, key)))
}
