//! Repeats a TLS handshake between two ends of an in-memory pipe, for an instruction counter:
//! bare, or after an upgrade by `starttls-tokio` on both sides.
//!
//! usage: handshakes (bare|upgrade) REPETITIONS

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;

use rustls::ALL_VERSIONS;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use starttls::{Policy, Protocol, ldap, server};
use test_identity::Authority;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio_rustls::{TlsAcceptor, TlsConnector};

const HOST: &str = "localhost";

/// The protocol's ALPN id, which both sides offer in either mode.
const ALPN: Option<&[u8]> = Protocol::LDAP.alpn;

fn identity() -> (TlsConnector, TlsAcceptor) {
    let ca = Authority::default();
    let mut server = ca.identity([HOST]).server();
    server.alpn_protocols.extend(ALPN.map(<[u8]>::to_vec));
    let mut client = ca.client(ALL_VERSIONS);
    // Each handshake is a full one, with its certificates.
    client.resumption = Resumption::disabled();
    (Arc::new(client).into(), Arc::new(server).into())
}

async fn repeat(upgrade: bool, repetitions: usize) -> Result<(), Box<dyn Error>> {
    let (connector, acceptor) = identity();
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
        // Both ends have finished.
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
