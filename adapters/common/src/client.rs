use std::ops::ControlFlow;

use starttls::client::{Event, Grammar};
use starttls::{Client, Plaintext, Policy, Tls};

use crate::{Connect, Driver, Error, Runtime, Secured};

/// Where a client's upgrade led, over a stream `S` or an encrypted one, `E`. Exhaustive: a caller has to do something
/// about each.
#[derive(Debug)]
pub enum Upgraded<'o, S, E, R> {
    /// To TLS.
    Tls(Driver<'o, E, R>, Tls),
    /// Nowhere, and the policy allows that.
    Plaintext(Driver<'o, S, R>, Plaintext),
}

/// Upgrades a connection to TLS and returns the stream, ready for the protocol's own client. `name` is whom the
/// certificate must be for: what the caller asked for, never what the server said. `look` reads from the machine what
/// the client has to know inside TLS of what was said before, at the last moment that there is one; it is not
/// authenticated.
///
/// Dropped before it is done, it closes the stream.
///
/// # Errors
/// Those of the protocol, of TLS and of the network; also where the machine's policy would allow
/// plaintext and there is no TLS.
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

/// Upgrades a connection to TLS as far as the machine's policy demands, watched and within the
/// driver's timeouts.
///
/// Dropped before it is done, it closes the stream.
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
    let plaintext = client.into_plaintext(driver.unread())?;
    Ok(Upgraded::Plaintext(driver, plaintext))
}

/// Everything in plaintext; whether TLS follows.
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

/// The boundary, and the handshake after it.
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
    let upgrade = client.into_upgrade(driver.unread())?;
    let secured = handshake(driver, tls, name, G::PROTOCOL.alpn, policy).await?;
    Ok((secured.stream, upgrade.established(secured.verification)?))
}

/// Starts TLS as a client on a connection where everything in plaintext is done, or on a port where
/// TLS comes first.
///
/// Dropped before it is done, it closes the stream.
///
/// # Errors
/// [`Error::Tls`] if the handshake fails, or if the certificate does not verify and the policy
/// requires it; those of the network.
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
    let Secured { stream, verification, binding } =
        tls.connect(stream, &mut link, name, alpn, policy).await?;
    Ok(Secured { stream: Driver::over(stream, link), verification, binding })
}
