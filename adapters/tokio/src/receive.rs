use std::future::{Future, ready};
use std::ops::ControlFlow;
use std::sync::Arc;

use starttls::mail::{Inbound, inbound};
use starttls::smtp::Dialect;
use starttls_common::{Asked, Taking, bad_credentials};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;

use crate::server::handshake;
use crate::{Answer, Driver, Error, InboxSettings, Mail, Observer};

/// An application that judges and takes the mail that [`Inbox`] receives. While it does, its client waits.
pub trait Deliver: Send {
    /// Whether this is the password of `user`; asked only over TLS, and only where
    /// the settings offer it. By default no user has one.
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
    settings: InboxSettings,
}

impl Inbox {
    /// By these settings.
    #[must_use]
    pub const fn new(settings: InboxSettings) -> Self {
        Self { settings }
    }

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
        observer: impl Observer + Send,
    ) -> Result<(), Error> {
        let mut inbound = self.settings.inbound::<D>()?;
        let mut driver = Driver::new(stream, self.settings.timeouts(), observer);
        driver.link.never_quote();
        let mut taking = None;
        if !take(&mut driver, &mut inbound, &mut taking, deliver, self.max_message()).await? {
            return driver.close().await;
        }
        // On the heap, for connections that never come here.
        Box::pin(async {
            let early = driver.unread().to_vec();
            let acceptor = TlsAcceptor::from(Arc::clone(self.settings.tls()));
            let mut driver = handshake(driver, &acceptor, &early).await?;
            inbound.encrypted()?;
            let room = self.max_message();
            take(&mut driver, &mut inbound, &mut taking, deliver, room).await?;
            driver.close().await
        })
        .await
    }

    fn max_message(&self) -> usize {
        self.settings.max_message()
    }
}

/// Asks the application whatever it is asked, until the client leaves or, which is `true`, wants TLS.
async fn take<S: AsyncRead + AsyncWrite + Unpin, D: Dialect>(
    driver: &mut Driver<'_, S>,
    inbound: &mut Inbound<'_, D>,
    taking: &mut Option<Box<Taking>>,
    deliver: &mut impl Deliver,
    room: usize,
) -> Result<bool, Error> {
    let mut out = Vec::new();
    loop {
        let asked = driver
            .run_discreetly(inbound, Taking::is_credential, |inbound, event, _| {
                if event == inbound::Event::StartTls {
                    return Ok(ControlFlow::Break(End::StartTls));
                }
                // Not before there is something to take.
                let taking = match (&event, &mut *taking) {
                    (inbound::Event::Receiver(_), none @ None) => {
                        none.insert(Box::new(Taking::new(room)))
                    }
                    (_, Some(taking)) => taking,
                    (inbound::Event::Quit, None) => return Ok(ControlFlow::Break(End::Quit)),
                    _ => return Ok(ControlFlow::Continue(())),
                };
                Ok(match taking.take(inbound, event) {
                    ControlFlow::Continue(None) => ControlFlow::Continue(()),
                    ControlFlow::Continue(Some(asked)) => ControlFlow::Break(End::Asked(asked)),
                    ControlFlow::Break(()) => ControlFlow::Break(End::Quit),
                })
            })
            .await?;
        let (asked, taking) = match (asked, &mut *taking) {
            (Some(End::Asked(asked)), Some(taking)) => (asked, taking),
            (Some(End::StartTls), _) => return Ok(true),
            _ => return Ok(false),
        };
        let answer = match &asked {
            Asked::Nothing(answer) => answer.clone(),
            Asked::Login { user, password } => deliver.authenticate(user, password).await,
            Asked::Sender => deliver.sender(&taking.mail().from).await,
            Asked::Recipient(recipient) => deliver.recipient(&recipient.path).await,
            Asked::Message => deliver.deliver(taking.mail()).await,
        };
        out.clear();
        taking.answer(inbound, asked, &answer, &mut out)?;
        driver.link.say(&out);
    }
}

/// Why the machine stopped.
enum End {
    StartTls,
    Asked(Asked),
    Quit,
}
