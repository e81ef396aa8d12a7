use std::net::{TcpStream, ToSocketAddrs};
use std::time::Instant;

use rustls::{ClientConnection, ServerConnection, StreamOwned};
use starttls::{
    Client, Error as Rule, Plaintext, Policy, Server, Tls, Verification, client, server,
};
use starttls_common::{
    self as common, ClientTls, Connect, Decide, Doing, Error, Link, Runtime, Secured, Silent,
    Timeouts, ready,
};

use crate::runtime::connect_within;
use crate::{Blocking, Driver};

/// A client's stream after the upgrade.
pub type ClientStream = StreamOwned<ClientConnection, TcpStream>;

/// A server's stream after the upgrade.
pub type ServerStream = StreamOwned<ServerConnection, TcpStream>;

/// Where a client's upgrade led, `E` being what is encrypted. Exhaustive: a caller has to do something about each.
#[derive(Debug)]
pub enum Upgraded<'o, E = ClientStream> {
    /// To TLS.
    Tls(Driver<'o, E>, Tls),
    /// Nowhere, and the policy allows that.
    Plaintext(Driver<'o, TcpStream>, Plaintext),
}

/// Where a client led the server. Exhaustive: an application has to do something about each.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one a connection")]
pub enum Accepted<'o> {
    /// To TLS.
    Tls(Driver<'o, ServerStream>, Tls),
    /// On without TLS, which the policy allows; its command waits in the driver.
    Plaintext(Driver<'o, TcpStream>, Plaintext),
    /// Away: it said goodbye.
    Quit,
}

/// Opens a TCP connection to the first address that answers, with `TCP_NODELAY`.
///
/// # Errors
/// [`Error::Io`] if the name has no address or none of them answers.
pub fn connect(address: impl ToSocketAddrs, timeouts: &Timeouts) -> Result<TcpStream, Error> {
    connect_within(address, &mut Link::new(*timeouts, Instant::now(), Silent))
}

/// Upgrades a connected stream to TLS and returns it, ready for the protocol's own client. `name`
/// is whom the certificate must be for: what the caller asked for, never what the server said.
///
/// # Errors
/// Those of the protocol, of TLS and of the network; also where the machine's policy would allow
/// plaintext and there is no TLS.
pub fn upgrade<G: client::Grammar, T: Connect<Blocking, TcpStream>>(
    stream: TcpStream,
    client: Client<G>,
    tls: &T,
    name: &str,
) -> Result<T::Stream, Error>
where
    Blocking: Runtime<T::Stream>,
{
    upgrade_with(stream, client, tls, name, |_| ()).map(|(stream, ())| stream)
}

/// Like [`upgrade`], for protocols whose client has to know inside TLS what was said before: `look` reads
/// it from the machine at the last moment that there is one. It is not authenticated.
///
/// # Errors
/// Those of [`upgrade`].
pub fn upgrade_with<G: client::Grammar, T: Connect<Blocking, TcpStream>, V>(
    stream: TcpStream,
    client: Client<G>,
    tls: &T,
    name: &str,
    look: impl FnOnce(&Client<G>) -> V,
) -> Result<(T::Stream, V), Error>
where
    Blocking: Runtime<T::Stream>,
{
    stream.set_nodelay(true).map_err(Error::io(Doing::SettingUp))?;
    let driver = common::Driver::<TcpStream, Blocking>::new(stream, Timeouts::default(), Silent);
    ready(common::upgrade_with::<Blocking, TcpStream, G, T, V>(driver, client, tls, name, look))
}

/// Upgrades a connection to TLS as far as the machine's policy demands.
///
/// # Errors
/// Those of the protocol, of TLS and of the network.
pub fn upgrade_or_plaintext<'o, G: client::Grammar, T: Connect<Blocking, TcpStream>>(
    driver: Driver<'o, TcpStream>,
    client: Client<G>,
    tls: &T,
    name: &str,
) -> Result<Upgraded<'o, T::Stream>, Error>
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

/// Starts TLS as a client on a connection where everything in plaintext is done, or on a port where
/// TLS comes first.
///
/// # Errors
/// [`Error::Tls`] if the handshake fails, or if the certificate does not verify and the policy
/// requires it; those of the network.
pub fn handshake<'o>(
    driver: Driver<'o, TcpStream>,
    tls: &ClientTls,
    name: &str,
    alpn: Option<&[u8]>,
    policy: Policy,
) -> Result<(Driver<'o, ClientStream>, Verification), Error> {
    let shaken = ready(common::handshake(driver.0, tls, name, alpn, policy))?;
    let Secured { stream, verification, .. } = shaken;
    Ok((Driver(stream), verification))
}

/// Upgrades an accepted stream to TLS and returns it, ready for the protocol's own server. `decide` is an
/// [`&Arc<ServerConfig>`](rustls::ServerConfig) or an application's own.
///
/// # Errors
/// Those of the protocol, of TLS and of the network; [`starttls::Error::Closed`] if the client
/// leaves or goes on without TLS.
pub fn accept<G: server::Grammar>(
    stream: TcpStream,
    server: Server<G>,
    decide: impl Decide<G>,
) -> Result<ServerStream, Error> {
    stream.set_nodelay(true).map_err(Error::io(Doing::SettingUp))?;
    let driver = Driver::new(stream, Timeouts::default(), Silent);
    match accept_or_plaintext(driver, server, decide)? {
        Accepted::Tls(driver, _) => Ok(driver.into_stream()),
        Accepted::Plaintext(..) | Accepted::Quit => Err(Rule::Closed.into()),
    }
}

/// Follows a client to TLS as far as the machine's policy demands. A client that breaks the
/// protocol is told so before this returns.
///
/// # Errors
/// Those of the protocol, of TLS and of the network.
pub fn accept_or_plaintext<G: server::Grammar>(
    driver: Driver<'_, TcpStream>,
    server: Server<G>,
    decide: impl Decide<G>,
) -> Result<Accepted<'_>, Error> {
    Ok(match ready(common::accept_or_plaintext(driver.0, server, decide))? {
        common::Accepted::Tls(driver, tls) => Accepted::Tls(Driver(driver), tls),
        common::Accepted::Plaintext(driver, plaintext) => {
            Accepted::Plaintext(Driver(driver), plaintext)
        }
        common::Accepted::Quit => Accepted::Quit,
    })
}
