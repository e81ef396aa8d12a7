use std::net::TcpStream;
use std::ops::ControlFlow;
use std::sync::Arc;

use rustls::ServerConfig;
use starttls::smtp::receiver::{self, Event, Limits};
use starttls::smtp::{Dialect, Domain, Receiver, ServerGrammar};
use starttls::{Channel, Machine, Server, Tls, server};

use crate::driver::{Driver, Observer, Socket};
use crate::server::{Accepted, accept_or_plaintext, handshake};
use crate::timeouts::Timeouts;
use crate::{Answer, Error, Mode};

/// Who judges and takes the mail that [`Inbox`] receives.
pub trait Deliver {
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
pub struct Mail {
    /// The reverse path; empty for reports about failures.
    pub from: String,
    /// The accepted recipients.
    pub to: Vec<String>,
    /// The message, its lines ended by CRLF.
    pub message: Vec<u8>,
    /// Whether it came over TLS.
    pub encrypted: bool,
}

/// The largest message, in octets, where [`Limits::size`] does not say.
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
    /// How much a client may ask for. A message is held in memory as a whole: the default allows
    /// [`MAX_MESSAGE`] octets.
    pub limits: Limits,
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
                Accepted::Tls(handshake(driver, &self.tls, &[])?, Tls::implicit_server())
            }
            Mode::StartTls => {
                let server = Server::<ServerGrammar<'_, D>>::new(domain, self.config);
                accept_or_plaintext(driver, server, &self.tls)?
            }
        };
        let limits = Limits { size: Some(self.max_message()), ..self.limits };
        match accepted {
            Accepted::Tls(driver, tls) => {
                self.take(driver, Receiver::<_, D>::new(tls, domain, limits), deliver)
            }
            Accepted::Plaintext(driver, plaintext) => {
                self.take(driver, Receiver::<_, D>::new(plaintext, domain, limits), deliver)
            }
            Accepted::Quit => Ok(()),
        }
    }

    fn max_message(&self) -> usize {
        self.limits.size.unwrap_or(MAX_MESSAGE)
    }

    fn take<S: Socket, C: Channel, D: Dialect>(
        &self,
        mut driver: Driver<'_, S>,
        mut receiver: Receiver<'_, C, D>,
        deliver: &mut dyn Deliver,
    ) -> Result<(), Error> {
        let encrypted = S::ENCRYPTED;
        let mut mail = Mail::default();
        let end = driver.run(&mut receiver, |receiver, event, out| {
            let answer = match event {
                Event::Mail(path) => {
                    mail = Mail { from: path.as_str().to_owned(), encrypted, ..Mail::default() };
                    deliver.sender(path.as_str())
                }
                Event::Recipient(path) => {
                    let answer = deliver.recipient(path.as_str());
                    if answer.is_yes() {
                        mail.to.push(path.as_str().to_owned());
                    }
                    answer
                }
                Event::Body(piece) => {
                    let room = self.max_message().saturating_sub(mail.message.len());
                    mail.message.extend_from_slice(&piece[..piece.len().min(room)]);
                    return Ok(ControlFlow::Continue(()));
                }
                Event::Message { index } => {
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
