use rustls::pki_types::{CertificateDer, ServerName};
use x509_cert::Certificate;
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::der::oid::AssociatedOid as _;
use x509_cert::der::oid::db::rfc4519::COMMON_NAME;
use x509_cert::der::{Decode as _, Tag, Tagged as _};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{NameConstraints, SubjectAltName};

/// Whether one of `names` is a Common Name of a certificate that has no DNS name among its alternative names
/// (RFC 7672 §3.2.3).
pub(super) fn has_one(certificate: &CertificateDer<'_>, names: &[ServerName<'_>]) -> bool {
    let Ok(certificate) = Certificate::from_der(certificate) else { return false };
    let certificate = certificate.tbs_certificate();
    let has_no_dns_name = match certificate.get_extension::<SubjectAltName>() {
        Ok(Some((_, SubjectAltName(others)))) => {
            !others.iter().any(|other| matches!(other, GeneralName::DnsName(_)))
        }
        Ok(None) => true,
        Err(_) => false,
    };
    let mut presented = certificate.subject().iter().filter_map(common_name);
    has_no_dns_name && presented.any(|presented| names.iter().any(|name| is_name(presented, name)))
}

/// Whether a CA has name constraints. `true` if it cannot be parsed, so that a malformed CA cannot bypass
/// them.
pub(super) fn is_constrained(authority: &CertificateDer<'_>) -> bool {
    let Ok(authority) = Certificate::from_der(authority) else { return true };
    let extensions = authority.tbs_certificate().extensions();
    extensions.is_some_and(|all| all.iter().any(|one| one.extn_id == NameConstraints::OID))
}

fn common_name(attribute: &AttributeTypeAndValue) -> Option<&str> {
    let AttributeTypeAndValue { oid, value } = attribute;
    let is_ascii_there = matches!(
        value.tag(),
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String | Tag::TeletexString
    );
    (*oid == COMMON_NAME && is_ascii_there).then(|| core::str::from_utf8(value.value()).ok())?
}

/// Matches a name as in alternative names: `*` stands for exactly one label, the first, and at least two more
/// follow.
fn is_name(presented: &str, name: &ServerName<'_>) -> bool {
    let ServerName::DnsName(name) = name else { return false };
    let name = name.as_ref();
    match (presented.strip_prefix("*."), name.split_once('.')) {
        (Some(suffix), Some((_, parent))) => {
            suffix.contains('.') && parent.eq_ignore_ascii_case(suffix)
        }
        _ => presented.eq_ignore_ascii_case(name),
    }
}
