use std::mem;
use std::ops::ControlFlow;

use starttls::Protocol;
use starttls::mail::inbound::Event;
use starttls::mail::{Inbound, receiver};
use starttls::smtp::Dialect;

use crate::{Answer, Error, Mail, Recipient};

/// No to a login.
#[must_use]
pub fn bad_credentials() -> Answer {
    Answer::new(535, "5.7.8 Authentication credentials invalid")
}

/// What a receiver's events lead to: the part that every loop has alike.
#[derive(Debug)]
pub struct Taking {
    mail: Mail,
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
    /// For messages of up to `room` octets.
    #[must_use]
    pub fn new(room: usize) -> Self {
        Self { mail: Mail::default(), room, named: None, user: None, all: None }
    }

    /// Whether the bytes of an event carry a credential that the client should not have said in plaintext.
    #[must_use]
    pub fn is_credential(event: Event<'_>) -> bool {
        matches!(event, Event::Received(said) if said.as_untrusted_bytes().is_empty())
    }

    /// The mail under way.
    #[must_use]
    pub const fn mail(&self) -> &Mail {
        &self.mail
    }

    /// Takes an event; breaks when the client left.
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
                let mut buffer = [0; receiver::Login::MAX];
                self.named = name.decode(&mut buffer).ok().map(str::to_owned);
                return ControlFlow::Continue(None);
            }
            receiver::Event::Login(login) => self.login(login),
            receiver::Event::Mail(event) => {
                self.mail = Mail {
                    from: event.path.as_str().to_owned(),
                    encrypted: inbound.is_encrypted(),
                    user: self.user.clone(),
                    international: event.international,
                    require_tls: event.require_tls,
                    returns: event.returns,
                    envelope_id: event.envelope_id.map(|id| id.as_str().to_owned()),
                    ..Mail::default()
                };
                Asked::Sender
            }
            receiver::Event::Recipient(recipient) => Asked::Recipient(recipient.into()),
            receiver::Event::Body(piece) => {
                let room = self.room.saturating_sub(self.mail.message.len());
                self.mail.message.extend_from_slice(&piece[..piece.len().min(room)]);
                return ControlFlow::Continue(None);
            }
            receiver::Event::Message { index } => {
                self.mail.chunked = inbound.is_chunked();
                let one = D::PROTOCOL == Protocol::LMTP;
                if let Some(to) = self.mail.to.get(usize::from(index)).cloned()
                    && one
                {
                    // The message may be large: it is lent, not copied, to each recipient.
                    self.all = Some(mem::replace(&mut self.mail.to, vec![to]));
                }
                Asked::Message
            }
            _ => return ControlFlow::Continue(None),
        }))
    }

    /// Passes an answer on, and puts it into `out`.
    ///
    /// # Errors
    /// [`Error::Argument`] if it cannot be said.
    pub fn answer<D: Dialect>(
        &mut self,
        inbound: &mut Inbound<'_, D>,
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
        let written = inbound.answer(text, &mut line)?;
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
