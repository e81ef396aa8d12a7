use alloc::sync::Arc;

use rustls::server::UnbufferedServerConnection;
use rustls::{CommonState, ServerConfig};
use starttls::server::{Event, Grammar, Upgrade};
use starttls::wire::Line;
use starttls::{Plaintext, Tls, Verification};

use crate::engine::Meaning;
use crate::engine::sealed::{self, Begun};
use crate::records::ServerSide;
use crate::{Connection, Error};

/// A server's connection.
pub type Server<G> = Connection<starttls::Server<G>>;

impl<G: Grammar> Server<G> {
    /// A connection that starts in plaintext, with the machine `server`.
    #[must_use]
    pub fn new(server: starttls::Server<G>, tls: Arc<ServerConfig>) -> Self {
        Self::opening(server, tls)
    }

    /// A connection whose plaintext and tunnel are both driven by a machine of the caller, with
    /// [`step_with`](Connection::step_with).
    ///
    /// Start the handshake with [`start_tls`](Connection::start_tls) when the machine asks for it. For a
    /// [`mail::Inbound`](starttls::mail::Inbound), `step_inbound` does both.
    #[must_use]
    pub fn plaintext(tls: Arc<ServerConfig>) -> Self {
        Self::plain(Pledge::Implicit(None), tls)
    }

    /// A connection on a port where TLS comes first (RFC 8314 §3).
    ///
    /// If the protocol [demands](starttls::Protocol::demands_alpn) ALPN, a client without its id is rejected.
    /// The configuration has to contain the id.
    #[must_use]
    pub fn implicit(tls: Arc<ServerConfig>) -> Self {
        let alpn = G::PROTOCOL.alpn.filter(|_| G::PROTOCOL.demands_alpn());
        Self::shaking(Pledge::Implicit(alpn), tls)
    }

    /// Accepts the upgrade, after [`Event::UpgradeRequested`].
    ///
    /// # Errors
    /// [`starttls::Error::OutOfOrder`] if the client has not requested it.
    pub fn accept(&mut self) -> Result<(), Error> {
        Ok(self.engine()?.accept()?)
    }

    /// Refuses the upgrade for now, after [`Event::UpgradeRequested`].
    ///
    /// # Errors
    /// [`starttls::Error::OutOfOrder`] if the client has not requested it.
    pub fn refuse(&mut self) -> Result<(), Error> {
        Ok(self.engine()?.refuse()?)
    }

    /// Replies to an [`Event::Command`] with lines of the application.
    ///
    /// # Errors
    /// [`starttls::Error::OutOfOrder`] if no command is unanswered or `lines` is empty.
    /// [`starttls::Error::OutputTooSmall`] if the output has to be sent first.
    pub fn answer(&mut self, lines: &[Line<'_>]) -> Result<(), Error> {
        self.with_engine(|server, free| server.answer(lines, free))
    }

    /// Replies to an [`Event::Command`] that the application does not know either.
    ///
    /// # Errors
    /// [`starttls::Error::OutOfOrder`] if no command is unanswered.
    pub fn unknown(&mut self) -> Result<(), Error> {
        Ok(self.engine()?.unknown()?)
    }
}

/// Becomes [`Tls`] when the handshake succeeds.
#[derive(Debug)]
pub enum Pledge {
    /// TLS comes first, with this demanded ALPN id.
    Implicit(Option<&'static [u8]>),
    Upgrade(Upgrade<'static>),
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

    /// The early bytes stay in the buffer: the connection decrypts them next.
    fn into_upgrade(self, unread: &[u8]) -> Result<Pledge, starttls::Error> {
        Ok(Pledge::Upgrade(self.into_upgrade(unread)?.without_early()))
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
        let alpn = match &pledge {
            Pledge::Implicit(alpn) => *alpn,
            Pledge::Upgrade(upgrade) => upgrade.alpn(),
        };
        if alpn.is_some() && tls.alpn_protocol() != alpn {
            return Err(starttls::Error::Foreign);
        }
        // If the server requires a client certificate, rustls fails a handshake without one that its verifier
        // accepts. So a certificate here is a verified one. for one, or has none.
        let client = match tls.peer_certificates() {
            Some([_, ..]) => Verification::Verified,
            _ => Verification::Unverified,
        };
        Ok(match pledge {
            Pledge::Implicit(_) => Tls::implicit_server_of(client),
            Pledge::Upgrade(upgrade) => upgrade.established_with(client),
        })
    }
}
