#![doc = include_str!("../README.md")]

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Parser;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use starttls_tokio::ClientTls;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// The parameters for an account on a server.
#[derive(Debug, Parser)]
pub struct Account {
    /// The host to connect to, which the server's certificate must name.
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// The user.
    pub user: String,
    /// The password, from an environment variable so that other users cannot read it.
    #[arg(env, hide_env_values = true)]
    pub password: String,
    /// A PEM file with the certificate authority to trust; default: those of the system.
    #[arg(long)]
    pub ca: Option<PathBuf>,
}

impl Account {
    /// The TLS configuration with the trusted authorities.
    ///
    /// # Errors
    /// If the file cannot be read or contains no certificate.
    pub fn connector(&self) -> Result<TlsConnector, Box<dyn Error>> {
        let tls = match &self.ca {
            Some(ca) => ClientTls::with_ca_pem(&fs::read(ca)?)?,
            None => ClientTls::system()?,
        };
        Ok(tls.rustls().into())
    }
}

/// A server's certificate chain and key from PEM files, for a protocol by its ALPN id.
///
/// # Errors
/// If they cannot be read, or do not match.
pub fn acceptor(
    certificate: &PathBuf,
    key: &PathBuf,
    alpn: Option<&[u8]>,
) -> Result<TlsAcceptor, Box<dyn Error>> {
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<Vec<_>, _>>()?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(key)?)?;
    config.alpn_protocols.extend(alpn.map(<[u8]>::to_vec));
    Ok(Arc::new(config).into())
}
