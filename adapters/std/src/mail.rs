mod connection;

use std::time::Instant;

pub use connection::Connection;
use starttls::mail::Envelope;
use starttls::smtp::{Dialect, Smtp};
use starttls_common::{Binding, Error, Link, Observer, Opened, Receipt, Settings, Silent, Welcome};

use crate::driver::Driver;
use crate::upgrade::{connect_within, handshake};
use connection::Stream;

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
    /// # Errors
    /// [`Error::Rejected`] if no recipient gets it, and all that can go wrong on the way there;
    /// [`Error::fate`] says whether it is safe to send it again.
    pub fn send(
        &self,
        envelope: &Envelope<'_>,
        message: impl std::io::Read,
    ) -> Result<Receipt, Error> {
        self.send_as::<Smtp>(envelope, message, Silent)
    }

    /// Like [`send`](Self::send), in a dialect ([`Smtp`] or [`Lmtp`](starttls::lmtp::Lmtp)) and
    /// under observation.
    ///
    /// # Errors
    /// Those of [`send`](Self::send).
    pub fn send_as<D: Dialect>(
        &self,
        envelope: &Envelope<'_>,
        message: impl std::io::Read,
        observer: impl Observer + Send,
    ) -> Result<Receipt, Error> {
        let mut connection = self.connect_as::<D>(observer)?;
        let outcome = connection.send(envelope, message);
        // What became of the mail is known: an error while saying goodbye changes nothing.
        let _ = connection.quit();
        outcome
    }

    /// Opens a connection for any number of mails: upgraded, and with the login accepted.
    ///
    /// # Errors
    /// Those of the protocol, of TLS and of the network; [`Error::Rejected`] if the server does not
    /// take the login.
    pub fn connect(&self) -> Result<Connection<'static>, Error> {
        self.connect_as::<Smtp>(Silent)
    }

    /// Like [`connect`](Self::connect), in a dialect and under observation.
    ///
    /// # Errors
    /// Those of [`connect`](Self::connect).
    pub fn connect_as<'o, D: Dialect>(
        &self,
        observer: impl Observer + Send + 'o,
    ) -> Result<Connection<'o, D>, Error> {
        let settings = &self.settings;
        let mut opening = settings.opening::<D>()?;
        let mut link = Link::new(settings.timeouts(), Instant::now(), observer);
        let stream = connect_within((settings.host(), settings.port()), &mut link)?;
        let mut driver = Driver::over(stream, link);
        let opened = driver.run(&mut opening, |_, event, _| Ok(Welcome::default().note(event)))?;
        let (binding, credentials);
        let mut stream = if opened == Some(Opened::StartTls) {
            let (host, policy) = (settings.host(), settings.policy());
            let (driver, verification) =
                handshake(driver, settings.tls(), host, D::PROTOCOL.alpn, policy)?;
            binding = Binding::over(&driver.stream.conn, settings.tls())?;
            credentials = settings.login().map(|login| login.credentials(&binding)).transpose()?;
            opening.encrypted(verification, credentials.as_ref())?;
            Stream::Tls(driver)
        } else {
            Stream::Plaintext(driver)
        };
        let mut welcome = Welcome::default();
        let ready = stream.run(&mut opening, |_, event, _| Ok(welcome.note(event)));
        ready.map_err(|error| welcome.error(error))?;
        Ok(Connection::new(stream, opening.into_outbound(settings.line_ends())?))
    }
}

#[cfg(test)]
mod tests;
