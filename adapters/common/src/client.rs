use std::ops::ControlFlow;

use starttls::client::{Event, Grammar};
use starttls::{Client, Plaintext, Policy, Protocol, Tls};

use crate::{Connect, Driver, Error, Runtime, Secured, check_chosen};

/// The result of a client's upgrade, with the stream `S` in plaintext or `E` encrypted.
///
/// The enum is exhaustive: a caller has to handle each variant.
#[derive(Debug)]
pub enum Upgraded<'o, S, E, R> {
    /// The connection uses TLS.
    Tls(Driver<'o, E, R>, Tls),
    /// The server has no TLS, and the policy allows plaintext.
    Plaintext(Driver<'o, S, R>, Plaintext),
}

/// Upgrades a connection to TLS and returns the stream for the protocol's own client.
///
/// `name` is the name that the certificate has to contain: the one that the caller asked for, never one that
/// the server sent. `look` reads from the machine what the client needs inside TLS of the plaintext dialogue,
/// at the last moment that it exists. That data is not authenticated. If the future is dropped, the stream
/// closes.
///
/// # Errors
/// Those of the protocol, of TLS and of the network. [`NotOffered`](starttls::Error::NotOffered) if there is
/// no TLS, even if the machine's policy allows plaintext.
pub async fn upgrade_with<R, S, G, T, V>(
    mut driver: Driver<'_, S, R>,
    mut client: Client<G>,
    tls: &T,
    name: &str,
    look: impl FnOnce(&Client<G>) -> V,
) -> Result<(T::Stream, V), Error>
where
    R: Runtime<S> + Runtime<T::Stream>,
    G: Grammar,
    T: Connect<R, S>,
{
    if !follow(&mut driver, &mut client).await? {
        return Err(starttls::Error::NotOffered.into());
    }
    let seen = look(&client);
    let (driver, _) = cross(driver, client, tls, name).await?;
    Ok((driver.into_stream(), seen))
}

/// Upgrades a connection to TLS, as far as the machine's policy demands it, with the driver's observer and
/// timeouts.
///
/// If the future is dropped, the stream closes.
///
/// # Errors
/// Those of the protocol, of TLS and of the network.
pub async fn upgrade_or_plaintext<'o, R, S, G, T>(
    mut driver: Driver<'o, S, R>,
    mut client: Client<G>,
    tls: &T,
    name: &str,
) -> Result<Upgraded<'o, S, T::Stream, R>, Error>
where
    R: Runtime<S> + Runtime<T::Stream>,
    G: Grammar,
    T: Connect<R, S>,
{
    if follow(&mut driver, &mut client).await? {
        let (driver, tls) = cross(driver, client, tls, name).await?;
        return Ok(Upgraded::Tls(driver, tls));
    }
    let plaintext =
        client.into_plaintext(driver.unread()).map_err(|error| driver.link.error(error))?;
    Ok(Upgraded::Plaintext(driver, plaintext))
}

/// Runs the plaintext part. `true` if TLS follows.
async fn follow<R: Runtime<S>, S, G: Grammar>(
    driver: &mut Driver<'_, S, R>,
    client: &mut Client<G>,
) -> Result<bool, Error> {
    let ready = driver
        .run(client, |_, event, _| {
            Ok(match event {
                Event::UpgradeReady => ControlFlow::Break(true),
                Event::Plaintext(_) => ControlFlow::Break(false),
                _ => ControlFlow::Continue(()),
            })
        })
        .await?;
    Ok(ready == Some(true))
}

/// Crosses the boundary and performs the handshake.
async fn cross<'o, R, S, G, T>(
    driver: Driver<'o, S, R>,
    client: Client<G>,
    tls: &T,
    name: &str,
) -> Result<(Driver<'o, T::Stream, R>, Tls), Error>
where
    R: Runtime<S> + Runtime<T::Stream>,
    G: Grammar,
    T: Connect<R, S>,
{
    let policy = client.policy();
    let upgrade = client.into_upgrade(driver.unread()).map_err(|error| driver.link.error(error))?;
    let secured = handshake(driver, tls, name, G::PROTOCOL.alpn, policy).await?;
    Ok((secured.stream, upgrade.established(secured.verification)?))
}

/// Starts TLS as a client, after the plaintext part or on a port where TLS comes first.
///
/// If the future is dropped, the stream closes.
///
/// # Errors
/// [`Error::Tls`] if the handshake fails, or if the certificate does not verify and the policy requires it.
/// Those of the network.
pub async fn handshake<'o, R, S, T>(
    driver: Driver<'o, S, R>,
    tls: &T,
    name: &str,
    alpn: Option<&[u8]>,
    policy: Policy,
) -> Result<Secured<Driver<'o, T::Stream, R>>, Error>
where
    R: Runtime<S> + Runtime<T::Stream>,
    T: Connect<R, S>,
{
    let (stream, mut link) = driver.into_parts();
    let Secured { stream, verification, binding, alpn } =
        tls.connect(stream, &mut link, name, alpn, policy).await?;
    Ok(Secured { stream: Driver::over(stream, link), verification, binding, alpn })
}

/// Starts TLS as a client on a port where TLS comes first (RFC 8314 §3).
///
/// If the future is dropped, the stream closes.
///
/// # Errors
/// [`Error::Tls`] if the handshake fails, if the certificate does not verify and the policy requires it, or
/// if the server did not choose an ALPN id that the protocol [demands](starttls::Protocol::demands_alpn).
/// Those of the network.
pub async fn connect_implicit<'o, R, S, T>(
    driver: Driver<'o, S, R>,
    tls: &T,
    name: &str,
    protocol: Protocol,
    policy: Policy,
) -> Result<(Driver<'o, T::Stream, R>, Tls), Error>
where
    R: Runtime<S> + Runtime<T::Stream>,
    T: Connect<R, S>,
{
    let secured = handshake(driver, tls, name, protocol.alpn, policy).await?;
    check_chosen(protocol, secured.alpn.as_deref())?;
    Ok((secured.stream, Tls::implicit(policy, secured.verification)?))
}
