mod connection;

pub use connection::Connection;
use starttls::mail::Envelope;
use starttls::smtp::{Dialect, Smtp};
use starttls_common::{Link, Opened, Welcome};
use tokio::io::AsyncRead;

use crate::driver::now;
use crate::socket::connect_within;
use crate::upgrade::handshake;
use crate::{Driver, Error, Observer, Receipt, Settings, Silent};

/// Sends mail to a server.
#[derive(Clone, Debug)]
pub struct Mailer {
    settings: Settings,
}

impl Mailer {
    /// By these settings.
    #[must_use]
    pub const fn new(settings: Settings) -> Self {
        Self { settings }
    }

    /// How mail gets to the server.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Sends one mail over a connection of its own.
    ///
    /// Dropped before it is done, it closes the connection, and what became of the mail cannot be known: it
    /// may be delivered if all of it was sent. Without its end no server takes it.
    ///
    /// # Errors
    /// [`Error::Rejected`] if no recipient gets it, and all that can go wrong on the way there;
    /// [`Error::fate`] says whether it is safe to send it again.
    pub async fn send(
        &self,
        envelope: &Envelope<'_>,
        message: impl AsyncRead + Unpin,
    ) -> Result<Receipt, Error> {
        self.send_as::<Smtp>(envelope, message, Silent).await
    }

    /// Like [`send`](Self::send), in a dialect ([`Smtp`] or [`Lmtp`](starttls::lmtp::Lmtp)) and
    /// under observation.
    ///
    /// # Errors
    /// Those of [`send`](Self::send).
    pub async fn send_as<D: Dialect>(
        &self,
        envelope: &Envelope<'_>,
        message: impl AsyncRead + Unpin,
        observer: impl Observer + Send,
    ) -> Result<Receipt, Error> {
        let mut connection = self.connect_as::<D>(observer).await?;
        let outcome = connection.send(envelope, message).await;
        // What became of the mail is known: an error while saying goodbye changes nothing.
        let _ = connection.quit().await;
        outcome
    }

    /// Opens a connection for any number of mails: upgraded, and with the login accepted.
    ///
    /// Dropped before it is done, it closes the connection.
    ///
    /// # Errors
    /// Those of the protocol, of TLS and of the network; [`Error::Rejected`] if the server does not
    /// take the login.
    pub async fn connect(&self) -> Result<Connection<'static>, Error> {
        self.connect_as::<Smtp>(Silent).await
    }

    /// Like [`connect`](Self::connect), in a dialect and under observation.
    ///
    /// # Errors
    /// Those of [`connect`](Self::connect).
    pub async fn connect_as<'o, D: Dialect>(
        &self,
        observer: impl Observer + Send + 'o,
    ) -> Result<Connection<'o, D>, Error> {
        let settings = &self.settings;
        let mut opening = settings.opening::<D>()?;
        let mut link = Link::new(settings.timeouts(), now(), observer);
        let stream = connect_within((settings.host(), settings.port()), &mut link).await?;
        let mut driver = Driver::over(stream, link);
        let opened =
            driver.run(&mut opening, |_, event, _| Ok(Welcome::default().note(event))).await?;
        if opened != Some(Opened::StartTls) {
            return Connection::plaintext(driver, opening, settings.line_ends()).await;
        }
        let (host, policy) = (settings.host(), settings.policy());
        let (driver, verification) =
            handshake(driver, settings.tls(), host, D::PROTOCOL.alpn, policy).await?;
        let login = settings.login().map(|login| (login, settings.tls()));
        Connection::encrypted(driver, opening, verification, login, settings.line_ends()).await
    }
}
