//! A certificate's content, in readable form.

use rustls::pki_types::CertificateDer;
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::time::ASN1Time;

/// The parts that identify the peer.
#[derive(Debug, Serialize)]
pub(crate) struct Certificate {
    pub(crate) subject: String,
    pub(crate) names: Vec<String>,
    pub(crate) issuer: String,
    pub(crate) not_before: String,
    pub(crate) not_after: String,
    #[serde(skip)]
    pub(crate) days_left: i64,
}

impl Certificate {
    /// `None` if it cannot be read.
    pub(crate) fn read(der: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let names = certificate
            .subject_alternative_name()
            .ok()
            .flatten()
            .map(|names| names.value.general_names.iter().map(name).collect())
            .unwrap_or_default();
        let validity = certificate.validity();
        let left = validity.not_after.timestamp() - OffsetDateTime::now_utc().unix_timestamp();
        Some(Self {
            subject: certificate.subject().to_string(),
            names,
            issuer: certificate.issuer().to_string(),
            not_before: date(validity.not_before),
            not_after: date(validity.not_after),
            days_left: left.div_euclid(24 * 60 * 60),
        })
    }
}

fn name(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::DNSName(name) => (*name).to_owned(),
        GeneralName::IPAddress(octets) => match <[u8; 4]>::try_from(*octets) {
            Ok(v4) => std::net::Ipv4Addr::from(v4).to_string(),
            Err(_) => match <[u8; 16]>::try_from(*octets) {
                Ok(v6) => std::net::Ipv6Addr::from(v6).to_string(),
                Err(_) => "an address of unknown form".to_owned(),
            },
        },
        other => other.to_string(),
    }
}

fn date(time: ASN1Time) -> String {
    time.to_datetime().format(&Rfc3339).unwrap_or_else(|_| time.to_string())
}
