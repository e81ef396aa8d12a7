use std::mem;
use std::ops::ControlFlow;

use starttls::mail::Receiver;
use starttls::mail::dsn::{Notify, Return};
use starttls::mail::receiver::{self, Event};
use starttls::smtp::Dialect;
use starttls::{Channel, Protocol};

use crate::{Answer, Error};

/// A mail that was received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mail {
    /// The reverse path; empty for reports about failures.
    pub from: String,
    /// The accepted recipients.
    pub to: Vec<Recipient>,
    /// The message, its lines ended by CRLF; the last one may have no end.
    pub message: Vec<u8>,
    /// Whether it came over TLS.
    pub encrypted: bool,
    /// Whether it came in chunks (`BDAT`).
    pub chunked: bool,
    /// Who sent it, if the client logged in.
    pub user: Option<String>,
    /// Whether it needs servers that take UTF-8 (`SMTPUTF8`).
    pub international: bool,
    /// Whether it may go nowhere without verified TLS (`REQUIRETLS`).
    pub require_tls: bool,
    /// What a report of failure is to bring back.
    pub returns: Option<Return>,
    /// What a report is to call the mail, encoded as it came (xtext).
    pub envelope_id: Option<String>,
}

/// A recipient of a mail that was received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recipient {
    /// The forward path.
    pub path: String,
    /// Which reports the sender wants.
    pub notify: Option<Notify>,
    /// How the sender called the recipient: a kind of address, `;`, and the address, encoded as it
    /// came (xtext).
    pub original: Option<String>,
}

impl From<receiver::Recipient<'_>> for Recipient {
    fn from(recipient: receiver::Recipient<'_>) -> Self {
        Self {
            path: recipient.path.as_str().to_owned(),
            notify: recipient.notify,
            original: recipient.original.map(|original| {
                format!("{};{}", original.address_type(), original.address().as_str())
            }),
        }
    }
}

/// No to a login.
#[must_use]
pub fn bad_credentials() -> Answer {
    Answer::new(535, "5.7.8 Authentication credentials invalid")
}

/// What a receiver's events lead to: the part that every loop has alike.
#[derive(Debug)]
pub struct Taking {
    mail: Mail,
    encrypted: bool,
    /// The largest message that is kept.
    room: usize,
    /// Who begins to log in.
    named: Option<String>,
    /// Who logged in.
    user: Option<String>,
    /// All recipients, while one of them is asked for alone.
    all: Option<Vec<Recipient>>,
}

/// What the application is asked; the answer goes to [`Taking::answer`].
#[derive(Debug)]
pub enum Asked {
    /// Nothing; this is the answer.
    Nothing(Answer),
    /// Whether this is the user's password.
    Login {
        /// Who.
        user: String,
        /// What proves it.
        password: String,
    },
    /// Whether a mail is welcome from whom [`Taking::mail`] says.
    Sender,
    /// Whether this is a recipient here.
    Recipient(Recipient),
    /// To take [`Taking::mail`].
    Message,
}

impl Taking {
    /// A connection that is `encrypted` or not, for messages of up to `room` octets.
    #[must_use]
    pub fn new(encrypted: bool, room: usize) -> Self {
        Self { mail: Mail::default(), encrypted, room, named: None, user: None, all: None }
    }

    /// The mail under way.
    #[must_use]
    pub const fn mail(&self) -> &Mail {
        &self.mail
    }

    /// Takes an event; breaks when the client left.
    pub fn take<C: Channel, D: Dialect>(
        &mut self,
        receiver: &Receiver<'_, C, D>,
        event: Event<'_>,
    ) -> ControlFlow<(), Option<Asked>> {
        ControlFlow::Continue(Some(match event {
            Event::User(name) => {
                let mut buffer = [0; receiver::Login::MAX];
                self.named = name.decode(&mut buffer).ok().map(str::to_owned);
                return ControlFlow::Continue(None);
            }
            Event::Login(login) => self.login(login),
            Event::Mail(event) => {
                self.mail = Mail {
                    from: event.path.as_str().to_owned(),
                    encrypted: self.encrypted,
                    user: self.user.clone(),
                    international: event.international,
                    require_tls: event.require_tls,
                    returns: event.returns,
                    envelope_id: event.envelope_id.map(|id| id.as_str().to_owned()),
                    ..Mail::default()
                };
                Asked::Sender
            }
            Event::Recipient(recipient) => Asked::Recipient(recipient.into()),
            Event::Body(piece) => {
                let room = self.room.saturating_sub(self.mail.message.len());
                self.mail.message.extend_from_slice(&piece[..piece.len().min(room)]);
                return ControlFlow::Continue(None);
            }
            Event::Message { index } => {
                self.mail.chunked = receiver.is_chunked();
                let one = D::PROTOCOL == Protocol::LMTP;
                if let Some(to) = self.mail.to.get(usize::from(index)).cloned()
                    && one
                {
                    // The message may be large: it is lent, not copied, to each recipient.
                    self.all = Some(mem::replace(&mut self.mail.to, vec![to]));
                }
                Asked::Message
            }
            Event::Quit => return ControlFlow::Break(()),
            _ => return ControlFlow::Continue(None),
        }))
    }

    /// Passes an answer on, and puts it into `out`.
    ///
    /// # Errors
    /// [`Error::Argument`] if it cannot be said.
    pub fn answer<C: Channel, D: Dialect>(
        &mut self,
        receiver: &mut Receiver<'_, C, D>,
        asked: Asked,
        answer: &Answer,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        match asked {
            Asked::Login { user, .. } if answer.is_yes() => self.user = Some(user),
            Asked::Recipient(recipient) if answer.is_yes() => self.mail.to.push(recipient),
            _ => {}
        }
        if let Some(all) = self.all.take() {
            self.mail.to = all;
        }
        let text = receiver::Answer::new(answer.code, &answer.text)
            .map_err(Error::argument("the application's answer"))?;
        let mut line = vec![0; answer.text.len() + b"250 \r\n".len()];
        let written = receiver.answer(text, &mut line)?;
        out.extend_from_slice(&line[..written]);
        Ok(())
    }

    /// What is to be asked about a login.
    fn login(&mut self, login: receiver::Login<'_>) -> Asked {
        self.user = None;
        let named = self.named.take();
        let mut buffer = [0; receiver::Login::MAX];
        let Ok(claim) = login.decode(&mut buffer) else {
            return Asked::Nothing(bad_credentials());
        };
        match claim.user.map(str::to_owned).or(named) {
            // Nobody acts for others here.
            Some(user) if ["", &user].contains(&claim.authorization) => {
                Asked::Login { user, password: claim.password.to_owned() }
            }
            _ => Asked::Nothing(bad_credentials()),
        }
    }
}
