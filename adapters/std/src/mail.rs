use std::io::Read;
use std::net::TcpStream;
use std::ops::ControlFlow;

use starttls::smtp::session::{Event, Exchange};
use starttls::smtp::{Credentials, Dialect, Domain, Envelope, LineEnds, Session, Smtp};
use starttls::{Channel, Client, Error as Rule, Policy, Tls};

use crate::driver::{Driver, Observer, Silent};
use crate::socket::Socket;
use crate::timeouts::{Deadlines, Timeouts};
use crate::upgrade::{Upgraded, connect_within, handshake, upgrade_or_plaintext};
use crate::{Answer, ClientTls, Error};

/// How many octets of a message are read at a time.
const PIECE: usize = 16 * 1024;

/// When TLS begins. Exhaustive: there is no third moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// After `STARTTLS`.
    #[default]
    StartTls,
    /// At once (RFC 8314 §3).
    Implicit,
}

/// A way to a mail server.
#[derive(Clone, Debug)]
pub struct Mailer {
    /// The server's name: whom its certificate must be for, and where to connect.
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// When TLS begins.
    pub mode: Mode,
    /// Whether mail may go without TLS, or to a server that nobody vouches for; credentials never
    /// do.
    pub policy: Policy,
    /// Whom to trust.
    pub tls: ClientTls,
    /// User name and password, 1 to 255 octets each.
    pub credentials: Option<(String, String)>,
    /// How the client introduces itself.
    pub domain: String,
    /// What to do with lone CR or LF in messages.
    pub line_ends: LineEnds,
    /// How long to wait.
    pub timeouts: Timeouts,
}

/// What became of a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// For each recipient of the envelope, in its order: the answer that took or refused the mail.
    pub recipients: Vec<Answer>,
}

impl Receipt {
    /// Whether every recipient was accepted.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.recipients.iter().all(Answer::is_yes)
    }
}

impl Mailer {
    /// A way to a submission server: port 587, `STARTTLS`, nothing without TLS.
    #[must_use]
    pub fn new(host: impl Into<String>, tls: ClientTls) -> Self {
        Self {
            host: host.into(),
            port: Smtp::PROTOCOL.port,
            mode: Mode::StartTls,
            policy: Policy::Required,
            tls,
            credentials: None,
            domain: Domain::LOCALHOST.as_str().to_owned(),
            line_ends: LineEnds::Normalize,
            timeouts: Timeouts::default(),
        }
    }

    /// Sends one mail over a connection of its own.
    ///
    /// # Errors
    /// [`Error::Rejected`] if nobody gets it, and all that can go wrong on the way there. After
    /// another error the mail may have been delivered if all of it had been sent.
    pub fn send(&self, envelope: &Envelope<'_>, message: impl Read) -> Result<Receipt, Error> {
        self.send_as::<Smtp>(envelope, message, &mut Silent)
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
        observer: &mut dyn Observer,
    ) -> Result<Receipt, Error> {
        let domain = Domain::new(&self.domain).map_err(Error::argument("the client's name"))?;
        let credentials = self
            .credentials
            .as_ref()
            .map(|(user, password)| Credentials::new(user, password))
            .transpose()
            .map_err(Error::argument("the user name or password"))?;
        let deadlines = Deadlines::start(self.timeouts);
        let stream = connect_within((self.host.as_str(), self.port), &deadlines)?;
        let driver = Driver::starting(stream, deadlines, observer);
        match self.upgrade::<D>(driver, domain)? {
            Upgraded::Tls(mut driver, tls) => {
                let mut session = Session::<_, D>::new(tls, domain);
                job(&mut driver, &mut session.hello()?)?;
                if let Some(credentials) = &credentials {
                    driver.set_secret(true);
                    let outcome = match session.authenticate(credentials) {
                        Ok(mut authenticate) => job(&mut driver, &mut authenticate),
                        Err(error) => Err(error.into()),
                    };
                    driver.set_secret(false);
                    leave_if_rejected(&mut driver, &mut session, outcome)?;
                }
                self.deliver(driver, session, envelope, message)
            }
            // A password without TLS would be anyone's.
            Upgraded::Plaintext(..) if credentials.is_some() => Err(Rule::NotOffered.into()),
            Upgraded::Plaintext(mut driver, plaintext) => {
                let mut session = Session::<_, D>::new(plaintext, domain);
                job(&mut driver, &mut session.hello()?)?;
                self.deliver(driver, session, envelope, message)
            }
        }
    }

    fn upgrade<'o, D: Dialect>(
        &self,
        driver: Driver<'o, TcpStream>,
        domain: Domain<'_>,
    ) -> Result<Upgraded<'o>, Error> {
        match self.mode {
            Mode::StartTls => {
                let client =
                    Client::<starttls::smtp::ClientGrammar<'_, D>>::new(domain, self.policy);
                upgrade_or_plaintext(driver, client, &self.tls, &self.host)
            }
            Mode::Implicit => {
                let alpn = D::PROTOCOL.alpn;
                let (driver, verification) =
                    handshake(driver, &self.tls, &self.host, alpn, self.policy)?;
                Ok(Upgraded::Tls(driver, Tls::implicit(self.policy, verification)?))
            }
        }
    }

    fn deliver<S: Socket, C: Channel, D: Dialect>(
        &self,
        mut driver: Driver<'_, S>,
        mut session: Session<'_, C, D>,
        envelope: &Envelope<'_>,
        message: impl Read,
    ) -> Result<Receipt, Error> {
        session.set_line_ends(self.line_ends);
        let outcome = match session.send(envelope) {
            Ok(mut exchange) => mail(&mut driver, &mut exchange, envelope, message),
            Err(error) => Err(error.into()),
        };
        let receipt = leave_if_rejected(&mut driver, &mut session, outcome)?;
        // The mail is delivered: an error while saying goodbye takes nothing back.
        let _ = job(&mut driver, &mut session.quit()?).and_then(|()| driver.close());
        Ok(receipt)
    }
}

/// Runs a job to its end.
fn job<S: Socket, C: Channel, D: Dialect>(
    driver: &mut Driver<'_, S>,
    exchange: &mut Exchange<'_, '_, '_, C, D>,
) -> Result<(), Error> {
    driver
        .run(exchange, |_, event, _| match event {
            Event::Done(_) => Ok(ControlFlow::Break(())),
            Event::Rejected { command, reply } => {
                Err(Error::Rejected { command, answer: reply.into() })
            }
            _ => Ok(ControlFlow::Continue(())),
        })
        .map(|_| ())
}

/// Says goodbye to a server that refused, or does not take such a mail, and passes the reason on.
fn leave_if_rejected<S: Socket, C: Channel, D: Dialect, T>(
    driver: &mut Driver<'_, S>,
    session: &mut Session<'_, C, D>,
    outcome: Result<T, Error>,
) -> Result<T, Error> {
    let too_much = [Rule::Unsupported, Rule::MessageTooLarge, Rule::Unverified].map(Some);
    if let Err(error) = &outcome
        && (matches!(error, Error::Rejected { .. }) || too_much.contains(&error.protocol()))
    {
        let _ = job(driver, &mut session.quit()?);
    }
    outcome
}

fn mail<S: Socket, C: Channel, D: Dialect>(
    driver: &mut Driver<'_, S>,
    exchange: &mut Exchange<'_, '_, '_, C, D>,
    envelope: &Envelope<'_>,
    mut message: impl Read,
) -> Result<Receipt, Error> {
    let mut recipients: Vec<Answer> = Vec::with_capacity(envelope.to().len());
    envelope_and_data(driver, exchange, &mut recipients)?;
    body(driver, exchange, &mut message)?;
    exchange.finish()?;
    // LMTP answers for each accepted recipient, SMTP for all.
    let accepted: Vec<usize> =
        (0..recipients.len()).filter(|index| recipients[*index].is_yes()).collect();
    driver.run(exchange, |_, event, _| match event {
        Event::Delivery { index, reply } => {
            if let Some(place) = accepted.get(usize::from(index)) {
                recipients[*place] = reply.into();
            }
            Ok(ControlFlow::Continue(()))
        }
        Event::Done(reply) => {
            for place in &accepted {
                recipients[*place] = reply.into();
            }
            Ok(ControlFlow::Break(()))
        }
        Event::Delivered => Ok(ControlFlow::Break(())),
        Event::Rejected { command, reply } => {
            Err(Error::Rejected { command, answer: reply.into() })
        }
        _ => Ok(ControlFlow::Continue(())),
    })?;
    Ok(Receipt { recipients })
}

fn envelope_and_data<S: Socket, C: Channel, D: Dialect>(
    driver: &mut Driver<'_, S>,
    exchange: &mut Exchange<'_, '_, '_, C, D>,
    recipients: &mut Vec<Answer>,
) -> Result<(), Error> {
    let refused = driver.run(exchange, |_, event, _| match event {
        Event::Recipient { reply, .. } => {
            recipients.push(reply.into());
            Ok(ControlFlow::Continue(()))
        }
        Event::Body(_) => Ok(ControlFlow::Break(false)),
        Event::NoRecipients => Ok(ControlFlow::Break(true)),
        Event::Rejected { command, reply } => {
            Err(Error::Rejected { command, answer: reply.into() })
        }
        _ => Ok(ControlFlow::Continue(())),
    })?;
    match (refused, recipients.last()) {
        (Some(true), Some(answer)) => Err(Error::Rejected {
            command: starttls::smtp::session::Command::Recipient,
            answer: answer.clone(),
        }),
        _ => Ok(()),
    }
}

/// Sends the message but for its end, which leaves in one write with the last piece.
fn body<S: Socket, C: Channel, D: Dialect>(
    driver: &mut Driver<'_, S>,
    exchange: &mut Exchange<'_, '_, '_, C, D>,
    message: &mut impl Read,
) -> Result<(), Error> {
    let mut piece = vec![0; PIECE];
    let mut output = vec![0; PIECE];
    loop {
        let length = match message.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(length) => length,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Error::io("reading the message")(error)),
        };
        let mut rest = &piece[..length];
        while !rest.is_empty() {
            let written = exchange.body(&mut rest, &mut output)?;
            driver.send_soon(&output[..written])?;
        }
    }
}

#[cfg(test)]
mod tests;
