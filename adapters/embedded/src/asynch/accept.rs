use embedded_io_async::{ErrorType, Read, Write};
use starttls::Server;
use starttls::server::Grammar;

use super::drive::run;
use super::{Accept, Clock};
use crate::Upgraded;
use crate::events::of_server;
use crate::upgrade::{in_plaintext, shaking};
use crate::{Buffers, Error, Timed, Timer};
use starttls::driver::HANDSHAKE_WAIT;

/// The encrypted stream that [`accept`] creates over a socket `S` with the TLS `T`.
pub type ServerStream<'t, T, S, C> = <T as Accept>::Stream<'t, Timed<'t, S, C>>;

/// Accepts a client's upgrade to TLS on a socket, with the machine of any protocol.
///
/// A client that breaks the protocol gets a reply before this returns. After an error, close the connection.
///
/// # Errors
/// Those of the protocol, of TLS and of the socket. [`Closed`](starttls::Error::Closed) if the client leaves,
/// or if it continues without TLS where the machine's policy allows it.
pub async fn accept<'t, S, T, C, G, const IN: usize, const OUT: usize>(
    socket: &'t mut S,
    mut server: Server<G>,
    tls: &'t mut T,
    buffers: &mut Buffers<IN, OUT>,
    timer: &'t mut Timer<C>,
) -> Result<Upgraded<'t, ServerStream<'t, T, S, C>>, Error<<S as ErrorType>::Error, T::Error>>
where
    S: Read + Write,
    T: Accept,
    C: Clock,
    G: Grammar,
{
    buffers.clear();
    let Timer { clock, budget } = timer;
    let budget = &*budget;
    let mut timed = Timed { socket, clock, budget };
    run(&mut server, buffers, budget, &mut timed, in_plaintext, of_server).await?;
    let upgrade = server.into_upgrade(buffers.driver.unread())?;
    // A protocol that demands ALPN cannot be served: this TLS does not report the negotiated id.
    if upgrade.alpn().is_some() {
        return Err(Error::Protocol(starttls::Error::Foreign));
    }
    budget.wait(HANDSHAKE_WAIT);
    let stream =
        tls.accept(timed, upgrade.early()).await.map_err(|error| shaking(budget, error))?;
    budget.start(None);
    Ok(Upgraded { stream, tls: upgrade.established(), budget })
}
