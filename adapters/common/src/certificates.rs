use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use starttls_rustls::explain;
use zeroize::Zeroizing;

use crate::Error;
use crate::tls::{certificates, provider};

/// What [`Error::Argument`] names if a server's chain is unusable.
const CHAIN: &str = "the certificate chain";

/// The same for its key.
const KEY: &str = "the private key";

/// The same if they do not belong together, or the provider does not support the key.
const PAIR: &str = "the private key of the certificate";

/// A server's certificate chain and private key, which can be replaced while the server runs.
///
/// Copies share the current certificate. A handshake uses the certificate of its start.
///
/// ```no_run
/// use starttls_common::{Certificates, InboxSettings};
///
/// let certificates = Certificates::from_pem_files("chain.pem", "key.pem")?;
/// let settings = InboxSettings::new("mx.example.org", certificates.config()?);
/// // After the files were renewed, for example at SIGHUP:
/// if let Err(error) = certificates.reload() {
///     eprintln!("{error}; the previous certificate stays in use");
/// }
/// # Ok::<(), starttls_common::Error>(())
/// ```
#[derive(Clone)]
pub struct Certificates(Arc<Shared>);

struct Shared {
    provider: Arc<CryptoProvider>,
    files: Option<(PathBuf, PathBuf)>,
    current: RwLock<Arc<CertifiedKey>>,
}

impl Certificates {
    /// Reads a PEM chain that starts with the server's own certificate, and its private key in PEM.
    ///
    /// # Errors
    /// [`Error::Argument`] if a file cannot be read, is malformed or has no certificate or key, if the key
    /// does not match the certificate, or if there is no cryptography provider.
    pub fn from_pem_files(
        chain: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Result<Self, Error> {
        let (chain, key, provider) = (chain.into(), key.into(), provider()?);
        let current = RwLock::new(read(&chain, &key, &provider)?);
        Ok(Self(Arc::new(Shared { provider, files: Some((chain, key)), current })))
    }

    /// The same from the texts of the files.
    ///
    /// # Errors
    /// Those of [`from_pem_files`](Self::from_pem_files).
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, Error> {
        let provider = provider()?;
        let current = RwLock::new(parse(chain, key, &provider)?);
        Ok(Self(Arc::new(Shared { provider, files: None, current })))
    }

    /// Reads the files again. New connections use the new certificate.
    ///
    /// # Errors
    /// Those of [`from_pem_files`](Self::from_pem_files), and [`Error::Argument`] if the certificate is not
    /// from files. The previous certificate then stays in use.
    pub fn reload(&self) -> Result<(), Error> {
        let Some((chain, key)) = &self.0.files else {
            let why = "is not from a file; replace it by its text".to_owned();
            return Err(Error::Argument { what: CHAIN, why });
        };
        self.set(read(chain, key, &self.0.provider)?);
        Ok(())
    }

    /// Replaces the certificate. New connections use the new one.
    ///
    /// # Errors
    /// Those of [`from_pem`](Self::from_pem). The previous certificate then stays in use.
    pub fn replace_pem(&self, chain: &[u8], key: &[u8]) -> Result<(), Error> {
        self.set(parse(chain, key, &self.0.provider)?);
        Ok(())
    }

    fn set(&self, new: Arc<CertifiedKey>) {
        *self.0.current.write().unwrap_or_else(PoisonError::into_inner) = new;
    }

    /// A server's configuration with this certificate, which requests no client certificate.
    ///
    /// For another configuration give rustls's builder a copy of this value as the certificate resolver.
    ///
    /// # Errors
    /// [`Error::Tls`] if the cryptography provider supports no TLS version of rustls.
    pub fn config(&self) -> Result<Arc<ServerConfig>, Error> {
        let config = ServerConfig::builder_with_provider(Arc::clone(&self.0.provider))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(self.clone()));
        Ok(Arc::new(config))
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("files", &self.0.files).finish_non_exhaustive()
    }
}

/// Reads both files. Between the renewal of the first and the second they do not match: that is an error, and
/// the next reload has both.
fn read(chain: &Path, key: &Path, provider: &CryptoProvider) -> Result<Arc<CertifiedKey>, Error> {
    let content = |what, path: &Path| {
        fs::read(path).map_err(|error| Error::Argument {
            what,
            why: format!("cannot be read from {}: {error}", path.display()),
        })
    };
    let secret = Zeroizing::new(content(KEY, key)?);
    let certified = parse(&content(CHAIN, chain)?, &secret, provider);
    certified.map_err(|error| match error {
        Error::Argument { what, why } => {
            let path = if what == CHAIN { chain } else { key };
            Error::Argument { what, why: format!("in {} {why}", path.display()) }
        }
        error => error,
    })
}

fn parse(chain: &[u8], key: &[u8], provider: &CryptoProvider) -> Result<Arc<CertifiedKey>, Error> {
    let bad = |why| Error::Argument { what: KEY, why };
    let chain = certificates(chain, CHAIN)?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| {
        bad(match error {
            pem::Error::NoItemsFound => "has no PEM private key in it".to_owned(),
            error => format!("is not a private key in PEM: {error}"),
        })
    })?;
    CertifiedKey::from_der(chain, key, provider).map(Arc::new).map_err(|error| Error::Argument {
        what: PAIR,
        why: format!("cannot be used: {}", explain(&error)),
    })
}
