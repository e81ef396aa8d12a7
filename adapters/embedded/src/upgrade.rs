use embedded_io::{ErrorType, Read, Write};
use starttls::client::Grammar;
use starttls::{Client, Tls, Verification};

use crate::clock::{Clock, Timed, TimedError};
use crate::drive::is_end;
use crate::drive::run;
use crate::events::of_client;
use crate::{Budget, Buffers, Connect, Error, Timer};
use starttls::driver::HANDSHAKE_WAIT;

/// A stream after the upgrade, ready for the protocol's own client or server.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Upgraded<'t, Stream> {
    /// What is encrypted.
    pub stream: Stream,
    /// What a session over it is made from.
    pub tls: Tls,
    /// How long the stream waits from here on, for ever unless the caller says otherwise. A read or
    /// write beyond it fails, and the connection is good for nothing more.
    pub budget: &'t Budget,
}

/// What [`upgrade`] makes of a socket `S` by a TLS `T`.
pub type ClientStream<'t, T, S, C> = <T as Connect>::Stream<'t, Timed<'t, S, C>>;

/// Why it fails on a socket `S` by a TLS `T`.
pub type ErrorOf<S, T> = Error<<S as ErrorType>::Error, <T as Connect>::Error>;

/// Upgrades a connected socket to TLS as the client, with the machine of any protocol.
///
/// # Errors
/// Those of the protocol, of TLS and of the socket; [`NotOffered`](starttls::Error::NotOffered) and
/// [`Refused`](starttls::Error::Refused) also where the machine's policy would allow plaintext. Close
/// the connection.
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

/// Like [`upgrade`], for protocols whose client has to know inside TLS what was said before: `look` reads
/// it from the machine at the last moment that there is one. Nobody vouches for it.
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

/// The handshake of a client, and an end to its time.
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

/// What an error in plaintext is.
pub(crate) fn in_plaintext<S, T>(error: TimedError<S>) -> Error<S, T> {
    match error {
        TimedError::TimedOut => Error::Protocol(starttls::Error::TimedOut),
        TimedError::Closed => Error::Protocol(starttls::Error::Closed),
        TimedError::Socket(error) => Error::Socket(error),
    }
}

/// What an error of the handshake is.
pub(crate) fn shaking<S, T: embedded_io::Error>(budget: &Budget, error: T) -> Error<S, T> {
    if budget.is_over() {
        Error::Protocol(starttls::Error::TimedOut)
    } else if is_end(error.kind()) {
        Error::Protocol(starttls::Error::Closed)
    } else {
        Error::Tls(error)
    }
}
