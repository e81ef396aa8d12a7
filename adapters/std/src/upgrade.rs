use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use rustls::{ClientConnection, StreamOwned};
use starttls::client::{Event, Grammar};
use starttls::{Client, Plaintext, Policy, Tls, Verification};

use starttls_common::{ClientTls, Doing, Error, Link, Silent, Timeouts};

use crate::driver::Driver;
use crate::socket::{Socket as _, is_timeout};

/// A client's stream after the upgrade.
pub type ClientStream = StreamOwned<ClientConnection, TcpStream>;

/// Where a client's upgrade led. Exhaustive: a caller has to do something about each.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one a connection")]
pub enum Upgraded<'o> {
    /// To TLS.
    Tls(Driver<'o, ClientStream>, Tls),
    /// Nowhere, and the policy allows that.
    Plaintext(Driver<'o, TcpStream>, Plaintext),
}

/// Opens a TCP connection to the first address that answers, with `TCP_NODELAY`.
///
/// # Errors
/// [`Error::Io`] if the name has no address or none of them answers.
pub fn connect(address: impl ToSocketAddrs, timeouts: &Timeouts) -> Result<TcpStream, Error> {
    connect_within(address, &mut Link::new(*timeouts, Instant::now(), Silent))
}

pub(crate) fn connect_within(
    address: impl ToSocketAddrs,
    link: &mut Link<'_>,
) -> Result<TcpStream, Error> {
    let addresses = address.to_socket_addrs().map_err(Error::io(Doing::LookingUp))?;
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in addresses {
        let now = Instant::now();
        let left = link.connect_deadline(now).saturating_duration_since(now);
        if left.is_zero() {
            last = io::ErrorKind::TimedOut.into();
            break;
        }
        match TcpStream::connect_timeout(&address, left) {
            Ok(stream) => {
                stream.set_nodelay(true).map_err(Error::io(Doing::SettingUp))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(Error::io(Doing::Connecting)(last))
}

/// Upgrades a connected stream to TLS and returns it, ready for the protocol's own client. `name`
/// is whom the certificate must be for: what the caller asked for, never what the server said.
///
/// # Errors
/// Those of the protocol, of TLS and of the network; also where the machine's policy would allow
/// plaintext and there is no TLS.
pub fn upgrade<G: Grammar>(
    stream: TcpStream,
    client: Client<G>,
    tls: &ClientTls,
    name: &str,
) -> Result<ClientStream, Error> {
    upgrade_with(stream, client, tls, name, |_| ()).map(|(stream, ())| stream)
}

/// Like [`upgrade`], for protocols whose client has to know inside TLS what was said before: `look` reads
/// it from the machine at the last moment that there is one. Nobody vouches for it.
///
/// # Errors
/// Those of [`upgrade`].
pub fn upgrade_with<G: Grammar, T>(
    stream: TcpStream,
    mut client: Client<G>,
    tls: &ClientTls,
    name: &str,
    look: impl FnOnce(&Client<G>) -> T,
) -> Result<(ClientStream, T), Error> {
    stream.set_nodelay(true).map_err(Error::io(Doing::SettingUp))?;
    let mut driver = Driver::new(stream, Timeouts::default(), Silent);
    if !follow(&mut driver, &mut client)? {
        return Err(starttls::Error::NotOffered.into());
    }
    let seen = look(&client);
    let (driver, _) = cross(driver, client, tls, name)?;
    Ok((driver.into_stream(), seen))
}

/// Upgrades a connection to TLS as far as the machine's policy demands.
///
/// # Errors
/// Those of the protocol, of TLS and of the network.
pub fn upgrade_or_plaintext<'o, G: Grammar>(
    mut driver: Driver<'o, TcpStream>,
    mut client: Client<G>,
    tls: &ClientTls,
    name: &str,
) -> Result<Upgraded<'o>, Error> {
    if follow(&mut driver, &mut client)? {
        let (driver, tls) = cross(driver, client, tls, name)?;
        return Ok(Upgraded::Tls(driver, tls));
    }
    let plaintext = client.into_plaintext(driver.unread())?;
    Ok(Upgraded::Plaintext(driver, plaintext))
}

/// Everything in plaintext; whether TLS follows.
fn follow<G: Grammar>(
    driver: &mut Driver<'_, TcpStream>,
    client: &mut Client<G>,
) -> Result<bool, Error> {
    let ready = driver.run(client, |_, event, _| {
        Ok(match event {
            Event::UpgradeReady => ControlFlow::Break(true),
            Event::Plaintext(_) => ControlFlow::Break(false),
            _ => ControlFlow::Continue(()),
        })
    })?;
    Ok(ready == Some(true))
}

/// The boundary, and the handshake behind it.
fn cross<'o, G: Grammar>(
    driver: Driver<'o, TcpStream>,
    client: Client<G>,
    tls: &ClientTls,
    name: &str,
) -> Result<(Driver<'o, ClientStream>, Tls), Error> {
    let policy = client.policy();
    let upgrade = client.into_upgrade(driver.unread())?;
    let (driver, verification) = handshake(driver, tls, name, G::PROTOCOL.alpn, policy)?;
    Ok((driver, upgrade.established(verification)?))
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
    let opening = tls.open(name, alpn, policy)?;
    let Driver { mut stream, mut link, .. } = driver;
    let config = Arc::clone(&opening.config);
    let (name, alpn) = (opening.name.clone(), opening.alpn.clone());
    let mut connection = ClientConnection::new_with_alpn(config, name, alpn)?;
    shake_hands(&mut connection, &mut stream, link.handshake_deadline(Instant::now()))?;
    let verification = opening.judge(&connection, link.observer())?;
    Ok((Driver::over(StreamOwned::new(connection, stream), link), verification))
}

/// A whole handshake, read by read, so that a peer that drips octets cannot make it last.
pub(crate) fn shake_hands<C, D>(
    connection: &mut C,
    stream: &mut TcpStream,
    end: Instant,
) -> Result<(), Error>
where
    C: std::ops::DerefMut<Target = rustls::ConnectionCommon<D>>,
    D: rustls::SideData,
{
    let failed = |error: io::Error| {
        if is_timeout(&error) {
            starttls::Error::TimedOut.into()
        } else {
            Error::io(Doing::Handshake)(error)
        }
    };
    while connection.is_handshaking() || connection.wants_write() {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(starttls::Error::TimedOut.into());
        }
        stream.set_timeout(left).map_err(Error::io(Doing::SettingUp))?;
        if connection.wants_write() {
            match connection.write_tls(stream) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                    return Err(failed(error));
                }
                _ => continue,
            }
        }
        stream.acknowledge();
        match connection.read_tls(stream) {
            Ok(0) => return Err(failed(io::ErrorKind::UnexpectedEof.into())),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(failed(error)),
        }
        if let Err(error) = connection.process_new_packets() {
            // The alert that says why; it is only a courtesy.
            let _ = connection.write_tls(stream);
            return Err(error.into());
        }
    }
    Ok(())
}
