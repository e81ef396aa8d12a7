use embedded_io::{ErrorType, Read, Write};
use starttls::Server;
use starttls::server::Grammar;

use crate::clock::{Clock, Timed};
use crate::drive::run;
use crate::events::of_server;
use crate::upgrade::{Upgraded, in_plaintext, shaking};
use crate::{Accept, Buffers, Error, Timer};
use starttls::driver::HANDSHAKE_WAIT;

/// What [`accept`] makes of a socket `S` by a TLS `T`.
pub type ServerStream<'t, T, S, C> = <T as Accept>::Stream<'t, Timed<'t, S, C>>;

/// Upgrades an accepted socket to TLS as the server, with the machine of any protocol. A client that
/// breaks the protocol is told so before this returns.
///
/// # Errors
/// Those of the protocol, of TLS and of the socket; [`Closed`](starttls::Error::Closed) if the client
/// leaves, or goes on without TLS where the machine's policy lets it. Close the connection.
pub fn accept<'t, S, T, C, G, const IN: usize, const OUT: usize>(
    socket: &'t mut S,
    mut server: Server<G>,
    tls: &'t mut T,
    buffers: &mut Buffers<IN, OUT>,
    timer: &'t mut Timer<C>,
) -> Result<Upgraded<'t, ServerStream<'t, T, S, C>>, Error<<S as ErrorType>::Error, T::Error>>
where
    S: Read + Write,
    T: Accept,
    C: Clock<S>,
    G: Grammar,
{
    buffers.clear();
    let Timer { clock, budget } = timer;
    let budget = &*budget;
    let mut timed = Timed { socket, clock, budget };
    run(&mut server, buffers, budget, &mut timed, in_plaintext, of_server)?;
    let upgrade = server.into_upgrade(buffers.driver.unread())?;
    // What TLS agreed on is not known here.
    if upgrade.alpn().is_some() {
        return Err(Error::Protocol(starttls::Error::Foreign));
    }
    budget.wait(HANDSHAKE_WAIT);
    let stream = tls.accept(timed, upgrade.early()).map_err(|error| shaking(budget, error))?;
    budget.start(None);
    Ok(Upgraded { stream, tls: upgrade.established(), budget })
}
