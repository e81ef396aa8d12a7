use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    DigitallySignedStruct, DistinguishedName, Error as Tls, RootCertStore, SignatureScheme,
};
use starttls_rustls::explain;

use crate::Error;
use crate::tls::{certificates, provider};

/// What [`Error::Argument`] names.
const CAS: &str = "the client CAs";

/// The CAs whose client certificates a server accepts, which can be replaced while the server runs.
///
/// Copies share the current CAs. A handshake uses those of its start. The server's request names them for
/// clients with several certificates (RFC 8446 §4.2.4), until other CAs replace them: then it names none, so
/// that a client may show any certificate.
///
/// ```no_run
/// use std::sync::Arc;
/// use starttls_common::rustls::ServerConfig;
/// use starttls_common::{Certificates, ClientCas};
///
/// let certificates = Certificates::from_pem_files("chain.pem", "key.pem")?;
/// let cas = ClientCas::from_pem_file("clients.pem")?.optional();
/// let config = ServerConfig::builder()
///     .with_client_cert_verifier(Arc::new(cas.clone()))
///     .with_cert_resolver(Arc::new(certificates.clone()));
/// // After the files were renewed, for example at SIGHUP:
/// if let Err(error) = certificates.reload().and_then(|()| cas.reload()) {
///     eprintln!("{error}; the previous one stays in use");
/// }
/// # Ok::<(), starttls_common::Error>(())
/// ```
#[derive(Clone)]
pub struct ClientCas {
    shared: Arc<Shared>,
    is_mandatory: bool,
}

struct Shared {
    provider: Arc<CryptoProvider>,
    file: Option<PathBuf>,
    current: RwLock<Arc<dyn ClientCertVerifier>>,
    /// The names of the first CAs. A list that can change cannot be lent.
    names: Vec<DistinguishedName>,
    /// Whether the current CAs have these names.
    are_named: AtomicBool,
}

impl ClientCas {
    /// Reads a PEM file of CA certificates. Each client has to show a certificate from one of them.
    ///
    /// # Errors
    /// [`Error::Argument`] if the file cannot be read, is malformed or has no certificate, or if there is no
    /// cryptography provider.
    pub fn from_pem_file(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = path.into();
        Self::new(&read(&path)?, Some(path))
    }

    /// The same from the text of the file.
    ///
    /// # Errors
    /// Those of [`from_pem_file`](Self::from_pem_file).
    pub fn from_pem(pem: &[u8]) -> Result<Self, Error> {
        Self::new(pem, None)
    }

    fn new(pem: &[u8], file: Option<PathBuf>) -> Result<Self, Error> {
        let provider = provider()?;
        let current = verifier(pem, &provider)?;
        let names = current.root_hint_subjects().to_vec();
        let (current, are_named) = (RwLock::new(current), AtomicBool::new(true));
        let shared = Arc::new(Shared { provider, file, current, names, are_named });
        Ok(Self { shared, is_mandatory: true })
    }

    /// Accepts clients without a certificate, too.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.is_mandatory = false;
        self
    }

    /// Reads the file again. New connections use the new CAs.
    ///
    /// # Errors
    /// Those of [`from_pem_file`](Self::from_pem_file), and [`Error::Argument`] if the CAs are not from a
    /// file. The previous ones then stay in use.
    pub fn reload(&self) -> Result<(), Error> {
        let Some(path) = &self.shared.file else {
            let why = "are not from a file; replace them by their text".to_owned();
            return Err(Error::Argument { what: CAS, why });
        };
        self.replace_pem(&read(path)?)
    }

    /// Replaces the CAs. New connections use the new ones.
    ///
    /// # Errors
    /// Those of [`from_pem`](Self::from_pem). The previous CAs then stay in use.
    pub fn replace_pem(&self, pem: &[u8]) -> Result<(), Error> {
        let new = verifier(pem, &self.shared.provider)?;
        let bytes = |names: &[DistinguishedName]| -> Vec<Vec<u8>> {
            names.iter().map(|name| name.as_ref().to_vec()).collect()
        };
        let are_named = bytes(new.root_hint_subjects()) == bytes(&self.shared.names);
        self.shared.are_named.store(are_named, Ordering::Relaxed);
        *self.shared.current.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    fn current(&self) -> Arc<dyn ClientCertVerifier> {
        Arc::clone(&self.shared.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ClientCertVerifier for ClientCas {
    fn client_auth_mandatory(&self) -> bool {
        self.is_mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        if self.shared.are_named.load(Ordering::Relaxed) { &self.shared.names } else { &[] }
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Tls> {
        self.current().verify_client_cert(certificate, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Tls> {
        self.current().verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Tls> {
        self.current().verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.current().supported_verify_schemes()
    }
}

impl fmt::Debug for ClientCas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCas")
            .field("file", &self.shared.file)
            .field("is_mandatory", &self.is_mandatory)
            .finish_non_exhaustive()
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|error| Error::Argument {
        what: CAS,
        why: format!("cannot be read from {}: {error}", path.display()),
    })
}

fn verifier(
    pem: &[u8],
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem, CAS)? {
        roots.add(certificate).map_err(|error| Error::Argument {
            what: CAS,
            why: format!("cannot be used: {}", explain(&error)),
        })?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|error| Error::Argument { what: CAS, why: format!("cannot be used: {error}") })
}
