use std::net::TcpStream;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use starttls::server::{Event, Grammar};
use starttls::{Plaintext, Server, Tls};

use starttls_common::{Doing, Error, Silent, Timeouts, check_alpn};

use crate::driver::Driver;
use crate::upgrade::shake_hands;

/// A server's stream after the upgrade.
pub type ServerStream = StreamOwned<ServerConnection, TcpStream>;

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

/// Upgrades an accepted stream to TLS and returns it, ready for the protocol's own server.
///
/// # Errors
/// Those of the protocol, of TLS and of the network; [`starttls::Error::Closed`] if the client
/// leaves or goes on without TLS.
pub fn accept<G: Grammar>(
    stream: TcpStream,
    server: Server<G>,
    tls: &Arc<ServerConfig>,
) -> Result<ServerStream, Error> {
    stream.set_nodelay(true).map_err(Error::io(Doing::SettingUp))?;
    let driver = Driver::new(stream, Timeouts::default(), Silent);
    match accept_or_plaintext(driver, server, tls)? {
        Accepted::Tls(driver, _) => Ok(driver.into_stream()),
        Accepted::Plaintext(..) | Accepted::Quit => Err(starttls::Error::Closed.into()),
    }
}

/// Follows a client to TLS as far as the machine's policy demands. A client that breaks the
/// protocol is told so before this returns.
///
/// # Errors
/// Those of the protocol, of TLS and of the network.
pub fn accept_or_plaintext<'o, G: Grammar>(
    mut driver: Driver<'o, TcpStream>,
    mut server: Server<G>,
    tls: &Arc<ServerConfig>,
) -> Result<Accepted<'o>, Error> {
    enum End {
        Upgrade,
        Plaintext,
        Quit,
    }
    driver.link.never_quote();
    let is_credential = |event: Event<'_>| matches!(event, Event::Received(said) if said.as_untrusted_bytes().is_empty());
    let end = driver.run_discreetly(&mut server, is_credential, |server, event, _| {
        Ok(match event {
            Event::UpgradeRequested => {
                server.accept()?;
                ControlFlow::Continue(())
            }
            Event::Command(_) => {
                server.unknown()?;
                ControlFlow::Continue(())
            }
            Event::UpgradeReady => ControlFlow::Break(End::Upgrade),
            Event::Plaintext => ControlFlow::Break(End::Plaintext),
            Event::Quit => ControlFlow::Break(End::Quit),
            _ => ControlFlow::Continue(()),
        })
    });
    match end? {
        Some(End::Upgrade) => {
            let early = driver.unread().to_vec();
            let upgrade = server.into_upgrade(&early)?;
            let driver = handshake(driver, tls, upgrade.early())?;
            check_alpn(upgrade.alpn(), &driver.stream.conn)?;
            Ok(Accepted::Tls(driver, upgrade.established()))
        }
        Some(End::Plaintext) => {
            driver.flush()?;
            Ok(Accepted::Plaintext(driver, server.into_plaintext()?))
        }
        Some(End::Quit) | None => Ok(Accepted::Quit),
    }
}

/// Starts TLS as a server on a port where TLS comes first (RFC 8314 §3).
///
/// # Errors
/// [`Error::Tls`] if the handshake fails; those of the network.
pub fn accept_implicit<'o>(
    driver: Driver<'o, TcpStream>,
    tls: &Arc<ServerConfig>,
) -> Result<(Driver<'o, ServerStream>, Tls), Error> {
    Ok((handshake(driver, tls, &[])?, Tls::implicit_server()))
}

/// Starts TLS as a server, `early` octets first.
pub(crate) fn handshake<'o>(
    driver: Driver<'o, TcpStream>,
    tls: &Arc<ServerConfig>,
    mut early: &[u8],
) -> Result<Driver<'o, ServerStream>, Error> {
    let Driver { mut stream, mut link, .. } = driver;
    let mut connection = ServerConnection::new(Arc::clone(tls))?;
    while !early.is_empty() {
        connection.read_tls(&mut early).map_err(Error::io(Doing::Handshake))?;
        connection.process_new_packets()?;
    }
    shake_hands(&mut connection, &mut stream, link.handshake_deadline(Instant::now()))?;
    link.observer().secured(&connection, None);
    link.discard_unread();
    link.never_quote();
    Ok(Driver::over(StreamOwned::new(connection, stream), link))
}
