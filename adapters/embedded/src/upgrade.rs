use embedded_io::{ErrorType, Read, Write};
use starttls::client::Grammar;
use starttls::{Client, Tls, Verification};

use crate::clock::{Clock, Timed, TimedError};
use crate::drive::is_end;
use crate::drive::run;
use crate::events::of_client;
use crate::{Budget, Buffers, Connect, Error, Timer};
use starttls::driver::HANDSHAKE_WAIT;

/// A stream after the upgrade, for the protocol's own client or server.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Upgraded<'t, Stream> {
    /// The encrypted stream.
    pub stream: Stream,
    /// Creates the session's machines inside TLS.
    pub tls: Tls,
    /// The remaining wait time of the stream. The default is no limit.
    ///
    /// A read or write that exceeds it fails, and the connection must then be closed.
    pub budget: &'t Budget,
}

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
pub fn upgrade<'t, S, T, C, G, const IN: usize, const OUT: usize>(
    socket: &'t mut S,
    client: Client<G>,
    tls: &'t mut T,
    buffers: &mut Buffers<IN, OUT>,
    timer: &'t mut Timer<C>,
) -> Result<Upgraded<'t, ClientStream<'t, T, S, C>>, ErrorOf<S, T>>
where
    S: Read + Write,
    T: Connect,
    C: Clock<S>,
    G: Grammar,
{
    upgrade_with(socket, client, tls, buffers, timer, |_| ()).map(|(upgraded, ())| upgraded)
}

/// Like [`upgrade`], for protocols that need data of the plaintext dialogue inside TLS.
///
/// `look` reads it from the machine at the last moment that it exists. The data is not authenticated.
///
/// # Errors
/// Those of [`upgrade`].
pub fn upgrade_with<'t, S, T, C, G, R, const IN: usize, const OUT: usize>(
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
    C: Clock<S>,
    G: Grammar,
{
    buffers.clear();
    let Timer { clock, budget } = timer;
    let mut timed = Timed { socket, clock, budget };
    run(&mut client, buffers, budget, &mut timed, in_plaintext, of_client)?;
    let seen = look(&client);
    let upgrade = client.into_upgrade(buffers.driver.unread())?;
    let (stream, verification) = handshake(timed, tls, G::PROTOCOL.alpn)?;
    Ok((Upgraded { stream, tls: upgrade.established(verification)?, budget }, seen))
}

/// A client's handshake with its time limit.
pub(crate) fn handshake<'t, S, T, C>(
    timed: Timed<'t, S, C>,
    tls: &'t mut T,
    alpn: Option<&'static [u8]>,
) -> Result<(ClientStream<'t, T, S, C>, Verification), ErrorOf<S, T>>
where
    S: Read + Write,
    T: Connect,
    C: Clock<S>,
{
    let budget = timed.budget;
    budget.wait(HANDSHAKE_WAIT);
    let connected = tls.connect(timed, alpn).map_err(|error| shaking(budget, error))?;
    budget.start(None);
    Ok(connected)
}

/// Converts an error of the plaintext part.
pub(crate) fn in_plaintext<S, T>(error: TimedError<S>) -> Error<S, T> {
    match error {
        TimedError::TimedOut => Error::Protocol(starttls::Error::TimedOut),
        TimedError::Closed => Error::Protocol(starttls::Error::Closed),
        TimedError::Socket(error) => Error::Socket(error),
    }
}

/// Converts an error of the handshake.
pub(crate) fn shaking<S, T: embedded_io::Error>(budget: &Budget, error: T) -> Error<S, T> {
    if budget.is_over() {
        Error::Protocol(starttls::Error::TimedOut)
    } else if is_end(error.kind()) {
        Error::Protocol(starttls::Error::Closed)
    } else {
        Error::Tls(error)
    }
}
