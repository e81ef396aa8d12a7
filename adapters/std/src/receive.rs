mod taking;

use std::net::TcpStream;
use std::ops::ControlFlow;
use std::sync::Arc;

use rustls::ServerConfig;
use starttls::mail::Receiver;
use starttls::mail::receiver::Config;
use starttls::smtp::{Dialect, Domain, ServerGrammar};
use starttls::{Channel, Machine, Server, server};

use crate::driver::Driver;
use crate::server::{Accepted, accept_implicit, accept_or_plaintext};
use crate::socket::Socket;
use crate::timeouts::Timeouts;
use crate::{Answer, Error, Mode, Observer};
pub use taking::{Asked, Mail, Recipient, Taking, bad_credentials};

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

/// The largest message, in octets, where [`Limits::size`](starttls::mail::receiver::Limits::size) does not say.
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
        let mut taking = Taking::new(S::ENCRYPTED, self.max_message());
        let end = driver.run(&mut receiver, |receiver, event, out| {
            let asked = match taking.take(receiver, event) {
                ControlFlow::Continue(Some(asked)) => asked,
                ControlFlow::Continue(None) => return Ok(ControlFlow::Continue(())),
                ControlFlow::Break(()) => return Ok(ControlFlow::Break(())),
            };
            let answer = match &asked {
                Asked::Nothing(answer) => answer.clone(),
                Asked::Login { user, password } => deliver.authenticate(user, password),
                Asked::Sender => deliver.sender(&taking.mail().from),
                Asked::Recipient(recipient) => deliver.recipient(&recipient.path),
                Asked::Message => deliver.deliver(taking.mail()),
            };
            taking.answer(receiver, asked, &answer, out)?;
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
