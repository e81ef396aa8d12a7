//! A server's certificate: made here, or read from files.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use time::{Duration, OffsetDateTime};

use crate::outcome::Failure;

/// How long a made certificate is good for.
const LIFETIME: Duration = Duration::days(30);

/// A CA and a server certificate that it signed, P-256, in PEM.
pub(crate) struct Made {
    pub(crate) ca: String,
    certificate: String,
    key: String,
}

impl Made {
    /// For these names and addresses. The CA's key is forgotten at once.
    pub(crate) fn new(names: Vec<String>) -> Result<Self, Failure> {
        Self::generate(names)
            .map_err(|error| Failure::local(format!("making a certificate: {error}")))
    }

    fn generate(names: Vec<String>) -> Result<Self, rcgen::Error> {
        let now = OffsetDateTime::now_utc();
        let mut ca = CertificateParams::new(Vec::new())?;
        ca.distinguished_name.push(DnType::CommonName, "starttls throw-away CA");
        ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        (ca.not_before, ca.not_after) = (now - Duration::HOUR, now + LIFETIME);
        let ca_key = KeyPair::generate()?;
        let ca_pem = ca.self_signed(&ca_key)?.pem();

        let mut leaf = CertificateParams::new(names)?;
        leaf.distinguished_name.push(DnType::CommonName, "starttls serve");
        leaf.is_ca = IsCa::ExplicitNoCa;
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        leaf.use_authority_key_identifier_extension = true;
        (leaf.not_before, leaf.not_after) = (ca.not_before, ca.not_after);
        let key = KeyPair::generate()?;
        let certificate = leaf.signed_by(&key, &Issuer::new(ca, ca_key))?;
        Ok(Self { ca: ca_pem, certificate: certificate.pem(), key: key.serialize_pem() })
    }

    pub(crate) fn server(&self) -> Result<Arc<ServerConfig>, Failure> {
        server(self.certificate.as_bytes(), self.key.as_bytes())
    }

    /// Writes `ca.pem`, `cert.pem` and, for the owner's eyes only, `key.pem` into a new directory.
    pub(crate) fn save(&self) -> Result<PathBuf, Failure> {
        let failed = |error| Failure::local(format!("saving the certificate: {error}"));
        let directory =
            tempfile::Builder::new().prefix("starttls-").tempdir().map_err(failed)?.keep();
        let files = [("ca.pem", &self.ca), ("cert.pem", &self.certificate), ("key.pem", &self.key)];
        for (name, text) in files {
            let mut file = private(&directory.join(name)).map_err(failed)?;
            file.write_all(text.as_bytes()).map_err(failed)?;
        }
        Ok(directory)
    }
}

fn private(path: &Path) -> std::io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// A certificate chain and its key from PEM files.
pub(crate) fn read(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, Failure> {
    let text = |path: &Path| {
        fs::read(path).map_err(|error| Failure::local(format!("{}: {error}", path.display())))
    };
    server(&text(certificate)?, &text(key)?)
}

fn server(certificate: &[u8], key: &[u8]) -> Result<Arc<ServerConfig>, Failure> {
    let bad = |what: &str, why: &dyn std::fmt::Display| {
        Failure::local(format!("the {what} cannot be used: {why}"))
    };
    let chain = CertificateDer::pem_slice_iter(certificate)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| bad("certificate", &error))?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| bad("key", &error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| bad("TLS configuration", &error))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| bad("certificate", &error))?;
    Ok(Arc::new(config))
}
