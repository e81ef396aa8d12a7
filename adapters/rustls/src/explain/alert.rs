//! The names and meanings of TLS alerts (RFC 8446 §6).

use core::fmt::{self, Formatter};

use rustls::AlertDescription;

pub(super) fn explain(alert: AlertDescription, f: &mut Formatter<'_>) -> fmt::Result {
    match meaning(alert) {
        (Some(name), "") => write!(f, "the peer sent the TLS alert {name}"),
        (Some(name), meaning) => write!(f, "the peer sent the TLS alert {name}: {meaning}"),
        (None, _) => write!(f, "the peer sent the TLS alert {}", u8::from(alert)),
    }
}

/// The standard's name of an alert and what it says about the peer. Both are empty for an unknown alert.
const fn meaning(alert: AlertDescription) -> (Option<&'static str>, &'static str) {
    use AlertDescription as A;
    let (name, meaning) = match alert {
        A::CloseNotify => ("close_notify", "it ended the connection"),
        A::UnexpectedMessage => ("unexpected_message", "it received a message out of order"),
        A::BadRecordMac => {
            ("bad_record_mac", "it received data that was changed on the way, or a key is wrong")
        }
        A::DecryptionFailed => ("decryption_failed", "it cannot decrypt what it received"),
        A::RecordOverflow => ("record_overflow", "it received a record that is too long"),
        A::DecompressionFailure => ("decompression_failure", ""),
        A::HandshakeFailure => (
            "handshake_failure",
            "it has no cipher suite in common with us (it may know only old ones, such as RSA key exchange), or it \
             demands a certificate of the client",
        ),
        A::NoCertificate => ("no_certificate", "it demands a certificate"),
        A::BadCertificate => {
            ("bad_certificate", "it does not accept our certificate, or demands one")
        }
        A::UnsupportedCertificate => {
            ("unsupported_certificate", "our certificate is of a kind that it does not accept")
        }
        A::CertificateRevoked => ("certificate_revoked", "our certificate was revoked"),
        A::CertificateExpired => ("certificate_expired", "our certificate has expired"),
        A::CertificateUnknown => ("certificate_unknown", "it does not accept our certificate"),
        A::IllegalParameter => ("illegal_parameter", "it does not accept a value in our messages"),
        A::UnknownCA => {
            ("unknown_ca", "it does not trust the authority that issued our certificate")
        }
        A::AccessDenied => {
            ("access_denied", "our certificate is valid, but does not grant access to it")
        }
        A::DecodeError => ("decode_error", "it cannot read our messages"),
        A::DecryptError => {
            ("decrypt_error", "a signature or a check of the handshake failed on its side")
        }
        A::ExportRestriction => ("export_restriction", ""),
        A::ProtocolVersion => (
            "protocol_version",
            "it has no version of TLS in common with us (it may know only TLS 1.0 or 1.1, which are obsolete: RFC \
             8996)",
        ),
        A::InsufficientSecurity => {
            ("insufficient_security", "it demands stronger cipher suites than ours")
        }
        A::InternalError => ("internal_error", "an error occurred on its side"),
        A::InappropriateFallback => ("inappropriate_fallback", "it suspects a downgrade"),
        A::UserCanceled => ("user_canceled", "it cancelled the handshake"),
        A::NoRenegotiation => ("no_renegotiation", ""),
        A::MissingExtension => {
            ("missing_extension", "it demands an extension that we did not send")
        }
        A::UnsupportedExtension => {
            ("unsupported_extension", "it does not accept one of our extensions")
        }
        A::CertificateUnobtainable => ("certificate_unobtainable", ""),
        A::UnrecognisedName => {
            ("unrecognized_name", "it does not know the server name that we sent (SNI)")
        }
        A::BadCertificateStatusResponse => {
            ("bad_certificate_status_response", "it does not accept our OCSP response")
        }
        A::BadCertificateHashValue => ("bad_certificate_hash_value", ""),
        A::UnknownPSKIdentity => ("unknown_psk_identity", ""),
        A::CertificateRequired => ("certificate_required", "it demands a client certificate"),
        A::NoApplicationProtocol => {
            ("no_application_protocol", "it does not support the protocol that we offered (ALPN)")
        }
        A::EncryptedClientHelloRequired => ("ech_required", "it demands an encrypted ClientHello"),
        _ => return (None, ""),
    };
    (Some(name), meaning)
}
