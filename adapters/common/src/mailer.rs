use std::fmt;
use std::marker::PhantomData;

use starttls::client::Grammar;
use starttls::mail::{Envelope, Opening};
use starttls::smtp::{Dialect, Smtp};

use crate::connection::Stream;
use crate::{
    ClientTls, Connect, Connection, Dial, Driver, Error, Link, Observer, Opened, ReadMessage,
    Receipt, Runtime, Secured, Settings, Silent, Welcome, handshake,
};

/// Sends mail to a server, by the kind of I/O `R` and a TLS `T`.
pub struct Mailer<R, T = ClientTls> {
    settings: Settings<T>,
    runtime: PhantomData<fn() -> R>,
}

/// An open connection of a [`Mailer`].
pub type Dialled<'o, D, R, T> =
    Connection<'o, D, R, <R as Dial>::Stream, <T as Connect<R, <R as Dial>::Stream>>::Stream>;

impl<R, T> Mailer<R, T> {
    /// By these settings.
    #[must_use]
    pub const fn new(settings: Settings<T>) -> Self {
        Self { settings, runtime: PhantomData }
    }

    /// How mail gets to the server.
    #[must_use]
    pub const fn settings(&self) -> &Settings<T> {
        &self.settings
    }
}

impl<R, T> Mailer<R, T>
where
    R: Dial + Runtime<<R as Dial>::Stream>,
    R: Runtime<<T as Connect<R, <R as Dial>::Stream>>::Stream>,
    T: Connect<R, <R as Dial>::Stream>,
{
    /// Sends one mail over a connection of its own.
    ///
    /// Dropped before it is done, it closes the connection, and what became of the mail cannot be known: it
    /// may be delivered if all of it was sent. Without its end no server takes it.
    ///
    /// # Errors
    /// [`Error::Rejected`] if no recipient gets it, and all that can go wrong on the way there;
    /// [`Error::fate`] says whether it is safe to send it again.
    pub async fn send<M>(&self, envelope: &Envelope<'_>, message: M) -> Result<Receipt, Error>
    where
        R: ReadMessage<M>,
    {
        self.send_as::<Smtp, M>(envelope, message, Silent).await
    }

    /// Like [`send`](Self::send), in a dialect ([`Smtp`] or [`Lmtp`](starttls::lmtp::Lmtp)) and
    /// under observation.
    ///
    /// # Errors
    /// Those of [`send`](Self::send).
    pub async fn send_as<D: Dialect, M>(
        &self,
        envelope: &Envelope<'_>,
        message: M,
        observer: impl Observer + Send,
    ) -> Result<Receipt, Error>
    where
        R: ReadMessage<M>,
    {
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
    pub async fn connect(&self) -> Result<Dialled<'static, Smtp, R, T>, Error> {
        self.connect_as::<Smtp>(Silent).await
    }

    /// Like [`connect`](Self::connect), in a dialect and under observation.
    ///
    /// # Errors
    /// Those of [`connect`](Self::connect).
    pub async fn connect_as<'o, D: Dialect>(
        &self,
        observer: impl Observer + Send + 'o,
    ) -> Result<Dialled<'o, D, R, T>, Error> {
        let settings = &self.settings;
        let opening = settings.opening::<D>()?;
        let now = <R as Runtime<R::Stream>>::now();
        let mut link = Link::new(settings.timeouts(), now, observer);
        let stream = R::dial(settings.host(), settings.port(), &mut link).await?;
        open(Driver::over(stream, link), opening, settings).await
    }
}

/// Opens a connection over a stream that is connected to the server.
///
/// # Errors
/// Those of [`Mailer::connect`].
pub async fn open<'o, R, S, T, D: Dialect>(
    mut driver: Driver<'o, S, R>,
    mut opening: Opening<'_, D>,
    settings: &Settings<T>,
) -> Result<Connection<'o, D, R, S, T::Stream>, Error>
where
    R: Runtime<S> + Runtime<T::Stream>,
    T: Connect<R, S>,
{
    if !starts_tls(&mut driver, &mut opening).await? {
        return Connection::introduce(Stream::Plaintext(driver), opening, settings.line_ends())
            .await;
    }
    let (tls, host, policy) = (settings.tls(), settings.host(), settings.policy());
    let Secured { stream, verification, binding } =
        handshake(driver, tls, host, D::PROTOCOL.alpn, policy).await?;
    let credentials = settings.login().map(|login| login.credentials(&binding)).transpose()?;
    opening.encrypted(verification, credentials.as_ref())?;
    Connection::introduce(Stream::Tls(stream), opening, settings.line_ends()).await
}

/// Brings a connection up to the moment where the TLS handshake is to be made, which is `true`, or where it goes
/// on in plaintext.
///
/// # Errors
/// Those of the protocol and of the network.
pub async fn starts_tls<R: Runtime<S>, S, D: Dialect, G: Grammar>(
    driver: &mut Driver<'_, S, R>,
    opening: &mut Opening<'_, D, G>,
) -> Result<bool, Error> {
    let opened = driver.run(opening, |_, event, _| Ok(Welcome::default().note(event))).await?;
    Ok(opened == Some(Opened::StartTls))
}

impl<R, T: Clone> Clone for Mailer<R, T> {
    fn clone(&self) -> Self {
        Self::new(self.settings.clone())
    }
}

impl<R, T: fmt::Debug> fmt::Debug for Mailer<R, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailer").field("settings", &self.settings).finish()
    }
}
