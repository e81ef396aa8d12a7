use std::io::Read;
use std::net::TcpStream;

use rustls::{ClientConnection, StreamOwned};
use starttls::mail::session::Extensions;
use starttls::mail::{Checked, Envelope};
use starttls::smtp::{Dialect, Smtp};
use starttls_common::{
    self as common, Answer, ClientTls, Connect, Error, InboxSettings, Mail, Observer,
    PeerCertificate, Receipt, Runtime, Settings, Silent, bad_credentials, ready,
};

use crate::{Blocking, Exclusive};

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
pub struct Mailer<T = ClientTls>(common::Mailer<Blocking, T>);

/// The encrypted stream of a TLS `T`.
pub(crate) type Encrypted<T> = <T as Connect<Blocking, Exclusive>>::Stream;

impl<T> Mailer<T> {
    /// A mailer with these settings.
    #[must_use]
    pub const fn new(settings: Settings<T>) -> Self {
        Self(common::Mailer::new(settings))
    }

    /// The settings.
    #[must_use]
    pub const fn settings(&self) -> &Settings<T> {
        self.0.settings()
    }
}

impl<T> Mailer<T>
where
    T: Connect<Blocking, Exclusive>,
    Blocking: Runtime<Encrypted<T>>,
{
    /// Sends one mail over a new connection.
    ///
    /// # Errors
    /// [`Error::Rejected`] if no recipient is accepted, and every error of the connection. [`Error::fate`]
    /// tells whether a retry is safe.
    pub fn send(&self, envelope: &Envelope<'_>, message: impl Read) -> Result<Receipt, Error> {
        self.send_as::<Smtp>(envelope, message, Silent)
    }

    /// Like [`send`](Self::send), with an observer and in a dialect ([`Smtp`] or
    /// [`Lmtp`](starttls::lmtp::Lmtp)).
    ///
    /// # Errors
    /// Those of [`send`](Self::send). Those of [`send`](Self::send).
    pub fn send_as<D: Dialect>(
        &self,
        envelope: &Envelope<'_>,
        message: impl Read,
        observer: impl Observer + Send,
    ) -> Result<Receipt, Error> {
        ready(self.0.send_as::<D, _>(envelope, message, observer))
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
    pub fn connect(&self) -> Result<Connection<'static, Smtp, Encrypted<T>>, Error> {
        self.connect_as::<Smtp>(Silent)
    }

    /// Like [`connect`](Self::connect), with an observer and in a dialect.
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

/// An open connection to a mail server, for any number of mails, from [`Mailer::connect`].
///
/// A mail takes two round trips if the server offers `PIPELINING`. After a mail that the server refuses, the
/// connection stays open. Any other error closes it: [`Error::fate`] tells whether the mail was sent, and no
/// later mail is. The connection borrows nothing but its observer, so a pool can hold it.
#[derive(Debug)]
pub struct Connection<'o, D = Smtp, E = StreamOwned<ClientConnection, Exclusive>>(
    common::Connection<'o, D, Blocking, Exclusive, E>,
);

impl<D: Dialect, E> Connection<'_, D, E>
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

/// Decides about the mail that an [`Inbox`] receives, and stores it.
///
/// ```
/// use starttls_std::{Answer, Deliver, Mail};
///
/// struct Discard;
///
/// impl Deliver for Discard {
///     fn deliver(&mut self, mail: &Mail) -> Answer {
///         Answer::new(250, format!("2.0.0 {} bytes discarded", mail.size))
///     }
/// }
/// ```
pub trait Deliver: Send {
    /// Checks the password of `user`. By default no password is accepted.
    ///
    /// This is called only over TLS, and only if the settings offer a login. Compare with
    /// [`Secret::matches`](crate::Secret::matches), whose time reveals nothing but the length.
    fn authenticate(&mut self, user: &str, password: &str) -> Answer {
        let _ = (user, password);
        bad_credentials()
    }

    /// Returns the user whom the client's certificate identifies. By default every certificate is refused.
    ///
    /// The server's verifier has accepted the certificate. The client wants to act as `authorization`, or as
    /// the certificate's own user if that is empty (`EXTERNAL`, RFC 4422 Appendix A). This is called only if
    /// the settings offer it.
    ///
    /// # Errors
    /// The reply that refuses an unknown client, or one that may not act as `authorization`.
    fn identify(
        &mut self,
        certificate: &PeerCertificate,
        authorization: &str,
    ) -> Result<String, Answer> {
        let _ = (certificate, authorization);
        Err(bad_credentials())
    }

    /// Decides whether mail from `path` is accepted. `path` is empty for delivery status notifications.
    fn sender(&mut self, path: &str) -> Answer {
        let _ = path;
        Answer::new(250, "2.1.0 Sender ok")
    }

    /// Decides whether `path` is a recipient here.
    fn recipient(&mut self, path: &str) -> Answer {
        let _ = path;
        Answer::new(250, "2.1.5 Recipient ok")
    }

    /// Keeps the next piece of a message, of about 32 KiB at most. By default it is appended to
    /// `mail.message`.
    ///
    /// An application that writes the pieces to a file needs no memory for the message, whatever its size.
    /// The message is complete when [`deliver`](Self::deliver) is called. If [`sender`](Self::sender) is
    /// called before that, or the connection ends, discard it.
    ///
    /// # Errors
    /// The reply to the message, whose rest is discarded: for example 452 4.3.1 if the disk is full.
    fn keep(&mut self, mail: &mut Mail, piece: &[u8]) -> Result<(), Answer> {
        mail.message.extend_from_slice(piece);
        Ok(())
    }

    /// Accepts a mail. A 2yz reply promises that the mail is stored safely.
    fn deliver(&mut self, mail: &Mail) -> Answer;
}

/// Adapts a blocking application to the async trait. Its futures are ready at once.
struct AtOnce<'d>(&'d mut dyn Deliver);

impl common::Deliver for AtOnce<'_> {
    async fn authenticate(&mut self, user: &str, password: &str) -> Answer {
        self.0.authenticate(user, password)
    }

    async fn identify(
        &mut self,
        certificate: &PeerCertificate,
        authorization: &str,
    ) -> Result<String, Answer> {
        self.0.identify(certificate, authorization)
    }

    async fn sender(&mut self, path: &str) -> Answer {
        self.0.sender(path)
    }

    async fn recipient(&mut self, path: &str) -> Answer {
        self.0.recipient(path)
    }

    async fn keep(&mut self, mail: &mut Mail, piece: &[u8]) -> Result<(), Answer> {
        self.0.keep(mail, piece)
    }

    async fn deliver(&mut self, mail: &Mail) -> Answer {
        self.0.deliver(mail)
    }
}

/// A server that receives mail, one connection at a time.
///
/// ```no_run
/// use starttls::smtp::Smtp;
/// use starttls_std::{Deliver, Error, Inbox, Silent};
///
/// fn serve(inbox: &Inbox, deliver: &mut dyn Deliver) -> Result<(), Error> {
///     let listener = std::net::TcpListener::bind("127.0.0.1:2525").expect("a free port");
///     let (stream, _) = listener.accept().expect("a connection");
///     inbox.receive::<Smtp>(stream, deliver, Silent)
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Inbox(common::Inbox<Blocking>);

impl Inbox {
    /// A server with these settings.
    #[must_use]
    pub const fn new(settings: InboxSettings) -> Self {
        Self(common::Inbox::new(settings))
    }

    /// Receives the mail of one accepted connection until it ends.
    ///
    /// # Errors
    /// Those of the protocol, of TLS and of the network. Mail delivered before the error stays delivered.
    pub fn receive<D: Dialect>(
        &self,
        stream: TcpStream,
        deliver: &mut dyn Deliver,
        observer: impl Observer + Send,
    ) -> Result<(), Error> {
        stream.set_nodelay(true).map_err(Error::io(common::Doing::SettingUp))?;
        ready(self.0.receive::<D, _>(Exclusive::new(stream), &mut AtOnce(deliver), observer))
    }
}
