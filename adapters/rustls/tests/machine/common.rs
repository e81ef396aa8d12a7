//! Certificates, a wire in memory, and the two ends of a mail.

use std::sync::{Arc, LazyLock};

use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ServerConfig, SupportedProtocolVersion};
use starttls::mail::receiver::{self, Limits};
use starttls::mail::{Address, Envelope, Receiver, Session, session};
use starttls::smtp::{self, ClientGrammar, Domain, ServerGrammar, Smtp};
use starttls::{Policy, Tls, server};
use starttls_rustls::{Client, ClientTls, Connection, Engine, Error, Event, Server, Step};
use test_identity::{Authority, provider};

pub(crate) type SmtpClient = Client<ClientGrammar<'static, Smtp>>;
pub(crate) type SmtpServer = Server<ServerGrammar<'static, Smtp>>;

pub(crate) const NAME: Domain<'static> = Domain::LOCALHOST;

pub(crate) static VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// A CA, and a server certificate for `localhost` that it signed.
pub(crate) struct Identity {
    ca: Authority,
    ours: test_identity::Identity,
}

pub(crate) static IDENTITY: LazyLock<Identity> = LazyLock::new(|| Identity::new("us", 1));
pub(crate) static STRANGER: LazyLock<Identity> = LazyLock::new(|| Identity::new("others", 1));

impl Identity {
    /// An identity with a name for the CA and this many names in the certificate.
    pub(crate) fn new(authority: &str, names: usize) -> Self {
        let ca = Authority::new(authority);
        let names = (1..names).map(|n| format!("{n}.example.test"));
        Self { ours: ca.identity(names.chain(["localhost".to_owned()])), ca }
    }

    pub(crate) fn server(&self, version: &'static SupportedProtocolVersion) -> ServerConfig {
        self.ours.server_of(&[version])
    }

    pub(crate) fn client(&self, version: &'static SupportedProtocolVersion) -> ClientConfig {
        self.ca.client(&[version])
    }

    /// Accepts every server, and reports whether it is verified.
    pub(crate) fn lenient(&self, version: &'static SupportedProtocolVersion) -> ClientTls {
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(self.ca.roots()), provider())
                .build()
                .expect("roots");
        ClientTls::lenient(Arc::new(self.client(version)), verifier)
    }
}

pub(crate) fn localhost() -> ServerName<'static> {
    ServerName::try_from("localhost").expect("a name")
}

/// A client of the usual server.
pub(crate) fn client(policy: Policy, tls: &ClientTls) -> SmtpClient {
    Client::new(smtp::Client::new(NAME, policy), tls, localhost())
}

pub(crate) fn strict(version: &'static SupportedProtocolVersion) -> ClientTls {
    ClientTls::new(Arc::new(IDENTITY.client(version)))
}

/// The usual server.
pub(crate) fn server(config: server::Config, tls: ServerConfig) -> SmtpServer {
    Server::new(smtp::Server::new(NAME, config), Arc::new(tls))
}

/// Moves up to `chunk` bytes from a wire. Returns whether there were any.
pub(crate) fn receive<E: Engine>(
    connection: &mut Connection<E>,
    wire: &mut Vec<u8>,
    chunk: usize,
) -> bool {
    let free = connection.receive_buffer();
    let n = chunk.min(free.len()).min(wire.len());
    free[..n].copy_from_slice(&wire[..n]);
    wire.drain(..n);
    connection.received(n);
    n > 0
}

/// Moves up to `chunk` bytes to a wire. Returns whether there were any.
pub(crate) fn send<E: Engine>(
    connection: &mut Connection<E>,
    wire: &mut Vec<u8>,
    chunk: usize,
) -> bool {
    let n = chunk.min(connection.to_send().len());
    wire.extend(&connection.to_send()[..n]);
    connection.sent(n);
    n > 0
}

/// What an end waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    Read,
    Write,
    Over,
}

impl<E> From<Step<E>> for Want {
    fn from(step: Step<E>) -> Self {
        match step {
            Step::Read => Self::Read,
            Step::Write => Self::Write,
            Step::End => Self::Over,
            Step::Event(_) => panic!("an event is acted on"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Job {
    Hello,
    Send,
    Body(usize),
    Quit,
    Over,
}

/// The sending end of one mail.
pub(crate) struct Sender {
    pub(crate) connection: SmtpClient,
    session: Option<Session<Tls>>,
    job: Job,
    message: Vec<u8>,
    pub(crate) log: Vec<String>,
}

impl Sender {
    pub(crate) fn new(connection: SmtpClient, message: &[u8]) -> Self {
        let message = message.to_vec();
        Self { connection, session: None, job: Job::Hello, message, log: Vec::new() }
    }

    /// Continues until it has to wait.
    pub(crate) fn turn(&mut self) -> Result<Want, Error> {
        let to = [Address::new("b@example.test").expect("an address")];
        let envelope = Envelope::new(None, &to).expect("recipients");
        while let Job::Hello | Job::Send | Job::Body(_) | Job::Quit = self.job {
            let connection = &mut self.connection;
            let Some(session) = &mut self.session else {
                match connection.step()? {
                    Step::Event(Event::Established(tls)) => {
                        self.log.push("TLS".into());
                        self.session = Some(Session::new(tls));
                    }
                    Step::Event(event) => self.log.push(format!("{event:?}")),
                    step => return Ok(step.into()),
                }
                continue;
            };
            let step = match self.job {
                Job::Hello => connection.step_with(&mut session.hello(NAME)?)?,
                Job::Send => connection.step_with(&mut session.send(&envelope)?)?,
                Job::Body(at) if at < self.message.len() => {
                    if connection.room() == 0 {
                        return Ok(Want::Write);
                    }
                    let mut rest = &self.message[at..];
                    let mut exchange = session.send(&envelope)?;
                    connection.write_with(|free| exchange.body(&mut rest, free))?;
                    self.job = Job::Body(self.message.len() - rest.len());
                    continue;
                }
                Job::Body(_) => {
                    session.send(&envelope)?.finish()?;
                    self.job = Job::Send;
                    continue;
                }
                Job::Quit => connection.step_with(&mut session.quit()?)?,
                Job::Over => break,
            };
            let Step::Event(event) = step else { return Ok(step.into()) };
            self.log.push(format!("{event:?}"));
            self.job = match (event, self.job) {
                (session::Event::Body(_), _) => Job::Body(0),
                (session::Event::Done(_), Job::Hello) => Job::Send,
                (session::Event::Done(_), Job::Send) => Job::Quit,
                (session::Event::Done(_), _) => Job::Over,
                (_, job) => job,
            };
        }
        Ok(Want::Over)
    }
}

/// The receiving end of one connection.
pub(crate) struct Taker {
    pub(crate) connection: SmtpServer,
    receiver: Option<Receiver<'static, Tls>>,
    pub(crate) log: Vec<String>,
    pub(crate) message: Vec<u8>,
    over: bool,
}

impl Taker {
    pub(crate) fn new(connection: SmtpServer) -> Self {
        Self { connection, receiver: None, log: Vec::new(), message: Vec::new(), over: false }
    }

    pub(crate) fn turn(&mut self) -> Result<Want, Error> {
        while !self.over {
            let connection = &mut self.connection;
            let Some(receiver) = &mut self.receiver else {
                match connection.step()? {
                    Step::Event(Event::Established(tls)) => {
                        self.log.push("TLS".into());
                        self.receiver = Some(Receiver::new(tls, NAME, Limits::default()));
                    }
                    Step::Event(Event::Before(event)) => {
                        self.log.push(format!("{event:?}"));
                        match event {
                            server::Event::UpgradeRequested => connection.accept()?,
                            server::Event::Command(_) => connection.unknown()?,
                            server::Event::Quit => self.over = true,
                            _ => {}
                        }
                    }
                    Step::Event(event) => panic!("not without TLS: {event:?}"),
                    step => return Ok(step.into()),
                }
                continue;
            };
            let step = connection.step_with(receiver)?;
            let Step::Event(event) = step else { return Ok(step.into()) };
            match event {
                // The pieces depend on how the bytes were cut, so they are joined.
                receiver::Event::Body(text) => self.message.extend(text),
                _ => self.log.push(format!("{event:?}")),
            }
            match event {
                receiver::Event::Recipient(_) => {
                    let answer = receiver::Answer::new(250, "2.1.5 by hand").expect("an answer");
                    connection.write_with(|free| receiver.answer(answer, free))?;
                }
                receiver::Event::Mail(_) | receiver::Event::Message { .. } => receiver.accept()?,
                receiver::Event::Quit => {
                    connection.close()?;
                    self.over = true;
                }
                _ => {}
            }
        }
        Ok(Want::Over)
    }
}
