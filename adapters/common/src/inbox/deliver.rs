use std::future::{Future, ready};

#[cfg(feature = "scram")]
use crate::StoredPassword;
use crate::{Answer, Mail, Peer, PeerCertificate, Recipient, bad_credentials};

/// Decides about the mail that an [`Inbox`](crate::Inbox) receives, and stores it. The client waits for each call.
///
/// ```
/// use starttls_common::{Answer, Deliver, Mail};
///
/// struct Discard;
///
/// impl Deliver for Discard {
///     async fn deliver(&mut self, mail: &Mail) -> Answer {
///         Answer::new(250, format!("2.0.0 {} bytes discarded", mail.size))
///     }
/// }
/// ```
pub trait Deliver: Send {
    /// Checks the password of `user`. By default no password is accepted.
    ///
    /// This is called only over TLS, and only if the settings offer a login. Compare with
    /// [`Secret::matches`](crate::Secret::matches), whose time reveals nothing but the length.
    fn authenticate(
        &mut self,
        peer: &Peer,
        user: &str,
        password: &str,
    ) -> impl Future<Output = Answer> + Send {
        let _ = (peer, user, password);
        ready(bad_credentials())
    }

    /// Returns the stored password of `user`, for a login by SCRAM. By default no user is known.
    ///
    /// This is called only over TLS, and only if the settings offer SCRAM, by
    /// [`Config::with_scram`](starttls::mail::receiver::Config::with_scram). An unknown user gets the same
    /// replies as a wrong password, and a salt that stays the same until the server restarts, as long as all
    /// users have [`SCRAM_ITERATIONS`](crate::SCRAM_ITERATIONS). Take as long to find that there is none.
    #[cfg(feature = "scram")]
    fn stored(
        &mut self,
        peer: &Peer,
        user: &str,
    ) -> impl Future<Output = Option<StoredPassword>> + Send {
        let _ = (peer, user);
        ready(None)
    }

    /// Hears whether a client has proved by SCRAM that it is this user, for a log. By default nothing happens.
    #[cfg(feature = "scram")]
    fn proved(
        &mut self,
        peer: &Peer,
        user: &str,
        is_right: bool,
    ) -> impl Future<Output = ()> + Send {
        let _ = (peer, user, is_right);
        ready(())
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
    ) -> impl Future<Output = Result<String, Answer>> + Send {
        let _ = (peer, certificate, authorization);
        ready(Err(bad_credentials()))
    }

    /// Decides whether the mail is accepted, by its sender and by its client. It has no recipients yet.
    /// `mail.from` is empty for delivery status notifications.
    fn sender(&mut self, mail: &Mail) -> impl Future<Output = Answer> + Send {
        let _ = mail;
        ready(Answer::new(250, "2.1.0 Sender ok"))
    }

    /// Decides whether the mail is accepted for this further recipient.
    ///
    /// A temporary refusal, such as 452 4.5.3 for too many recipients, is no mistake of the client.
    fn recipient(
        &mut self,
        mail: &Mail,
        recipient: &Recipient,
    ) -> impl Future<Output = Answer> + Send {
        let _ = (mail, recipient);
        ready(Answer::new(250, "2.1.5 Recipient ok"))
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
    fn keep(
        &mut self,
        mail: &mut Mail,
        piece: &[u8],
    ) -> impl Future<Output = Result<(), Answer>> + Send {
        mail.message.extend_from_slice(piece);
        ready(Ok(()))
    }

    /// Accepts a mail. A 2yz reply promises that the mail is stored safely.
    ///
    /// With SMTP this is called once a mail. With LMTP it is called once for each accepted recipient, which
    /// is then the only one in `mail.to`, and each call has its own reply (RFC 2033 §4.2).
    fn deliver(&mut self, mail: &Mail) -> impl Future<Output = Answer> + Send;
}
