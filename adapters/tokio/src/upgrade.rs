use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use starttls::client::{Event, Grammar};
use starttls::{Client, Error as Rule, Plaintext, Policy, Tls, Verification};
use starttls_common::{Doing, Link};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout_at;
use tokio_rustls::{TlsConnector, client};

use crate::driver::now;
use crate::{ClientTls, Driver, Error, Silent, Timeouts};

/// A client's stream after the upgrade.
pub type ClientStream<S> = client::TlsStream<S>;

/// Where a client's upgrade led. Exhaustive: a caller has to do something about each.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one a connection")]
pub enum Upgraded<'o, S> {
    /// To TLS.
    Tls(Driver<'o, ClientStream<S>>, Tls),
    /// Nowhere, and the policy allows that.
    Plaintext(Driver<'o, S>, Plaintext),
}

/// Upgrades a connected stream to TLS and returns it, ready for the protocol's own client. `name`
/// is whom the certificate must be for: what the caller asked for, never what the server said. The
/// protocol's ALPN id is offered behind those of the connector.
///
/// Dropped before it is done, it closes the stream: half an upgrade is of no use to anybody.
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
    G: Grammar,
{
    upgrade_with(stream, client, connector, name, |_| ()).await.map(|(stream, ())| stream)
}

/// Like [`upgrade`], for protocols whose client has to know inside TLS what was said before: `look` reads
/// it from the machine at the last moment that there is one. Nobody vouches for it.
///
/// Dropped before it is done, it closes the stream.
///
/// # Errors
/// Those of [`upgrade`].
pub async fn upgrade_with<S, G, T>(
    stream: S,
    mut client: Client<G>,
    connector: &TlsConnector,
    name: &str,
    look: impl FnOnce(&Client<G>) -> T,
) -> Result<(ClientStream<S>, T), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
    G: Grammar,
{
    let mut driver = Driver::new(stream, Timeouts::default(), Silent);
    if !follow(&mut driver, &mut client).await? {
        return Err(Rule::NotOffered.into());
    }
    let seen = look(&client);
    let tls = ClientTls::from_config(Arc::clone(connector.config()));
    let (driver, _) = cross(driver, client, &tls, name).await?;
    Ok((driver.into_stream(), seen))
}

/// Upgrades a connection to TLS as far as the machine's policy demands, watched and within the
/// driver's timeouts.
///
/// Dropped before it is done, it closes the stream.
///
/// # Errors
/// Those of the protocol, of TLS and of the network.
pub async fn upgrade_or_plaintext<'o, S, G>(
    mut driver: Driver<'o, S>,
    mut client: Client<G>,
    tls: &ClientTls,
    name: &str,
) -> Result<Upgraded<'o, S>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
    G: Grammar,
{
    if follow(&mut driver, &mut client).await? {
        let (driver, tls) = cross(driver, client, tls, name).await?;
        return Ok(Upgraded::Tls(driver, tls));
    }
    let plaintext = client.into_plaintext(driver.unread())?;
    Ok(Upgraded::Plaintext(driver, plaintext))
}

/// Everything in plaintext; whether TLS follows.
async fn follow<S, G>(driver: &mut Driver<'_, S>, client: &mut Client<G>) -> Result<bool, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
    G: Grammar,
{
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

/// The boundary, and the handshake behind it.
async fn cross<'o, S, G>(
    driver: Driver<'o, S>,
    client: Client<G>,
    tls: &ClientTls,
    name: &str,
) -> Result<(Driver<'o, ClientStream<S>>, Tls), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
    G: Grammar,
{
    let policy = client.policy();
    let upgrade = client.into_upgrade(driver.unread())?;
    let (driver, verification) = handshake(driver, tls, name, G::PROTOCOL.alpn, policy).await?;
    Ok((driver, upgrade.established(verification)?))
}

/// Starts TLS as a client on a connection where everything in plaintext is done, or on a port where
/// TLS comes first.
///
/// Dropped before it is done, it closes the stream.
///
/// # Errors
/// [`Error::Tls`] if the handshake fails, or if the certificate does not verify and the policy
/// requires it; those of the network.
pub async fn handshake<'o, S>(
    driver: Driver<'o, S>,
    tls: &ClientTls,
    name: &str,
    alpn: Option<&[u8]>,
    policy: Policy,
) -> Result<(Driver<'o, ClientStream<S>>, Verification), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let opening = tls.open(name, alpn, policy)?;
    let Driver { stream, mut link } = driver;
    let connector = TlsConnector::from(Arc::clone(&opening.config));
    let connect = connector.with_alpn(opening.alpn.clone()).connect(opening.name.clone(), stream);
    let stream = shake_hands(&mut link, connect).await?;
    let verification = opening.judge(stream.get_ref().1, link.observer())?;
    Ok((Driver::over(stream, link), verification))
}

/// Waits for a whole handshake, however slowly its octets come.
pub(crate) async fn shake_hands<T>(
    link: &mut Link<'_>,
    handshake: impl Future<Output = io::Result<T>>,
) -> Result<T, Error> {
    let until = link.handshake_deadline(now());
    match timeout_at(until.into(), handshake).await {
        Ok(outcome) => outcome.map_err(|error| match error.downcast::<rustls::Error>() {
            Ok(error) => error.into(),
            Err(error) => Error::io(Doing::Handshake)(error),
        }),
        Err(_) => Err(Rule::TimedOut.into()),
    }
}
