use std::future::{Future, ready};
use std::ops::ControlFlow;
use std::sync::Arc;

use rustls::ServerConfig;
use starttls::mail::Receiver;
use starttls::mail::receiver::Config;
use starttls::smtp::{Dialect, Domain, ServerGrammar};
use starttls::{Channel, Machine, Server, server};
use starttls_std::shared::{Asked, Taking, bad_credentials};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;

use crate::{
    Accepted, Answer, Driver, Error, MAX_MESSAGE, Mail, Mode, Observer, Timeouts, accept_implicit,
    accept_or_plaintext,
};

/// Who judges and takes the mail that [`Inbox`] receives. While it does, its client waits.
pub trait Deliver: Send {
    /// Whether this is the password of `user`; asked only over TLS, and only where
    /// [`Inbox::receiver`] offers it. By default nobody has one.
    fn authenticate(&mut self, user: &str, password: &str) -> impl Future<Output = Answer> + Send {
        let _ = (user, password);
        ready(bad_credentials())
    }

    /// Whether a mail from `path` is welcome; empty for reports about failures.
    fn sender(&mut self, path: &str) -> impl Future<Output = Answer> + Send {
        let _ = path;
        ready(Answer::new(250, "2.1.0 Sender ok"))
    }

    /// Whether `path` is a recipient here.
    fn recipient(&mut self, path: &str) -> impl Future<Output = Answer> + Send {
        let _ = path;
        ready(Answer::new(250, "2.1.5 Recipient ok"))
    }

    /// Takes a mail; 2yz promises that it is safe.
    fn deliver(&mut self, mail: &Mail) -> impl Future<Output = Answer> + Send;
}

/// A server that takes mail; [`serve`](crate::serve) gives it connections.
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
    /// Dropped before it is done, it closes the connection without a word. A mail whose
    /// [`deliver`](Deliver::deliver) was dropped may come again.
    ///
    /// # Errors
    /// Those of the protocol, of TLS and of the network; mail delivered before stays delivered.
    pub async fn receive<D: Dialect, S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
        deliver: &mut impl Deliver,
        observer: &mut (dyn Observer + Send),
    ) -> Result<(), Error> {
        let domain = Domain::new(&self.domain).map_err(Error::argument("the server's name"))?;
        let driver = Driver::new(stream, self.timeouts, observer);
        let acceptor = TlsAcceptor::from(Arc::clone(&self.tls));
        let accepted = match self.mode {
            Mode::Implicit => {
                let (driver, tls) = Box::pin(accept_implicit(driver, &acceptor)).await?;
                Accepted::Tls(driver, tls)
            }
            Mode::StartTls => {
                let server = Server::<ServerGrammar<'_, D>>::new(domain, self.config);
                accept_or_plaintext(driver, server, &acceptor).await?
            }
        };
        // On the heap, for those who never come here.
        Box::pin(self.take::<D, S>(accepted, domain, deliver)).await
    }

    fn max_message(&self) -> usize {
        self.receiver.limits.size.unwrap_or(MAX_MESSAGE)
    }

    async fn take<D: Dialect, S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        accepted: Accepted<'_, S>,
        domain: Domain<'_>,
        deliver: &mut impl Deliver,
    ) -> Result<(), Error> {
        let mut config = self.receiver;
        config.limits.size = Some(self.max_message());
        match accepted {
            Accepted::Tls(driver, tls) => {
                let receiver = Receiver::<_, D>::new(tls, domain, config);
                converse(driver, receiver, Taking::new(true, self.max_message()), deliver).await
            }
            Accepted::Plaintext(driver, plaintext) => {
                let receiver = Receiver::<_, D>::new(plaintext, domain, config);
                converse(driver, receiver, Taking::new(false, self.max_message()), deliver).await
            }
            Accepted::Quit => Ok(()),
        }
    }
}

/// Takes mail to the end of the connection.
async fn converse<S: AsyncRead + AsyncWrite + Unpin, C: Channel, D: Dialect>(
    mut driver: Driver<'_, S>,
    mut receiver: Receiver<'_, C, D>,
    mut taking: Taking,
    deliver: &mut impl Deliver,
) -> Result<(), Error> {
    if let Err(error) = judge(&mut driver, &mut receiver, &mut taking, deliver).await {
        let mut last = vec![0; Receiver::<C, D>::MAX_OUTPUT];
        let written = receiver.farewell(&mut last).unwrap_or_default();
        driver.part(&last[..written]).await;
        return Err(error);
    }
    driver.flush().await?;
    driver.close().await
}

/// Asks the application whatever it is asked, until the client leaves.
async fn judge<S: AsyncRead + AsyncWrite + Unpin, C: Channel, D: Dialect>(
    driver: &mut Driver<'_, S>,
    receiver: &mut Receiver<'_, C, D>,
    taking: &mut Taking,
    deliver: &mut impl Deliver,
) -> Result<(), Error> {
    let mut out = Vec::new();
    loop {
        let asked = driver
            .run(receiver, |receiver, event, _| {
                Ok(match taking.take(receiver, event) {
                    ControlFlow::Continue(None) => ControlFlow::Continue(()),
                    ControlFlow::Continue(asked) => ControlFlow::Break(asked),
                    ControlFlow::Break(()) => ControlFlow::Break(None),
                })
            })
            .await?;
        let Some(asked) = asked.flatten() else {
            return Ok(());
        };
        let answer = match &asked {
            Asked::Nothing(answer) => answer.clone(),
            Asked::Login { user, password } => deliver.authenticate(user, password).await,
            Asked::Sender => deliver.sender(&taking.mail().from).await,
            Asked::Recipient(recipient) => deliver.recipient(&recipient.path).await,
            Asked::Message => deliver.deliver(taking.mail()).await,
        };
        out.clear();
        taking.answer(receiver, asked, &answer, &mut out)?;
        driver.say(&out);
    }
}
