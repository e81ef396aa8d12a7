use embedded_io_async::{ErrorType, Read, Write};
use starttls::client::Grammar;
use starttls::{Client, Verification};

use super::drive::run;
use super::{Clock, Connect};
use crate::events::of_client;
use crate::upgrade::{in_plaintext, shaking};
use crate::{Buffers, Error, Timed, Timer, Upgraded};
use starttls::driver::HANDSHAKE_WAIT;

/// The encrypted stream that [`upgrade`] creates over a socket `S` with the TLS `T`.
pub type ClientStream<'t, T, S, C> = <T as Connect>::Stream<'t, Timed<'t, S, C>>;

/// The error of [`upgrade`] over a socket `S` with the TLS `T`.
pub type ErrorOf<S, T> = Error<<S as ErrorType>::Error, <T as Connect>::Error>;

/// Upgrades a connected socket to TLS as a client, with the machine of any protocol.
///
/// After an error, close the connection.
///
/// # Errors
/// Those of the protocol, of TLS and of the socket. [`NotOffered`](starttls::Error::NotOffered) and
/// [`Refused`](starttls::Error::Refused) even if the machine's policy allows plaintext.
pub async fn upgrade<'t, S, T, C, G, const IN: usize, const OUT: usize>(
    socket: &'t mut S,
    client: Client<G>,
    tls: &'t mut T,
    buffers: &mut Buffers<IN, OUT>,
    timer: &'t mut Timer<C>,
) -> Result<Upgraded<'t, ClientStream<'t, T, S, C>>, ErrorOf<S, T>>
where
    S: Read + Write,
    T: Connect,
    C: Clock,
    G: Grammar,
{
    upgrade_with(socket, client, tls, buffers, timer, |_| ()).await.map(|(upgraded, ())| upgraded)
}

/// Like [`upgrade`], for protocols that need data of the plaintext dialogue inside TLS.
///
/// `look` reads it from the machine at the last moment that it exists. The data is not authenticated.
///
/// # Errors
/// Those of [`upgrade`].
pub async fn upgrade_with<'t, S, T, C, G, R, const IN: usize, const OUT: usize>(
    socket: &'t mut S,
    mut client: Client<G>,
    tls: &'t mut T,
    buffers: &mut Buffers<IN, OUT>,
    timer: &'t mut Timer<C>,
    look: impl FnOnce(&Client<G>) -> R,
) -> Result<(Upgraded<'t, ClientStream<'t, T, S, C>>, R), ErrorOf<S, T>>
where
    S: Read + Write,
    T: Connect,
    C: Clock,
    G: Grammar,
{
    buffers.clear();
    let Timer { clock, budget } = timer;
    let mut timed = Timed { socket, clock, budget };
    run(&mut client, buffers, budget, &mut timed, in_plaintext, of_client).await?;
    let seen = look(&client);
    let upgrade = client.into_upgrade(buffers.driver.unread())?;
    let (stream, verification) = handshake(timed, tls, G::PROTOCOL.alpn).await?;
    Ok((Upgraded { stream, tls: upgrade.established(verification)?, budget }, seen))
}

/// A client's handshake with its time limit.
pub(crate) async fn handshake<'t, S, T, C>(
    timed: Timed<'t, S, C>,
    tls: &'t mut T,
    alpn: Option<&'static [u8]>,
) -> Result<(ClientStream<'t, T, S, C>, Verification), ErrorOf<S, T>>
where
    S: Read + Write,
    T: Connect,
    C: Clock,
{
    let budget = timed.budget;
    budget.wait(HANDSHAKE_WAIT);
    let connected = tls.connect(timed, alpn).await.map_err(|error| shaking(budget, error))?;
    budget.start(None);
    Ok(connected)
}
