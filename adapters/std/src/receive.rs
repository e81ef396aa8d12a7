use std::net::TcpStream;
use std::ops::ControlFlow;
use std::sync::Arc;

use rustls::ServerConfig;
use starttls::smtp::dsn::{Notify, Return};
use starttls::smtp::receiver::{self, Config, Event, Login};
use starttls::smtp::{Dialect, Domain, Receiver, ServerGrammar};
use starttls::{Channel, Machine, Server, server};

use crate::driver::Driver;
use crate::server::{Accepted, accept_implicit, accept_or_plaintext};
use crate::socket::Socket;
use crate::timeouts::Timeouts;
use crate::{Answer, Error, Mode, Observer};

/// Who judges and takes the mail that [`Inbox`] receives.
pub trait Deliver {
    /// Whether this is the password of `user`; asked only over TLS, and only where
    /// [`Inbox::receiver`] offers it. By default nobody has one.
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

fn bad_credentials() -> Answer {
    Answer::new(535, "5.7.8 Authentication credentials invalid")
}

/// The largest message, in octets, where [`Limits::size`](receiver::Limits::size) does not say.
pub const MAX_MESSAGE: usize = 64 << 20;

/// A server that takes mail, one connection at a time.
#[derive(Clone, Debug)]
pub struct Inbox {
    /// How the server introduces itself.
    pub domain: String,
    /// When TLS begins.
    pub mode: Mode,
    /// What clients may do without TLS.
    pub config: server::Config,
    /// The certificate and its key.
    pub tls: Arc<ServerConfig>,
    /// What clients are offered, and how much they may ask for. A message is held in memory as a
    /// whole: the default allows [`MAX_MESSAGE`] octets.
    pub receiver: Config,
    /// How long to wait.
    pub timeouts: Timeouts,
}

impl Inbox {
    /// Takes the mail of one accepted connection, to its end.
    ///
    /// # Errors
    /// Those of the protocol, of TLS and of the network; mail delivered before stays delivered.
    pub fn receive<D: Dialect>(
        &self,
        stream: TcpStream,
        deliver: &mut dyn Deliver,
        observer: &mut dyn Observer,
    ) -> Result<(), Error> {
        stream.set_nodelay(true).map_err(Error::io("setting TCP_NODELAY"))?;
        let domain = Domain::new(&self.domain).map_err(Error::argument("the server's name"))?;
        let driver = Driver::new(stream, self.timeouts, observer);
        let accepted = match self.mode {
            Mode::Implicit => {
                let (driver, tls) = accept_implicit(driver, &self.tls)?;
                Accepted::Tls(driver, tls)
            }
            Mode::StartTls => {
                let server = Server::<ServerGrammar<'_, D>>::new(domain, self.config);
                accept_or_plaintext(driver, server, &self.tls)?
            }
        };
        let mut config = self.receiver;
        config.limits.size = Some(self.max_message());
        match accepted {
            Accepted::Tls(driver, tls) => {
                self.take(driver, Receiver::<_, D>::new(tls, domain, config), deliver)
            }
            Accepted::Plaintext(driver, plaintext) => {
                self.take(driver, Receiver::<_, D>::new(plaintext, domain, config), deliver)
            }
            Accepted::Quit => Ok(()),
        }
    }

    fn max_message(&self) -> usize {
        self.receiver.limits.size.unwrap_or(MAX_MESSAGE)
    }

    fn take<S: Socket, C: Channel, D: Dialect>(
        &self,
        mut driver: Driver<'_, S>,
        mut receiver: Receiver<'_, C, D>,
        deliver: &mut dyn Deliver,
    ) -> Result<(), Error> {
        let encrypted = S::ENCRYPTED;
        let mut mail = Mail::default();
        let (mut named, mut user) = (None, None);
        let end = driver.run(&mut receiver, |receiver, event, out| {
            let answer = match event {
                Event::User(name) => {
                    named = name.decode(&mut [0; Login::MAX]).ok().map(str::to_owned);
                    return Ok(ControlFlow::Continue(()));
                }
                Event::Login(login) => {
                    let (name, answer) = authenticate(login, named.take(), deliver);
                    user = answer.is_yes().then_some(name);
                    answer
                }
                Event::Mail(event) => {
                    mail = Mail {
                        from: event.path.as_str().to_owned(),
                        encrypted,
                        user: user.clone(),
                        international: event.international,
                        require_tls: event.require_tls,
                        returns: event.returns,
                        envelope_id: event.envelope_id.map(|id| id.as_str().to_owned()),
                        ..Mail::default()
                    };
                    deliver.sender(&mail.from)
                }
                Event::Recipient(recipient) => {
                    let answer = deliver.recipient(recipient.path.as_str());
                    if answer.is_yes() {
                        mail.to.push(recipient.into());
                    }
                    answer
                }
                Event::Body(piece) => {
                    let room = self.max_message().saturating_sub(mail.message.len());
                    mail.message.extend_from_slice(&piece[..piece.len().min(room)]);
                    return Ok(ControlFlow::Continue(()));
                }
                Event::Message { index } => {
                    mail.chunked = receiver.is_chunked();
                    let one = D::PROTOCOL == starttls::Protocol::LMTP;
                    let to = if one { mail.to.get(usize::from(index)).cloned() } else { None };
                    match to {
                        Some(to) => {
                            // The message may be large: it is lent, not copied, to each recipient.
                            let all = std::mem::replace(&mut mail.to, vec![to]);
                            let answer = deliver.deliver(&mail);
                            mail.to = all;
                            answer
                        }
                        None => deliver.deliver(&mail),
                    }
                }
                Event::Quit => return Ok(ControlFlow::Break(())),
                _ => return Ok(ControlFlow::Continue(())),
            };
            let text = receiver::Answer::new(answer.code, &answer.text)
                .map_err(Error::argument("the application's answer"))?;
            let mut line = vec![0; answer.text.len() + b"250 \r\n".len()];
            let written = receiver.answer(text, &mut line)?;
            out.extend_from_slice(&line[..written]);
            Ok(ControlFlow::Continue(()))
        });
        if let Err(error) = end {
            let mut last = vec![0; Receiver::<C, D>::MAX_OUTPUT];
            let written = receiver.farewell(&mut last).unwrap_or_default();
            driver.part(&last[..written]);
            return Err(error);
        }
        driver.close()
    }
}

/// Asks about a login, and who it is.
fn authenticate(
    login: Login<'_>,
    named: Option<String>,
    deliver: &mut dyn Deliver,
) -> (String, Answer) {
    let mut buffer = [0; Login::MAX];
    let Ok(claim) = login.decode(&mut buffer) else {
        return (String::new(), bad_credentials());
    };
    let Some(user) = claim.user.map(str::to_owned).or(named) else {
        return (String::new(), bad_credentials());
    };
    // Nobody acts for others here.
    if !["", &user].contains(&claim.authorization) {
        return (user, bad_credentials());
    }
    let answer = deliver.authenticate(&user, claim.password);
    (user, answer)
}
