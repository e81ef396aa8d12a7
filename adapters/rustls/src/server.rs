use alloc::sync::Arc;

use rustls::server::UnbufferedServerConnection;
use rustls::{CommonState, ServerConfig};
use starttls::server::{Event, Grammar};
use starttls::wire::Line;
use starttls::{Plaintext, Tls};

use crate::engine::Meaning;
use crate::engine::sealed::{self, Begun};
use crate::records::ServerSide;
use crate::{Connection, Error};

/// A server's connection.
pub type Server<G> = Connection<starttls::Server<G>>;

impl<G: Grammar> Server<G> {
    /// A connection that begins in plaintext, with `server`.
    #[must_use]
    pub fn new(server: starttls::Server<G>, tls: Arc<ServerConfig>) -> Self {
        Self::opening(server, tls)
    }

    /// A connection whose plaintext is a machine's of the caller's, by [`step_with`](Connection::step_with): a
    /// [`mail::Inbound`](starttls::mail::Inbound), which lives on inside TLS. There
    /// [`start_tls`](Connection::start_tls) begins the handshake.
    #[must_use]
    pub fn plaintext(tls: Arc<ServerConfig>) -> Self {
        Self::plain(Pledge { alpn: None, tls: Tls::implicit_server() }, tls)
    }

    /// A connection that begins with TLS, on a port of its own (RFC 8314 §3).
    #[must_use]
    pub fn implicit(tls: Arc<ServerConfig>) -> Self {
        Self::shaking(Pledge { alpn: None, tls: Tls::implicit_server() }, tls)
    }

    /// Lets the upgrade happen, after [`Event::UpgradeRequested`].
    ///
    /// # Errors
    /// [`starttls::Error::OutOfOrder`] if nobody asked.
    pub fn accept(&mut self) -> Result<(), Error> {
        Ok(self.engine()?.accept()?)
    }

    /// Refuses the upgrade for now, after [`Event::UpgradeRequested`].
    ///
    /// # Errors
    /// [`starttls::Error::OutOfOrder`] if nobody asked.
    pub fn refuse(&mut self) -> Result<(), Error> {
        Ok(self.engine()?.refuse()?)
    }

    /// Answers an [`Event::Command`] with lines of the application's own.
    ///
    /// # Errors
    /// [`starttls::Error::OutOfOrder`] if no command is unanswered or there is no line,
    /// [`starttls::Error::OutputTooSmall`] if something has to be sent first.
    pub fn answer(&mut self, lines: &[Line<'_>]) -> Result<(), Error> {
        self.with_engine(|server, free| server.answer(lines, free))
    }

    /// Says that the application does not know an [`Event::Command`] either.
    ///
    /// # Errors
    /// [`starttls::Error::OutOfOrder`] if no command is unanswered.
    pub fn unknown(&mut self) -> Result<(), Error> {
        Ok(self.engine()?.unknown()?)
    }
}

/// What becomes [`Tls`], and the ALPN id that it takes.
#[derive(Debug)]
pub struct Pledge {
    alpn: Option<&'static [u8]>,
    tls: Tls,
}

impl<G: Grammar> sealed::Engine for starttls::Server<G> {
    type Side = ServerSide;
    type Setup = Arc<ServerConfig>;
    type Pledge = Pledge;

    fn meaning(event: &Event<'_>) -> Meaning {
        match event {
            Event::UpgradeReady => Meaning::Upgrade,
            Event::Plaintext => Meaning::Plaintext,
            _ => Meaning::Nothing,
        }
    }

    /// The early octets stay where they are: the connection opens them next.
    fn into_upgrade(self, unread: &[u8]) -> Result<Pledge, starttls::Error> {
        let upgrade = self.into_upgrade(unread)?;
        Ok(Pledge { alpn: upgrade.alpn(), tls: upgrade.established() })
    }

    fn into_plaintext(self, _: &[u8]) -> Result<Plaintext, starttls::Error> {
        self.into_plaintext()
    }

    fn begin(setup: &Arc<ServerConfig>) -> Result<Begun<ServerSide>, rustls::Error> {
        let connection = UnbufferedServerConnection::new(Arc::clone(setup))?;
        Ok((connection, setup.max_fragment_size))
    }

    fn established(
        pledge: Pledge,
        _: &Arc<ServerConfig>,
        tls: &CommonState,
    ) -> Result<Tls, starttls::Error> {
        match pledge.alpn {
            Some(alpn) if tls.alpn_protocol() != Some(alpn) => Err(starttls::Error::Foreign),
            _ => Ok(pledge.tls),
        }
    }
}
