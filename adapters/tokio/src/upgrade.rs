use std::sync::Arc;

use starttls::{Client, Error as Rule, Server, client, server};
use starttls_common::{self as common, Decide};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use crate::{
    Accepted, ClientStream, ClientTls, Driver, Error, ServerStream, Silent, Timeouts,
    accept_or_plaintext,
};

/// Upgrades a connected stream to TLS and returns it, ready for the protocol's own client. `name`
/// is whom the certificate must be for: what the caller asked for, never what the server said. The
/// protocol's ALPN id is offered besides those of the connector.
///
/// Dropped before it is done, it closes the stream: half an upgrade is of no use.
///
/// # Errors
/// Those of the protocol, of TLS and of the network; also where the machine's policy would allow
/// plaintext and there is no TLS.
pub async fn upgrade<S, G>(
    stream: S,
    client: Client<G>,
    connector: &TlsConnector,
    name: &str,
) -> Result<ClientStream<S>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
    G: client::Grammar,
{
    upgrade_with(stream, client, connector, name, |_| ()).await.map(|(stream, ())| stream)
}

/// Like [`upgrade`], for protocols whose client has to know inside TLS what was said before: `look` reads
/// it from the machine at the last moment that there is one. It is not authenticated.
///
/// Dropped before it is done, it closes the stream.
///
/// # Errors
/// Those of [`upgrade`].
pub async fn upgrade_with<S, G, T>(
    stream: S,
    client: Client<G>,
    connector: &TlsConnector,
    name: &str,
    look: impl FnOnce(&Client<G>) -> T,
) -> Result<(ClientStream<S>, T), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
    G: client::Grammar,
{
    let driver = Driver::new(stream, Timeouts::default(), Silent);
    let tls = ClientTls::from_config(Arc::clone(connector.config()));
    common::upgrade_with(driver, client, &tls, name, look).await
}

/// Upgrades an accepted stream to TLS and returns it, ready for the protocol's own server. `decide` is
/// a [`&Arc<ServerConfig>`](rustls::ServerConfig) or an application's own.
///
/// Dropped before it is done, it closes the stream.
///
/// # Errors
/// Those of the protocol, of TLS and of the network; [`starttls::Error::Closed`] if the client
/// leaves or goes on without TLS.
pub async fn accept<S, G>(
    stream: S,
    server: Server<G>,
    decide: impl Decide<G>,
) -> Result<ServerStream<S>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
    G: server::Grammar,
{
    let driver = Driver::new(stream, Timeouts::default(), Silent);
    match accept_or_plaintext(driver, server, decide).await? {
        Accepted::Tls(driver, _) => Ok(driver.into_stream()),
        Accepted::Plaintext(..) | Accepted::Quit => Err(Rule::Closed.into()),
    }
}
