use std::fmt;
use std::marker::PhantomData;
use std::net::IpAddr;

use starttls::client::Grammar;
use starttls::lmtp::Lmtp;
use starttls::mail::{Envelope, Opening};
use starttls::smtp::{Dialect, Domain, Smtp};

use crate::connection::Stream;
use crate::spans::{Span, Traced};
use crate::{
    ClientTls, Connect, Connection, Connector, Dialer, Driver, Error, Link, Observer, Opened,
    ReadMessage, Receipt, Runtime, Secured, Settings, Silent, Welcome, address_literal, handshake,
};

/// Sends mail to one server, with the I/O of `R`, the TLS of `T` and the streams of `C`.
pub struct Mailer<R, T = ClientTls, C = Dialer> {
    settings: Settings<T>,
    connector: C,
    runtime: PhantomData<fn() -> R>,
}

/// An open connection of a [`Mailer`].
pub type Dialled<'o, D, R, T, C = Dialer> = Over<'o, D, R, T, <C as Connector<R>>::Stream>;

/// A mail connection over a stream `S`.
pub type Over<'o, D, R, T, S> = Connection<'o, D, R, S, <T as Connect<R, S>>::Stream>;

impl<R, T> Mailer<R, T> {
    /// A mailer with these settings.
    #[must_use]
    pub const fn new(settings: Settings<T>) -> Self {
        Self { settings, connector: Dialer, runtime: PhantomData }
    }
}

impl<R, T, C> Mailer<R, T, C> {
    /// Opens the streams with another connector.
    #[must_use]
    pub fn with_connector<N: Connector<R>>(self, connector: N) -> Mailer<R, T, N> {
        Mailer { settings: self.settings, connector, runtime: PhantomData }
    }

    /// The settings.
    #[must_use]
    pub const fn settings(&self) -> &Settings<T> {
        &self.settings
    }

    /// Opens a connection for any number of mails over a stream that is already connected to the server.
    ///
    /// The client introduces itself as `127.0.0.1` unless [`Settings::with_domain`] was called. The settings' host
    /// is not dialled, but its certificate is checked. If the future is dropped, the stream closes.
    ///
    /// # Errors
    /// Those of [`connect`](Self::connect).
    pub async fn connect_over<'o, D: Dialect, S>(
        &self,
        stream: S,
        observer: impl Observer + Send + 'o,
    ) -> Result<Over<'o, D, R, T, S>, Error>
    where
        R: Runtime<S> + Runtime<T::Stream>,
        T: Connect<R, S>,
    {
        self.check::<D, S>()?;
        let timeouts = self.settings.timeouts();
        let link = Link::new(timeouts, <R as Runtime<S>>::now(), Traced(observer));
        let span = Span::of_client(D::PROTOCOL.name, self.settings.host(), self.settings.port());
        let opened = self.introduce::<D, S>(Driver::over(stream, link), None);
        Ok(span.outcome(opened).await?.traced(span))
    }

    /// Checks with a placeholder, so that invalid settings fail before anything is dialled.
    fn check<D: Dialect, S>(&self) -> Result<(), Error>
    where
        T: Connect<R, S>,
    {
        self.settings.opening::<D>(Domain::LOCALHOST.as_str())?;
        check_certificate::<R, S, T>(&self.settings)?;
        self.settings.plaintext::<D>(Domain::LOCALHOST.as_str()).map(drop)
    }

    async fn introduce<'o, D: Dialect, S>(
        &self,
        mut driver: Driver<'o, S, R>,
        address: Option<IpAddr>,
    ) -> Result<Over<'o, D, R, T, S>, Error>
    where
        R: Runtime<S> + Runtime<T::Stream>,
        T: Connect<R, S>,
    {
        let settings = &self.settings;
        let literal = address_literal(address);
        if let Some(mut opening) = settings.plaintext::<D>(&literal)? {
            if starts_tls(&mut driver, &mut opening).await? {
                return Err(starttls::Error::OutOfOrder.into());
            }
            let line_ends = settings.line_ends();
            return Connection::introduce(Stream::Plaintext(driver), opening, line_ends).await;
        }
        let opening = settings.opening::<D>(&literal)?;
        open(driver, opening, settings).await
    }
}

impl<R, T, C> Mailer<R, T, C>
where
    C: Connector<R>,
    R: Runtime<<C as Connector<R>>::Stream>,
    R: Runtime<<T as Connect<R, <C as Connector<R>>::Stream>>::Stream>,
    T: Connect<R, <C as Connector<R>>::Stream>,
{
    /// Sends one mail over a new connection, by SMTP unless the settings are from a URL of LMTP.
    ///
    /// If the future is dropped, the connection closes, and the fate of the mail is unknown: it may be
    /// delivered if its end was sent. No server accepts a mail without its end.
    ///
    /// # Errors
    /// [`Error::Rejected`] if no recipient is accepted, and every error of the connection. [`Error::fate`]
    /// tells whether a retry is safe.
    pub async fn send<M>(&self, envelope: &Envelope<'_>, message: M) -> Result<Receipt, Error>
    where
        R: ReadMessage<M>,
    {
        match self.settings.is_lmtp() {
            true => self.send_as::<Lmtp, M>(envelope, message, Silent).await,
            false => self.send_as::<Smtp, M>(envelope, message, Silent).await,
        }
    }

    /// Like [`send`](Self::send), with an observer and in a dialect ([`Smtp`] or
    /// [`Lmtp`](starttls::lmtp::Lmtp)).
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
        // The mail's fate is already known, so an error of `QUIT` changes nothing.
        let _ = connection.quit().await;
        outcome
    }

    /// Like [`send`](Self::send), to all recipients in as many transactions as needed, see
    /// [`Connection::send_to_all`].
    ///
    /// # Errors
    /// Those of [`Connection::send_to_all`] and of [`connect`](Self::connect).
    pub async fn send_to_all<M>(
        &self,
        envelope: &Envelope<'_>,
        message: impl FnMut() -> M,
    ) -> Result<Receipt, Error>
    where
        R: ReadMessage<M>,
    {
        match self.settings.is_lmtp() {
            true => self.send_to_all_as::<Lmtp, M>(envelope, message, Silent).await,
            false => self.send_to_all_as::<Smtp, M>(envelope, message, Silent).await,
        }
    }

    /// Like [`send_as`](Self::send_as), to all recipients in as many transactions as needed, see
    /// [`Connection::send_to_all`].
    ///
    /// # Errors
    /// Those of [`Connection::send_to_all`] and of [`connect`](Self::connect).
    pub async fn send_to_all_as<D: Dialect, M>(
        &self,
        envelope: &Envelope<'_>,
        message: impl FnMut() -> M,
        observer: impl Observer + Send,
    ) -> Result<Receipt, Error>
    where
        R: ReadMessage<M>,
    {
        let mut connection = self.connect_as::<D>(observer).await?;
        let outcome = connection.send_to_all(envelope, message).await;
        let _ = connection.quit().await;
        outcome
    }

    /// Opens a connection for any number of mails: with TLS, and logged in, as the settings demand.
    ///
    /// If the future is dropped, the connection closes.
    ///
    /// # Errors
    /// Those of the protocol, of TLS and of the network. [`Error::Rejected`] if the server refuses the login.
    pub async fn connect(&self) -> Result<Dialled<'static, Smtp, R, T, C>, Error> {
        self.connect_as::<Smtp>(Silent).await
    }

    /// Like [`connect`](Self::connect), with an observer and in a dialect.
    ///
    /// # Errors
    /// Those of [`connect`](Self::connect).
    pub async fn connect_as<'o, D: Dialect>(
        &self,
        observer: impl Observer + Send + 'o,
    ) -> Result<Dialled<'o, D, R, T, C>, Error> {
        self.check::<D, C::Stream>()?;
        let settings = &self.settings;
        let now = <R as Runtime<C::Stream>>::now();
        let mut link = Link::new(settings.timeouts(), now, Traced(observer));
        let span = Span::of_client(D::PROTOCOL.name, settings.host(), settings.port());
        let opened = span.outcome(async {
            let stream = self.connector.connect(settings.target(), &mut link).await?;
            let address = self.connector.local_address(&stream);
            self.introduce::<D, C::Stream>(Driver::over(stream, link), address).await
        });
        Ok(opened.await?.traced(span))
    }
}

/// Opens a mail connection over a stream that is already connected to the server.
///
/// If the future is dropped, the stream closes.
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
    check_certificate::<R, S, T>(settings)?;
    if !starts_tls(&mut driver, &mut opening).await? {
        return Connection::introduce(Stream::Plaintext(driver), opening, settings.line_ends())
            .await;
    }
    let (tls, host, policy) = (settings.tls(), settings.name(), settings.policy());
    let Secured { stream, verification, binding, .. } =
        handshake(driver, tls, host, D::PROTOCOL.alpn, policy).await?;
    let credentials = settings.login().map(|login| login.credentials(&binding)).transpose()?;
    opening.encrypted(verification, credentials.as_ref())?;
    Connection::introduce(Stream::Tls(stream), opening, settings.line_ends()).await
}

/// Checks that a login by certificate has one.
fn check_certificate<R, S, T: Connect<R, S>>(settings: &Settings<T>) -> Result<(), Error> {
    let certified = settings.tls().is_certified();
    settings.login().map_or(Ok(()), |login| login.check_certificate(certified))
}

/// Runs an opening up to the TLS handshake (`true`), or to the point where it continues in plaintext
/// (`false`).
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

impl<R, T: Clone, C: Clone> Clone for Mailer<R, T, C> {
    fn clone(&self) -> Self {
        let (settings, connector) = (self.settings.clone(), self.connector.clone());
        Self { settings, connector, runtime: PhantomData }
    }
}

impl<R, T: fmt::Debug, C> fmt::Debug for Mailer<R, T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailer").field("settings", &self.settings).finish()
    }
}
