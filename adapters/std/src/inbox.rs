use std::net::SocketAddr;

use starttls::smtp::Dialect;
#[cfg(feature = "scram")]
use starttls_common::StoredPassword;
use starttls_common::{
    self as common, Answer, Doing, Error, InboxSettings, Mail, Observer, Peer, PeerCertificate,
    Recipient, bad_credentials, ready,
};

use crate::{Blocking, Exclusive, Socket};

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
    fn authenticate(&mut self, peer: &Peer, user: &str, password: &str) -> Answer {
        let _ = (peer, user, password);
        bad_credentials()
    }

    /// Returns the stored password of `user`, for a login by SCRAM. By default no user is known.
    ///
    /// This is called only over TLS, and only if the settings offer SCRAM, by
    /// [`Config::with_scram`](starttls::mail::receiver::Config::with_scram). An unknown user gets the same
    /// replies as a wrong password, and a salt that stays the same until the server restarts, as long as all
    /// users have [`SCRAM_ITERATIONS`](crate::SCRAM_ITERATIONS). Take as long to find that there is none.
    #[cfg(feature = "scram")]
    fn stored(&mut self, peer: &Peer, user: &str) -> Option<StoredPassword> {
        let _ = (peer, user);
        None
    }

    /// Hears whether a client has proved by SCRAM that it is this user, for a log. By default nothing happens.
    #[cfg(feature = "scram")]
    fn proved(&mut self, peer: &Peer, user: &str, is_right: bool) {
        let _ = (peer, user, is_right);
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
        peer: &Peer,
        certificate: &PeerCertificate,
        authorization: &str,
    ) -> Result<String, Answer> {
        let _ = (peer, certificate, authorization);
        Err(bad_credentials())
    }

    /// Decides whether the mail is accepted, by its sender and by its client. It has no recipients yet.
    /// `mail.from` is empty for delivery status notifications.
    fn sender(&mut self, mail: &Mail) -> Answer {
        let _ = mail;
        Answer::new(250, "2.1.0 Sender ok")
    }

    /// Decides whether the mail is accepted for this further recipient.
    ///
    /// A temporary refusal, such as 452 4.5.3 for too many recipients, is no mistake of the client.
    fn recipient(&mut self, mail: &Mail, recipient: &Recipient) -> Answer {
        let _ = (mail, recipient);
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
    ///
    /// With SMTP this is called once a mail. With LMTP it is called once for each accepted recipient, which
    /// is then the only one in `mail.to`, and each call has its own reply (RFC 2033 §4.2).
    fn deliver(&mut self, mail: &Mail) -> Answer;
}

/// Adapts a blocking application to the async trait. Its futures are ready at once.
struct AtOnce<'d>(&'d mut dyn Deliver);

impl common::Deliver for AtOnce<'_> {
    async fn authenticate(&mut self, peer: &Peer, user: &str, password: &str) -> Answer {
        self.0.authenticate(peer, user, password)
    }

    #[cfg(feature = "scram")]
    async fn stored(&mut self, peer: &Peer, user: &str) -> Option<StoredPassword> {
        self.0.stored(peer, user)
    }

    #[cfg(feature = "scram")]
    async fn proved(&mut self, peer: &Peer, user: &str, is_right: bool) {
        self.0.proved(peer, user, is_right);
    }

    async fn identify(
        &mut self,
        peer: &Peer,
        certificate: &PeerCertificate,
        authorization: &str,
    ) -> Result<String, Answer> {
        self.0.identify(peer, certificate, authorization)
    }

    async fn sender(&mut self, mail: &Mail) -> Answer {
        self.0.sender(mail)
    }

    async fn recipient(&mut self, mail: &Mail, recipient: &Recipient) -> Answer {
        self.0.recipient(mail, recipient)
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

    /// Receives the mail of one accepted connection until it ends: a TCP connection or a Unix socket.
    ///
    /// # Errors
    /// Those of the protocol, of TLS and of the network. Mail delivered before the error stays delivered.
    pub fn receive<D: Dialect>(
        &self,
        stream: impl Into<Exclusive>,
        deliver: &mut dyn Deliver,
        observer: impl Observer + Send,
    ) -> Result<(), Error> {
        let stream = stream.into();
        let address = stream.peer_address();
        self.receive_over::<D, Exclusive>(stream, address, deliver, observer)
    }

    /// Like [`receive`](Self::receive), over any stream. `address` is the client's, if it has one.
    ///
    /// # Errors
    /// Those of [`receive`](Self::receive).
    pub fn receive_over<D: Dialect, S: Socket>(
        &self,
        stream: S,
        address: Option<SocketAddr>,
        deliver: &mut dyn Deliver,
        observer: impl Observer + Send,
    ) -> Result<(), Error> {
        stream.prepare().map_err(Error::io(Doing::SettingUp))?;
        ready(self.0.receive::<D, S>(stream, address, &mut AtOnce(deliver), observer))
    }
}
