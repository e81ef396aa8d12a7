//! TLS in front of a PostgreSQL server without TLS. A client that does not request TLS is refused.

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;
use starttls::{Protocol, postgres, server};
use starttls_tokio::{Places, Prompt, Timeouts, Turned, accept, connect, serve};
use tokio::io::copy_bidirectional;
use tokio::net::TcpListener;
use tokio::signal::ctrl_c;
use tokio_rustls::TlsAcceptor;

#[derive(Debug, Parser)]
struct Args {
    /// The address to listen on.
    listen: SocketAddr,
    /// The address of the server.
    backend: SocketAddr,
    /// A PEM file: the certificate and its chain.
    certificate: PathBuf,
    /// A PEM file: the certificate's key.
    key: PathBuf,
}

/// The limits of simultaneous clients, in total and from one address.
const PLACES: Places = Places::new(10_000).with_per_peer(100);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let alpn = Protocol::POSTGRES.alpn;
    let acceptor = tokio_clients::acceptor(&args.certificate, &args.key, alpn)?;
    let listener = TcpListener::bind(args.listen).await?;
    println!("{}", listener.local_addr()?);
    let turned = |turned| match turned {
        Turned::Failed(error) => eprintln!("{error}"),
        Turned::Away(_, peer) => eprintln!("{peer} has too many connections"),
        _ => {}
    };
    let stop = async { drop(ctrl_c().await) };
    serve(&listener, PLACES, stop, turned, |client, peer| {
        let acceptor = acceptor.clone();
        async move {
            if let Err(error) = forward(client, args.backend, acceptor).await {
                eprintln!("{peer:?}: {error}");
            }
        }
    })
    .await;
    Ok(())
}

/// Serves one client to its end.
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
