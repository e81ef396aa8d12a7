//! A server's certificate: created here, or read from files.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use starttls_std::{Certificates, ClientCas, Error, explain};
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

use crate::args::ClientAuth;
use crate::files;
use crate::out::tell;
use crate::outcome::Failure;

/// The validity of a created certificate.
const LIFETIME: Duration = Duration::days(30);

/// A CA and a server certificate signed by it, P-256, in PEM.
pub(crate) struct Made {
    pub(crate) ca: String,
    certificate: String,
    key: String,
}

impl Made {
    /// Creates a certificate for these names and addresses. The CA's key is discarded at once.
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

    pub(crate) fn server(&self, clients: Option<&Clients>) -> Result<Certified, Failure> {
        let current = Certificates::from_pem(self.certificate.as_bytes(), self.key.as_bytes())?;
        Certified::new(current, clients, None)
    }

    /// Writes `ca.pem`, `cert.pem` and `key.pem` (readable only by its owner) into a new directory.
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

/// A new file that only its owner can read.
pub(crate) fn private(path: &Path) -> std::io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// A certificate chain and its key from PEM files.
pub(crate) fn read(
    certificate: &Path,
    key: &Path,
    clients: Option<&Clients>,
) -> Result<Certified, Failure> {
    let (chain, secret) = from_files(certificate, key)?;
    let current = Certificates::from_pem(&chain, &secret)
        .map_err(|error| of_option((certificate, key), error))?;
    Certified::new(current, clients, Some((certificate.to_owned(), key.to_owned())))
}

const CERT: &str = "--cert";
const KEY: &str = "--key";
const CLIENT_CA: &str = "--client-ca";

/// The content of both files.
fn from_files(certificate: &Path, key: &Path) -> Result<(Vec<u8>, Zeroizing<Vec<u8>>), Failure> {
    Ok((files::read(CERT, certificate)?, Zeroizing::new(files::read(KEY, key)?)))
}

/// Names the option and its file in an error about one of them.
fn of_option((certificate, key): (&Path, &Path), error: Error) -> Failure {
    match error {
        Error::Argument { what: "the private key", why } => {
            files::unusable(KEY, key, why, files::KEY).into()
        }
        Error::Argument { what: "the private key of the certificate", why } => {
            files::unusable(KEY, key, why, "Pass the private key of --cert.").into()
        }
        Error::Argument { why, .. } => files::unusable(CERT, certificate, why, files::CHAIN).into(),
        error => error.into(),
    }
}

fn bad(what: &str, why: &dyn std::fmt::Display) -> Failure {
    Failure::local(format!("the {what} cannot be used: {why}"))
}

/// The accepted client certificates.
#[derive(Clone)]
pub(crate) struct Clients {
    cas: ClientCas,
    path: PathBuf,
}

impl Clients {
    /// Accepts certificates issued by a CA in this PEM file.
    pub(crate) fn read(path: &Path, auth: ClientAuth) -> Result<Self, Failure> {
        let cas = ClientCas::from_pem(&files::read(CLIENT_CA, path)?);
        let cas = cas.map_err(|error| of_client_ca(path, error))?;
        let cas = match auth {
            ClientAuth::Required => cas,
            ClientAuth::Asked => cas.optional(),
        };
        Ok(Self { cas, path: path.to_owned() })
    }

    fn reload(&self) -> Result<(), Failure> {
        let replaced = self.cas.replace_pem(&files::read(CLIENT_CA, &self.path)?);
        replaced.map_err(|error| of_client_ca(&self.path, error))
    }
}

fn of_client_ca(path: &Path, error: Error) -> Failure {
    match error {
        Error::Argument { why, .. } => files::unusable(CLIENT_CA, path, why, files::CHAIN).into(),
        error => error.into(),
    }
}

/// A server's configuration, whose certificate and client CAs can be reloaded.
pub(crate) struct Certified {
    config: Arc<ServerConfig>,
    current: Certificates,
    files: Option<(PathBuf, PathBuf)>,
    clients: Option<Clients>,
}

impl Certified {
    fn new(
        current: Certificates,
        clients: Option<&Clients>,
        files: Option<(PathBuf, PathBuf)>,
    ) -> Result<Self, Failure> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier: Arc<dyn ClientCertVerifier> = match clients {
            Some(clients) => Arc::new(clients.cas.clone()),
            None => WebPkiClientVerifier::no_client_auth(),
        };
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| bad("TLS configuration", &explain(&error)))?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(current.clone()));
        Ok(Self { config: Arc::new(config), current, files, clients: clients.cloned() })
    }

    pub(crate) const fn config(&self) -> &Arc<ServerConfig> {
        &self.config
    }

    /// Reloads the files, and reports the result. An unusable file changes nothing.
    pub(crate) fn again(&self) -> impl Fn() + Send + 'static {
        let (current, files) = (self.current.clone(), self.files.clone());
        let clients = self.clients.clone();
        move || {
            if files.is_none() && clients.is_none() {
                tell!("there is no --cert to reload");
            }
            if let Some((certificate, key)) = &files {
                let replaced = from_files(certificate, key).and_then(|(chain, secret)| {
                    let replaced = current.replace_pem(&chain, &secret);
                    replaced.map_err(|error| of_option((certificate, key), error))
                });
                let otherwise = "the previous certificate stays in use";
                tell_reload(replaced, "the certificate was reloaded", otherwise);
            }
            if let Some(clients) = &clients {
                let otherwise = "the previous CAs stay in use";
                tell_reload(clients.reload(), "the CAs of --client-ca were reloaded", otherwise);
            }
        }
    }
}

fn tell_reload(replaced: Result<(), Failure>, done: &str, otherwise: &str) {
    match replaced {
        Ok(()) => tell!("{done}"),
        Err(failure) => tell!("{}; {otherwise}", failure.message),
    }
}
