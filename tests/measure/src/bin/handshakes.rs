//! Repeats a TLS handshake between two ends of a pipe in memory, for an instruction counter to watch:
//! bare, or behind an upgrade by `starttls-tokio` on both sides.
//!
//! usage: handshakes (bare|upgrade) REPETITIONS

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use starttls::{Policy, Protocol, ldap, server};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio_rustls::{TlsAcceptor, TlsConnector};

const HOST: &str = "localhost";

/// The server's id, which both offer each other in either mode.
const ALPN: Option<&[u8]> = Protocol::LDAP.alpn;

fn identity() -> Result<(TlsConnector, TlsAcceptor), Box<dyn Error>> {
    let ca_key = KeyPair::generate()?;
    let mut ca = CertificateParams::new(Vec::new())?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_certificate = ca.self_signed(&ca_key)?;
    let key = KeyPair::generate()?;
    let leaf = CertificateParams::new(vec![HOST.to_owned()])?;
    let certificate = leaf.signed_by(&key, &Issuer::new(ca, &ca_key))?;
    let mut roots = RootCertStore::empty();
    roots.add(ca_certificate.der().clone())?;
    let provider = Arc::new(ring::default_provider());
    let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der())?,
        )?;
    server.alpn_protocols.extend(ALPN.map(<[u8]>::to_vec));
    let mut client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    // Each handshake is a whole one, with its certificates.
    client.resumption = Resumption::disabled();
    Ok((Arc::new(client).into(), Arc::new(server).into()))
}

async fn repeat(upgrade: bool, repetitions: usize) -> Result<(), Box<dyn Error>> {
    let (connector, acceptor) = identity()?;
    let alpn: Vec<_> = ALPN.map(<[u8]>::to_vec).into_iter().collect();
    for _ in 0..repetitions {
        let (here, there) = duplex(64 * 1024);
        let (mut here, mut there) = if upgrade {
            let client = ldap::Client::new(Policy::Required);
            let server = ldap::Server::new(server::Config::default());
            tokio::try_join!(
                starttls_tokio::upgrade(here, client, &connector, HOST),
                starttls_tokio::accept(there, server, acceptor.config()),
            )?
        } else {
            let name = ServerName::try_from(HOST)?;
            tokio::try_join!(
                connector.with_alpn(alpn.clone()).connect(name, here),
                acceptor.accept(there)
            )?
        };
        // Both ends are through.
        let mut octet = [0];
        here.write_all(&[1]).await?;
        here.flush().await?;
        there.read_exact(&mut octet).await?;
        assert_eq!(octet, [1]);
    }
    Ok(())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let (Some(mode @ ("bare" | "upgrade")), Some(repetitions)) =
        (arguments.get(1).map(String::as_str), arguments.get(2).and_then(|n| n.parse().ok()))
    else {
        eprintln!("usage: handshakes (bare|upgrade) REPETITIONS");
        return ExitCode::FAILURE;
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(repeat(mode == "upgrade", repetitions)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
