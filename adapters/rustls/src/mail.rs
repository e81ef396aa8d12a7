//! Mail on both sides of the handshake: one machine of the core runs from the greeting to the goodbye.

use starttls::mail::{Credentials, Inbound, Opening, inbound, opening};
use starttls::smtp::Dialect;
use starttls::{Tls, client, server};

use crate::connection::Stage;
use crate::{Client, Connection, Engine, Error, Event, Server, Step};

impl<G: client::Grammar> Client<G> {
    /// Runs an opening on a connection made by [`plaintext`](Self::plaintext), including the TLS handshake.
    ///
    /// Do nothing at [`opening::Event::StartTls`]. `credentials` are used after the hello inside TLS, see
    /// [`Opening::encrypted`].
    ///
    /// # Errors
    /// Those of [`step`](Connection::step), [`step_with`](Connection::step_with) and [`Opening::encrypted`].
    pub fn step_opening<'a, D: Dialect, P: client::Grammar>(
        &mut self,
        opening: &mut Opening<'a, D, P>,
        credentials: Option<&'a Credentials<'a>>,
    ) -> Result<Step<opening::Event<'_>>, Error> {
        if opening.awaits_tls() {
            match self.handshake()?.event() {
                Ok(tls) => opening.encrypted(tls.verification(), credentials)?,
                Err(need) => return Ok(need),
            }
        }
        self.step_with(opening)
    }
}

impl<G: server::Grammar> Server<G> {
    /// Receives mail on a connection made by [`plaintext`](Self::plaintext), including the TLS handshake.
    ///
    /// Do nothing at [`inbound::Event::StartTls`].
    ///
    /// # Errors
    /// Those of [`step`](Connection::step) and [`step_with`](Connection::step_with).
    pub fn step_inbound<D: Dialect>(
        &mut self,
        inbound: &mut Inbound<'_, D>,
    ) -> Result<Step<inbound::Event<'_>>, Error> {
        if inbound.awaits_tls() {
            match self.handshake()?.event() {
                Ok(tls) => inbound.encrypted_with(tls.verification())?,
                Err(need) => return Ok(need),
            }
        }
        self.step_with(inbound)
    }
}

impl<E: Engine> Connection<E> {
    /// Performs the whole handshake. The event is its end.
    fn handshake(&mut self) -> Result<Step<Tls>, Error> {
        if matches!(self.stage, Stage::Plain(Some(_))) {
            self.start_tls()?;
        }
        loop {
            match self.step()?.event() {
                Ok(Event::Established(tls)) => return Ok(Step::Event(tls)),
                Ok(_) => {}
                Err(need) => return Ok(need),
            }
        }
    }
}
