use std::io::Read;

use rustls::{ClientConnection, StreamOwned};
use starttls::mail::session::Extensions;
use starttls::mail::{Checked, Envelope};
use starttls::smtp::{Dialect, Smtp};
use starttls_common::{
    self as common, ClientTls, Connect, Connector, Dialer, Doing, Error, Observer, Receipt,
    Runtime, Settings, Silent, ready,
};

use crate::{Blocking, Exclusive, Socket};

/// Sends mail to one server, with the TLS of `T`.
///
/// ```no_run
/// use starttls::mail::{Address, Envelope};
/// use starttls_std::{ClientTls, Mailer, Settings};
///
/// let tls = ClientTls::with_ca_pem(&std::fs::read("ca.pem")?)?;
/// let mailer = Mailer::new(Settings::new("mail.example.org", tls).with_login(("me", "password")));
/// let to = [Address::new("you@example.org")?];
/// let envelope = Envelope::new(Some(Address::new("me@example.org")?), &to)?;
/// mailer.send(&envelope, &b"Subject: hello\r\n\r\nIt works.\r\n"[..])?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Mailer<T = ClientTls, C = Dialer>(pub(crate) common::Mailer<Blocking, T, C>);

/// The encrypted stream of a TLS `T` over a stream `S`.
pub(crate) type Encrypted<T, S> = <T as Connect<Blocking, S>>::Stream;

/// An open connection of a [`Mailer`] with the TLS of `T` over the streams of `C`.
pub type Dialled<'o, D, T, C = Dialer> = Over<'o, D, T, <C as Connector<Blocking>>::Stream>;

/// A mail connection with the TLS of `T` over a stream `S`.
type Over<'o, D, T, S> = Connection<'o, D, Encrypted<T, S>, S>;

impl<T> Mailer<T> {
    /// A mailer with these settings.
    #[must_use]
    pub const fn new(settings: Settings<T>) -> Self {
        Self(common::Mailer::new(settings))
    }
}

impl<T, C> Mailer<T, C> {
    /// Opens the streams with another connector.
    #[must_use]
    pub fn with_connector<N: Connector<Blocking>>(self, connector: N) -> Mailer<T, N> {
        Mailer(self.0.with_connector(connector))
    }

    /// The settings.
    #[must_use]
    pub const fn settings(&self) -> &Settings<T> {
        self.0.settings()
    }

    /// Opens a connection for any number of mails over a stream that is already connected to the server.
    ///
    /// The client introduces itself as `127.0.0.1` unless [`Settings::with_domain`] was called. The settings' host
    /// is not dialled, but its certificate is checked.
    ///
    /// # Errors
    /// Those of [`connect`](Self::connect).
    pub fn connect_over<'o, D: Dialect, S: Socket>(
        &self,
        stream: S,
        observer: impl Observer + Send + 'o,
    ) -> Result<Over<'o, D, T, S>, Error>
    where
        T: Connect<Blocking, S>,
        Blocking: Runtime<Encrypted<T, S>>,
    {
        stream.prepare().map_err(Error::io(Doing::SettingUp))?;
        ready(self.0.connect_over::<D, S>(stream, observer)).map(Connection)
    }
}

impl<T, C> Mailer<T, C>
where
    C: Connector<Blocking, Stream: Socket>,
    T: Connect<Blocking, C::Stream>,
    Blocking: Runtime<Encrypted<T, C::Stream>>,
{
    /// Sends one mail over a new connection, by SMTP unless the settings are from a URL of LMTP.
    ///
    /// # Errors
    /// [`Error::Rejected`] if no recipient is accepted, and every error of the connection. [`Error::fate`]
    /// tells whether a retry is safe.
    pub fn send(&self, envelope: &Envelope<'_>, message: impl Read) -> Result<Receipt, Error> {
        ready(self.0.send(envelope, message))
    }

    /// Like [`send`](Self::send), with an observer and in a dialect ([`Smtp`] or
    /// [`Lmtp`](starttls::lmtp::Lmtp)).
    ///
    /// # Errors
    /// Those of [`send`](Self::send).
    pub fn send_as<D: Dialect>(
        &self,
        envelope: &Envelope<'_>,
        message: impl Read,
        observer: impl Observer + Send,
    ) -> Result<Receipt, Error> {
        ready(self.0.send_as::<D, _>(envelope, message, observer))
    }

    /// Like [`send`](Self::send), to all recipients in as many transactions as needed, see
    /// [`Connection::send_to_all`].
    ///
    /// # Errors
    /// Those of [`Connection::send_to_all`] and of [`connect`](Self::connect).
    pub fn send_to_all<M: Read>(
        &self,
        envelope: &Envelope<'_>,
        message: impl FnMut() -> M,
    ) -> Result<Receipt, Error> {
        ready(self.0.send_to_all(envelope, message))
    }

    /// Like [`send_as`](Self::send_as), to all recipients in as many transactions as needed, see
    /// [`Connection::send_to_all`].
    ///
    /// # Errors
    /// Those of [`Connection::send_to_all`] and of [`connect`](Self::connect).
    pub fn send_to_all_as<D: Dialect, M: Read>(
        &self,
        envelope: &Envelope<'_>,
        message: impl FnMut() -> M,
        observer: impl Observer + Send,
    ) -> Result<Receipt, Error> {
        ready(self.0.send_to_all_as::<D, _>(envelope, message, observer))
    }

    /// Opens a connection for any number of mails: with TLS, and logged in, as the settings demand.
    ///
    /// # Errors
    /// Those of the protocol, of TLS and of the network. [`Error::Rejected`] if the server refuses the login.
    pub fn connect(&self) -> Result<Dialled<'static, Smtp, T, C>, Error> {
        self.connect_as::<Smtp>(Silent)
    }

    /// Like [`connect`](Self::connect), with an observer and in a dialect.
    ///
    /// # Errors
    /// Those of [`connect`](Self::connect).
    pub fn connect_as<'o, D: Dialect>(
        &self,
        observer: impl Observer + Send + 'o,
    ) -> Result<Dialled<'o, D, T, C>, Error> {
        ready(self.0.connect_as::<D>(observer)).map(Connection)
    }
}

/// An open connection to a mail server, for any number of mails, from [`Mailer::connect`].
///
/// A mail takes two round trips if the server offers `PIPELINING`. After a mail that the server refuses, the
/// connection stays open. Any other error closes it: [`Error::fate`] tells whether the mail was sent, and no
/// later mail is. The connection borrows nothing but its observer, so a pool can hold it.
#[derive(Debug)]
pub struct Connection<'o, D = Smtp, E = StreamOwned<ClientConnection, Exclusive>, S = Exclusive>(
    common::Connection<'o, D, Blocking, S, E>,
);

impl<D: Dialect, E, S: Socket> Connection<'_, D, E, S>
where
    Blocking: Runtime<E>,
{
    /// Whether another mail can be sent. If the server closes the connection between two mails, only the next
    /// mail notices.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.0.is_open()
    }

    /// The extensions that the server offers.
    #[must_use]
    pub const fn extensions(&self) -> Extensions {
        self.0.extensions()
    }

    /// Sends one mail. The total time of [`Timeouts`](crate::Timeouts) restarts with each mail after the
    /// first.
    ///
    /// # Errors
    /// [`Error::Rejected`] if no recipient is accepted, and an error of the protocol if the mail is too large
    /// or needs an extension that the server does not offer. After both, the connection stays open; any other
    /// error ends it. [`Error::fate`] tells whether a retry is safe.
    pub fn send(&mut self, envelope: &Envelope<'_>, message: impl Read) -> Result<Receipt, Error> {
        ready(self.0.send(envelope, message))
    }

    /// Like [`send`](Self::send), for a message in memory whose lines are known to be good.
    ///
    /// Whole pieces of 16 KiB leave without a copy. Check a message once to send it on several connections.
    ///
    /// ```no_run
    /// # use starttls::mail::{Address, Checked, Envelope};
    /// # use starttls_std::{Mailer, Settings};
    /// # fn newsletter(mailer: &Mailer, from: Address<'_>, readers: &[Address<'_>]) -> Result<(), Box<dyn std::error::Error>> {
    /// let file = std::fs::read("newsletter.eml")?;
    /// let message = Checked::new(&file)?;
    /// let mut connection = mailer.connect()?;
    /// for reader in readers {
    ///     let to = [*reader];
    ///     connection.send_checked(&Envelope::new(Some(from), &to)?, message)?;
    /// }
    /// connection.quit()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of [`send`](Self::send).
    pub fn send_checked(
        &mut self,
        envelope: &Envelope<'_>,
        message: Checked<'_>,
    ) -> Result<Receipt, Error> {
        ready(self.0.send_checked(envelope, message))
    }

    /// Sends one mail to all its recipients, in as many transactions as needed.
    ///
    /// A server may limit the recipients of one transaction (RFC 5321 §4.5.3.1.10). `message` returns the
    /// message for each transaction.
    ///
    /// # Errors
    /// Those of [`send`](Self::send). If a later transaction fails, its recipients keep their earlier reply,
    /// unless it is unknown whether they have the mail. Then [`Error::Unfinished`] has the replies for the
    /// others.
    pub fn send_to_all<M: Read>(
        &mut self,
        envelope: &Envelope<'_>,
        message: impl FnMut() -> M,
    ) -> Result<Receipt, Error> {
        ready(self.0.send_to_all(envelope, message))
    }

    /// Sends `QUIT` and closes the connection. An error here does not affect mail that was sent.
    ///
    /// # Errors
    /// Those of the protocol and of the network. [`Closed`](starttls::Error::Closed) if the connection was
    /// not open.
    pub fn quit(self) -> Result<(), Error> {
        ready(self.0.quit())
    }
}
