use std::sync::Arc;

use starttls::{Client, Error as Rule, Server, client, server};
use starttls_common::{self as common, Decide};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use crate::{
    Accepted, ClientStream, ClientTls, Driver, Error, ServerStream, Silent, Timeouts,
    accept_or_plaintext,
};

/// Upgrades a connected stream to TLS and returns it for the protocol's own client.
///
/// `name` is the name that the certificate has to contain: the one that the caller asked for, never one that
/// the server sent. The protocol's ALPN id is offered in addition to those of the connector. If the future is
/// dropped, the stream closes.
///
/// # Errors
/// Those of the protocol, of TLS and of the network. [`NotOffered`](starttls::Error::NotOffered) if there is
/// no TLS, even if the machine's policy allows plaintext.
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

/// Like [`upgrade`], for protocols that need data of the plaintext dialogue inside TLS.
///
/// `look` reads it from the machine at the last moment that it exists. The data is not authenticated. If the
/// future is dropped, the stream closes.
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

/// Upgrades an accepted stream to TLS and returns it for the protocol's own server.
///
/// `decide` is a [`&Arc<ServerConfig>`](rustls::ServerConfig) or the application's implementation of
/// [`Decide`](crate::Decide). If the future is dropped, the stream closes.
///
/// # Errors
/// Those of the protocol, of TLS and of the network. [`starttls::Error::Closed`] if the client leaves or
/// continues without TLS.
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
