use std::mem;
use std::ops::ControlFlow;

use starttls::Protocol;
use starttls::mail::inbound::Event;
use starttls::mail::{Inbound, receiver};
use starttls::smtp::Dialect;
#[cfg(feature = "scram")]
use starttls::{Error as Rule, smtp::MAX_LINE};
use zeroize::Zeroizing;

#[cfg(feature = "scram")]
use crate::InboxSettings;
#[cfg(feature = "scram")]
use crate::scram::{Scram, StoredPassword};
use crate::{Answer, Error, Mail, Peer, PeerCertificate, Recipient, Secret};

/// The reply that refuses a login.
#[must_use]
pub fn bad_credentials() -> Answer {
    Answer::new(535, "5.7.8 Authentication credentials invalid")
}

/// The minimum size of a piece of a message that the application is given, in bytes. The last piece may be
/// shorter.
const PIECE: usize = 16 * 1024;

/// Turns a receiver's events into questions for the application. Every loop shares this part.
#[derive(Debug)]
pub struct Taking {
    mail: Mail,
    /// The limit of a message in memory, in bytes.
    room: usize,
    /// The received bytes of the message that the application has not been given yet.
    piece: Vec<u8>,
    /// The reply at the message's end, once the application refuses the rest.
    refusal: Option<Answer>,
    /// From the accepted sender to the reply to the message.
    under_way: bool,
    /// The user name of an unfinished login.
    named: Option<String>,
    /// An unfinished login by SCRAM.
    #[cfg(feature = "scram")]
    scram: Option<Box<Scram>>,
    /// The client.
    peer: Peer,
    /// All recipients, while the application is asked about one of them.
    all: Option<Vec<Recipient>>,
}

/// A question for the application. Its reply goes to [`Taking::answer`].
#[derive(Debug)]
pub enum Asked {
    /// No question: this is the reply.
    Nothing(Answer),
    /// Is this the user's password?
    Login {
        /// The user name.
        user: String,
        /// The password that the client sent.
        password: Secret,
    },
    /// Which user does this certificate identify, and may it act as `authorization`?
    Certificate {
        /// The client's certificate from the handshake.
        certificate: PeerCertificate,
        /// The user to act as. Empty for the certificate's own.
        authorization: String,
    },
    /// Which password is stored for this user? The answer goes to [`Taking::begin`].
    #[cfg(feature = "scram")]
    Stored(String),
    /// No question: the client has proved by SCRAM that it knows the password, or has not. In the first case
    /// the server's message of [`Taking::challenge`] is due.
    #[cfg(feature = "scram")]
    Proof(bool),
    /// Is mail from the sender of [`Taking::mail`] accepted?
    Sender,
    /// Is this recipient accepted?
    Recipient(Recipient),
    /// Keep the piece of [`Taking::piece`]. The client gets no reply; call [`Taking::kept`].
    Piece,
    /// Accept [`Taking::mail`]? Comes after the last piece.
    Message,
}

impl Taking {
    /// Keeps messages of up to `room` bytes from this client.
    #[must_use]
    pub fn new(room: usize, peer: Peer) -> Self {
        Self {
            mail: Mail::default(),
            room,
            piece: Vec::new(),
            refusal: None,
            under_way: false,
            named: None,
            #[cfg(feature = "scram")]
            scram: None,
            peer,
            all: None,
        }
    }

    /// The client.
    #[must_use]
    pub const fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Whether the event's bytes carry, or may carry, a credential that the client should not have sent in
    /// plaintext.
    #[must_use]
    pub fn is_credential(event: Event<'_>) -> bool {
        matches!(event, Event::Received(said) if said.as_untrusted_bytes().is_empty())
    }

    /// The current mail.
    #[must_use]
    pub const fn mail(&self) -> &Mail {
        &self.mail
    }

    /// Whether a mail is in progress, from its sender to the reply to its message.
    #[must_use]
    pub const fn is_under_way(&self) -> bool {
        self.under_way
    }

    /// The current mail, and the piece of its message to keep.
    pub fn piece(&mut self) -> (&mut Mail, &[u8]) {
        (&mut self.mail, &self.piece)
    }

    /// The application kept the piece, or refuses the rest of the message with this reply.
    pub fn kept(&mut self, kept: Result<(), Answer>) {
        self.piece.clear();
        if let Err(answer) = kept {
            self.refusal = Some(answer);
        }
    }

    /// The reply that refuses the rest of the message, if any.
    #[must_use]
    pub const fn refusal(&self) -> Option<&Answer> {
        self.refusal.as_ref()
    }

    /// Takes an event. Breaks when the client has left.
    pub fn take<D: Dialect>(
        &mut self,
        inbound: &Inbound<'_, D>,
        event: Event<'_>,
    ) -> ControlFlow<(), Option<Asked>> {
        let event = match event {
            Event::Receiver(event) => event,
            Event::Quit => return ControlFlow::Break(()),
            _ => return ControlFlow::Continue(None),
        };
        ControlFlow::Continue(Some(match event {
            receiver::Event::User(name) => {
                let mut buffer = Zeroizing::new([0; receiver::Login::MAX]);
                self.named = name.decode(&mut *buffer).ok().map(str::to_owned);
                return ControlFlow::Continue(None);
            }
            receiver::Event::Login(login) => self.login(login),
            receiver::Event::External(authorization) => self.external(authorization),
            #[cfg(feature = "scram")]
            receiver::Event::ScramFirst(first) => {
                self.peer.user = None;
                self.scram = Scram::new(first).map(Box::new);
                match &self.scram {
                    Some(scram) => Asked::Stored(scram.user().to_owned()),
                    None => Asked::Nothing(bad_credentials()),
                }
            }
            #[cfg(feature = "scram")]
            receiver::Event::ScramFinal(last) => {
                Asked::Proof(self.scram.as_mut().is_some_and(|scram| scram.verify(last)))
            }
            #[cfg(feature = "scram")]
            receiver::Event::Authenticated => {
                self.peer.user = self.scram.take().map(|scram| scram.user().to_owned());
                return ControlFlow::Continue(None);
            }
            receiver::Event::Mail(event) => {
                self.mail = Mail {
                    from: event.path.as_str().to_owned(),
                    peer: self.peer.clone(),
                    international: event.international,
                    require_tls: event.require_tls,
                    returns: event.returns,
                    envelope_id: event.envelope_id.map(|id| id.as_str().to_owned()),
                    ..Mail::default()
                };
                (self.piece, self.refusal, self.under_way) = (Vec::new(), None, true);
                Asked::Sender
            }
            receiver::Event::Recipient(recipient) => Asked::Recipient(recipient.into()),
            receiver::Event::Body(piece) => {
                let piece = &piece[..piece.len().min(self.room.saturating_sub(self.mail.size))];
                self.mail.size += piece.len();
                if self.refusal.is_none() {
                    self.piece.extend_from_slice(piece);
                }
                if self.piece.len() < PIECE {
                    return ControlFlow::Continue(None);
                }
                Asked::Piece
            }
            receiver::Event::Message { index } => {
                self.mail.chunked = inbound.is_chunked();
                let one = D::PROTOCOL == Protocol::LMTP;
                self.under_way = self.is_one_of_more::<D>(index);
                if let Some(to) = self.mail.to.get(usize::from(index)).cloned()
                    && one
                {
                    // The message may be large, so each recipient's question borrows it.
                    self.all = Some(mem::replace(&mut self.mail.to, vec![to]));
                }
                Asked::Message
            }
            receiver::Event::Refused { index } => {
                self.under_way = self.is_one_of_more::<D>(index);
                return ControlFlow::Continue(None);
            }
            receiver::Event::Hello(_) | receiver::Event::Reset => {
                if let receiver::Event::Hello(name) = event {
                    self.peer.hello = Some(name.to_string());
                    self.peer.extended = inbound.is_extended();
                }
                (self.piece, self.under_way) = (Vec::new(), false);
                return ControlFlow::Continue(None);
            }
            _ => return ControlFlow::Continue(None),
        }))
    }

    /// Gives the receiver the application's reply, and writes it to `out`.
    ///
    /// # Errors
    /// [`Error::Argument`] if the reply has an invalid code or text.
    pub fn answer<D: Dialect>(
        &mut self,
        inbound: &mut Inbound<'_, D>,
        asked: Asked,
        answer: &Answer,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        match asked {
            Asked::Sender if !answer.is_yes() => self.under_way = false,
            Asked::Login { user, .. } if answer.is_yes() => self.peer.user = Some(user),
            Asked::Recipient(recipient) if answer.is_yes() => self.mail.to.push(recipient),
            Asked::Message => self.piece = Vec::new(),
            _ => {}
        }
        if let Some(all) = self.all.take() {
            self.mail.to = all;
        }
        let text = receiver::Answer::new(answer.code, &answer.text)
            .map_err(Error::argument("the application's answer"))?;
        let mut line = vec![0; answer.text.len() + b"250 \r\n".len()];
        let written = inbound.answer(text, &mut line)?;
        out.extend_from_slice(&line[..written]);
        Ok(())
    }

    /// Begins the exchange with the stored password of the user, if there is one. Returns whether the server's
    /// message is due. If not, the client is refused.
    ///
    /// # Errors
    /// [`Error::Argument`] if the provider has no random numbers.
    #[cfg(feature = "scram")]
    pub fn begin(
        &mut self,
        stored: Option<StoredPassword>,
        settings: &InboxSettings,
    ) -> Result<bool, Error> {
        match &mut self.scram {
            Some(scram) => scram.begin(stored, settings, self.peer.tls.as_deref()),
            None => Ok(false),
        }
    }

    /// The user of the login by SCRAM.
    #[cfg(feature = "scram")]
    #[must_use]
    pub fn claimed(&self) -> &str {
        self.scram.as_ref().map(|scram| scram.user()).unwrap_or_default()
    }

    /// The server's message of SCRAM.
    ///
    /// # Errors
    /// [`OutOfOrder`](starttls::Error::OutOfOrder) if none is due.
    #[cfg(feature = "scram")]
    pub fn challenge<D: Dialect>(&self, inbound: &mut Inbound<'_, D>) -> Result<Vec<u8>, Error> {
        let exchange = self.scram.as_ref().and_then(|scram| scram.exchange());
        let mut line = vec![0; MAX_LINE];
        let written = inbound.challenge(exchange.ok_or(Rule::OutOfOrder)?, &mut line)?;
        line.truncate(written);
        Ok(line)
    }

    /// Whether another recipient's reply to the message follows this one.
    fn is_one_of_more<D: Dialect>(&self, index: u16) -> bool {
        D::PROTOCOL == Protocol::LMTP && usize::from(index) + 1 < self.mail.to.len()
    }

    /// The client is this user. Returns the reply to the login.
    pub fn identified(&mut self, user: String) -> Answer {
        self.peer.user = Some(user);
        Answer::new(235, "2.7.0 Authentication successful")
    }

    /// The question for a login by certificate.
    fn external(&mut self, authorization: receiver::Authorization<'_>) -> Asked {
        self.peer.user = None;
        let mut buffer = [0; receiver::Login::MAX];
        match (self.peer.certificate(), authorization.decode(&mut buffer)) {
            (Some(certificate), Ok(authorization)) => Asked::Certificate {
                certificate: certificate.clone(),
                authorization: authorization.to_owned(),
            },
            _ => Asked::Nothing(bad_credentials()),
        }
    }

    /// The question for a login by password.
    fn login(&mut self, login: receiver::Login<'_>) -> Asked {
        self.peer.user = None;
        let named = self.named.take();
        let mut buffer = Zeroizing::new([0; receiver::Login::MAX]);
        let Ok(claim) = login.decode(&mut *buffer) else {
            return Asked::Nothing(bad_credentials());
        };
        match claim.user.map(str::to_owned).or(named) {
            // No user may act for another one here.
            Some(user) if ["", &user].contains(&claim.authorization) => {
                Asked::Login { user, password: Secret::new(claim.password) }
            }
            _ => Asked::Nothing(bad_credentials()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        let asked = Asked::Login { user: "user".into(), password: Secret::new("passw0rd") };
        assert_eq!(format!("{asked:?}"), "Login { user: \"user\", password: Secret(..) }");
    }
}
