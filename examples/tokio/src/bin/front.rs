//! TLS in front of a PostgreSQL server that has none: who does not ask for it gets no further.

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;
use starttls::{Protocol, postgres, server};
use starttls_tokio::{Prompt, Timeouts, accept, connect, serve};
use tokio::io::copy_bidirectional;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

#[derive(Debug, Parser)]
struct Args {
    /// Where clients come to.
    listen: SocketAddr,
    /// Where the server is.
    backend: SocketAddr,
    /// PEM: the certificate and those above it.
    certificate: PathBuf,
    /// PEM: its key.
    key: PathBuf,
}

/// Clients at the same time.
const CONNECTIONS: usize = 10_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let alpn = Protocol::POSTGRES.alpn;
    let acceptor = tokio_clients::acceptor(&args.certificate, &args.key, alpn)?;
    let listener = TcpListener::bind(args.listen).await?;
    println!("{}", listener.local_addr()?);
    let not_accepted = |error| eprintln!("{error}");
    serve(&listener, CONNECTIONS, not_accepted, |client, peer| {
        let acceptor = acceptor.clone();
        async move {
            if let Err(error) = forward(client, args.backend, acceptor).await {
                eprintln!("{peer}: {error}");
            }
        }
    })
    .await;
    Ok(())
}

/// One client, to its end.
async fn forward(
    client: Prompt,
    backend: SocketAddr,
    acceptor: TlsAcceptor,
) -> Result<(), Box<dyn Error>> {
    let machine = postgres::Server::new(server::Config::default());
    let mut client = accept(client, machine, acceptor.config()).await?;
    let mut backend = connect(backend, &Timeouts::default()).await?;
    copy_bidirectional(&mut client, &mut backend).await?;
    Ok(())
}
