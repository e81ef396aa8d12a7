use std::net::{TcpStream, ToSocketAddrs};
use std::time::Instant;

use rustls::{ClientConnection, ServerConnection, StreamOwned};
use starttls::{
    Client, Error as Rule, Plaintext, Policy, Protocol, Server, Tls, Verification, client, server,
};
use starttls_common::{
    self as common, ClientTls, Connect, Decide, Doing, Error, Link, Proxy, Runtime, Secured,
    Silent, Timeouts, ready,
};

use crate::runtime::connect_within;
use crate::{Blocking, Driver, Exclusive, Socket};

/// A client's stream after the upgrade.
pub type ClientStream<S = TcpStream> = StreamOwned<ClientConnection, S>;

/// A server's stream after the upgrade.
pub type ServerStream<S = TcpStream> = StreamOwned<ServerConnection, S>;

/// The result of a client's upgrade, with the encrypted stream `E` or the plaintext stream `S`.
///
/// The enum is exhaustive: a caller has to handle each variant.
#[derive(Debug)]
pub enum Upgraded<'o, E = ClientStream, S = TcpStream> {
    /// The connection uses TLS.
    Tls(Driver<'o, E>, Tls),
    /// The server has no TLS, and the policy allows plaintext.
    Plaintext(Driver<'o, S>, Plaintext),
}

/// Where an upgrade ended on a server.
///
/// The enum is exhaustive: an application has to handle each variant.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one a connection")]
pub enum Accepted<'o, S: Socket = TcpStream> {
    /// The connection uses TLS.
    Tls(Driver<'o, ServerStream<S>>, Tls),
    /// The connection continues without TLS, which the policy allows. The client's command is unread in the
    /// driver.
    Plaintext(Driver<'o, S>, Plaintext),
    /// The client said goodbye.
    Quit,
}

/// Opens a TCP connection to the first address that answers, with `TCP_NODELAY`.
///
/// # Errors
/// [`Error::Io`] if the name has no address or no address answers.
pub fn connect(address: impl ToSocketAddrs, timeouts: &Timeouts) -> Result<TcpStream, Error> {
    connect_within(address, &mut Link::new(*timeouts, Instant::now(), Silent))
}

/// Opens a connection to `host` and `port` through a proxy.
///
/// The driver may already have received bytes of the server.
///
/// # Errors
/// [`Error::Proxy`] if the proxy cannot be reached, refuses or breaks its protocol, and [`Error::Argument`].
pub fn connect_through(
    proxy: &Proxy,
    host: &str,
    port: u16,
    timeouts: &Timeouts,
) -> Result<Driver<'static, Exclusive>, Error> {
    ready(proxy.connect::<Blocking>(host, port, timeouts, Silent)).map(Driver)
}

/// Upgrades a connected stream to TLS and returns it for the protocol's own client.
///
/// `name` is the name that the certificate has to contain: the one that the caller asked for, never one that
/// the server sent.
///
/// # Errors
/// Those of the protocol, of TLS and of the network. [`NotOffered`](starttls::Error::NotOffered) if there is
/// no TLS, even if the machine's policy allows plaintext.
pub fn upgrade<S: Socket, G: client::Grammar, T: Connect<Blocking, S>>(
    stream: S,
    client: Client<G>,
    tls: &T,
    name: &str,
) -> Result<T::Stream, Error>
where
    Blocking: Runtime<T::Stream>,
{
    upgrade_with(stream, client, tls, name, |_| ()).map(|(stream, ())| stream)
}

/// Like [`upgrade`], for protocols that need data of the plaintext dialogue inside TLS.
///
/// `look` reads it from the machine at the last moment that it exists. The data is not authenticated.
///
/// # Errors
/// Those of [`upgrade`].
pub fn upgrade_with<S: Socket, G: client::Grammar, T: Connect<Blocking, S>, V>(
    stream: S,
    client: Client<G>,
    tls: &T,
    name: &str,
    look: impl FnOnce(&Client<G>) -> V,
) -> Result<(T::Stream, V), Error>
where
    Blocking: Runtime<T::Stream>,
{
    stream.prepare().map_err(Error::io(Doing::SettingUp))?;
    let driver = common::Driver::<S, Blocking>::new(stream, Timeouts::default(), Silent);
    ready(common::upgrade_with::<Blocking, S, G, T, V>(driver, client, tls, name, look))
}

/// Upgrades a connection to TLS, as far as the machine's policy demands it.
///
/// # Errors
/// Those of the protocol, of TLS and of the network.
pub fn upgrade_or_plaintext<'o, S: Socket, G: client::Grammar, T: Connect<Blocking, S>>(
    driver: Driver<'o, S>,
    client: Client<G>,
    tls: &T,
    name: &str,
) -> Result<Upgraded<'o, T::Stream, S>, Error>
where
    Blocking: Runtime<T::Stream>,
{
    Ok(match ready(common::upgrade_or_plaintext(driver.0, client, tls, name))? {
        common::Upgraded::Tls(driver, tls) => Upgraded::Tls(Driver(driver), tls),
        common::Upgraded::Plaintext(driver, plaintext) => {
            Upgraded::Plaintext(Driver(driver), plaintext)
        }
    })
}

/// Starts TLS as a client, after the plaintext part or on a port where TLS comes first.
///
/// # Errors
/// [`Error::Tls`] if the handshake fails, or if the certificate does not verify and the policy requires it.
/// Those of the network.
pub fn handshake<'o, S: Socket>(
    driver: Driver<'o, S>,
    tls: &ClientTls,
    name: &str,
    alpn: Option<&[u8]>,
    policy: Policy,
) -> Result<(Driver<'o, ClientStream<S>>, Verification), Error> {
    let shaken = ready(common::handshake(driver.0, tls, name, alpn, policy))?;
    let Secured { stream, verification, .. } = shaken;
    Ok((Driver(stream), verification))
}

/// Starts TLS as a client on a port where TLS comes first (RFC 8314 §3).
///
/// # Errors
/// [`Error::Tls`] if the handshake fails, if the certificate does not verify and the policy requires it, or
/// if the server did not choose an ALPN id that the protocol [demands](Protocol::demands_alpn). Those of the
/// network.
pub fn connect_implicit<'o, S: Socket, T: Connect<Blocking, S>>(
    driver: Driver<'o, S>,
    tls: &T,
    name: &str,
    protocol: Protocol,
    policy: Policy,
) -> Result<(Driver<'o, T::Stream>, Tls), Error>
where
    Blocking: Runtime<T::Stream>,
{
    let (driver, tls) = ready(common::connect_implicit(driver.0, tls, name, protocol, policy))?;
    Ok((Driver(driver), tls))
}

/// Upgrades an accepted stream to TLS and returns it for the protocol's own server.
///
/// `decide` is an [`&Arc<ServerConfig>`](rustls::ServerConfig) or the application's [`Decide`].
///
/// # Errors
/// Those of the protocol, of TLS and of the network. [`starttls::Error::Closed`] if the client leaves or
/// continues without TLS.
pub fn accept<S: Socket, G: server::Grammar>(
    stream: S,
    server: Server<G>,
    decide: impl Decide<G>,
) -> Result<ServerStream<S>, Error> {
    stream.prepare().map_err(Error::io(Doing::SettingUp))?;
    let driver = Driver::new(stream, Timeouts::default(), Silent);
    match accept_or_plaintext(driver, server, decide)? {
        Accepted::Tls(driver, _) => Ok(driver.into_stream()),
        Accepted::Plaintext(..) | Accepted::Quit => Err(Rule::Closed.into()),
    }
}

/// Accepts a client's upgrade to TLS, as far as the machine's policy demands it.
///
/// A client that breaks the protocol gets a reply before this returns.
///
/// # Errors
/// Those of the protocol, of TLS and of the network.
pub fn accept_or_plaintext<S: Socket, G: server::Grammar>(
    driver: Driver<'_, S>,
    server: Server<G>,
    decide: impl Decide<G>,
) -> Result<Accepted<'_, S>, Error> {
    Ok(match ready(common::accept_or_plaintext(driver.0, server, decide))? {
        common::Accepted::Tls(driver, tls) => Accepted::Tls(Driver(driver), tls),
        common::Accepted::Plaintext(driver, plaintext) => {
            Accepted::Plaintext(Driver(driver), plaintext)
        }
        common::Accepted::Quit => Accepted::Quit,
    })
}
