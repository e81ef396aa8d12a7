use std::io::Read;
use std::net::TcpStream;

use starttls::mail::Envelope;
use starttls::mail::session::Extensions;
use starttls::smtp::{Dialect, Smtp};
use starttls_common::{
    self as common, Answer, ClientTls, Connect, Error, InboxSettings, Mail, Observer, Receipt,
    Runtime, Settings, Silent, bad_credentials, ready,
};

use crate::Blocking;

/// Sends mail to a server, with TLS by `T`.
#[derive(Clone, Debug)]
pub struct Mailer<T = ClientTls>(common::Mailer<Blocking, T>);

/// The stream that a TLS `T` makes of a connection.
type Encrypted<T> = <T as Connect<Blocking, TcpStream>>::Stream;

impl<T> Mailer<T> {
    /// By these settings.
    #[must_use]
    pub const fn new(settings: Settings<T>) -> Self {
        Self(common::Mailer::new(settings))
    }

    /// How mail gets to the server.
    #[must_use]
    pub const fn settings(&self) -> &Settings<T> {
        self.0.settings()
    }
}

impl<T> Mailer<T>
where
    T: Connect<Blocking, TcpStream>,
    Blocking: Runtime<Encrypted<T>>,
{
    /// Sends one mail over a connection of its own.
    ///
    /// # Errors
    /// [`Error::Rejected`] if no recipient gets it, and all that can go wrong on the way there;
    /// [`Error::fate`] says whether it is safe to send it again.
    pub fn send(&self, envelope: &Envelope<'_>, message: impl Read) -> Result<Receipt, Error> {
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
        message: impl Read,
        observer: impl Observer + Send,
    ) -> Result<Receipt, Error> {
        ready(self.0.send_as::<D, _>(envelope, message, observer))
    }

    /// Opens a connection for any number of mails: upgraded, and with the login accepted.
    ///
    /// # Errors
    /// Those of the protocol, of TLS and of the network; [`Error::Rejected`] if the server does not
    /// take the login.
    pub fn connect(&self) -> Result<Connection<'static, Smtp, Encrypted<T>>, Error> {
        self.connect_as::<Smtp>(Silent)
    }

    /// Like [`connect`](Self::connect), in a dialect and under observation.
    ///
    /// # Errors
    /// Those of [`connect`](Self::connect).
    pub fn connect_as<'o, D: Dialect>(
        &self,
        observer: impl Observer + Send + 'o,
    ) -> Result<Connection<'o, D, Encrypted<T>>, Error> {
        ready(self.0.connect_as::<D>(observer)).map(Connection)
    }
}

/// An open connection to a mail server, from [`Mailer::connect`], for one
/// mail after the other. A mail takes two round trips where the server offers `PIPELINING`.
///
/// A mail that the server refuses leaves it open for the next one. Any other error closes it: [`Error::fate`] tells
/// what became of the mail, and no later mail is sent. The connection owns what it needs and may stand in a pool.
#[derive(Debug)]
pub struct Connection<'o, D = Smtp, E = crate::ClientStream>(
    common::Connection<'o, D, Blocking, TcpStream, E>,
);

impl<D: Dialect, E> Connection<'_, D, E>
where
    Blocking: Runtime<E>,
{
    /// Whether another mail can be sent; a server may leave between two mails, which shows with the
    /// next one only.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.0.is_open()
    }

    /// What the server said it can do.
    #[must_use]
    pub const fn extensions(&self) -> Extensions {
        self.0.extensions()
    }

    /// Sends one mail. The total of [`Timeouts`](crate::Timeouts) begins anew with each mail but the
    /// first.
    ///
    /// # Errors
    /// [`Error::Rejected`] if no recipient gets it, and what stands between a mail and this server: its
    /// size, or what it does not offer; the connection stays open then. All that can go wrong on the
    /// way ends it. [`Error::fate`] says whether it is safe to send the mail again.
    pub fn send(&mut self, envelope: &Envelope<'_>, message: impl Read) -> Result<Receipt, Error> {
        ready(self.0.send(envelope, message))
    }

    /// Says goodbye and closes the connection. An error takes no mail back.
    ///
    /// # Errors
    /// Those of the protocol and of the network; [`Closed`](starttls::Error::Closed) if it was not open
    /// any more.
    pub fn quit(self) -> Result<(), Error> {
        ready(self.0.quit())
    }
}

/// An application that judges and takes the mail that [`Inbox`] receives.
pub trait Deliver: Send {
    /// Whether this is the password of `user`; asked only over TLS, and only where
    /// the settings offer it. By default no user has one.
    fn authenticate(&mut self, user: &str, password: &str) -> Answer {
        let _ = (user, password);
        bad_credentials()
    }

    /// Whether a mail from `path` is welcome; empty for reports about failures.
    fn sender(&mut self, path: &str) -> Answer {
        let _ = path;
        Answer::new(250, "2.1.0 Sender ok")
    }

    /// Whether `path` is a recipient here.
    fn recipient(&mut self, path: &str) -> Answer {
        let _ = path;
        Answer::new(250, "2.1.5 Recipient ok")
    }

    /// Takes a mail; 2yz promises that it is safe.
    fn deliver(&mut self, mail: &Mail) -> Answer;
}

/// Takes mail without waiting for it.
struct AtOnce<'d>(&'d mut dyn Deliver);

impl common::Deliver for AtOnce<'_> {
    async fn authenticate(&mut self, user: &str, password: &str) -> Answer {
        self.0.authenticate(user, password)
    }

    async fn sender(&mut self, path: &str) -> Answer {
        self.0.sender(path)
    }

    async fn recipient(&mut self, path: &str) -> Answer {
        self.0.recipient(path)
    }

    async fn deliver(&mut self, mail: &Mail) -> Answer {
        self.0.deliver(mail)
    }
}

/// A server that takes mail, one connection at a time.
#[derive(Clone, Debug)]
pub struct Inbox(common::Inbox<Blocking>);

impl Inbox {
    /// By these settings.
    #[must_use]
    pub const fn new(settings: InboxSettings) -> Self {
        Self(common::Inbox::new(settings))
    }

    /// Takes the mail of one accepted connection, to its end.
    ///
    /// # Errors
    /// Those of the protocol, of TLS and of the network; mail delivered before stays delivered.
    pub fn receive<D: Dialect>(
        &self,
        stream: TcpStream,
        deliver: &mut dyn Deliver,
        observer: impl Observer + Send,
    ) -> Result<(), Error> {
        stream.set_nodelay(true).map_err(Error::io(common::Doing::SettingUp))?;
        ready(self.0.receive::<D, _>(stream, &mut AtOnce(deliver), observer))
    }
}
