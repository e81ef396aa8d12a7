use std::fmt;
use std::future::{Future, ready};
use std::marker::PhantomData;
use std::ops::ControlFlow;
use std::sync::Arc;

use rustls::ServerConfig;
use starttls::mail::{Inbound, inbound};
use starttls::smtp::Dialect;

use crate::server::{ServerStream, server_handshake};
use crate::{
    Accept, Answer, Asked, Driver, Error, InboxSettings, Mail, Observer, Runtime, Taking,
    bad_credentials,
};

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

/// A server that takes mail, by the kind of I/O `R`.
pub struct Inbox<R> {
    settings: InboxSettings,
    runtime: PhantomData<fn() -> R>,
}

impl<R> Inbox<R> {
    /// By these settings.
    #[must_use]
    pub const fn new(settings: InboxSettings) -> Self {
        Self { settings, runtime: PhantomData }
    }

    /// Takes the mail of one accepted connection, to its end.
    ///
    /// Dropped before it is done, it closes the connection without a word. A mail whose
    /// [`deliver`](Deliver::deliver) was dropped may come again.
    ///
    /// # Errors
    /// Those of the protocol, of TLS and of the network; mail delivered before stays delivered.
    pub async fn receive<D: Dialect, S>(
        &self,
        stream: S,
        deliver: &mut impl Deliver,
        observer: impl Observer + Send,
    ) -> Result<(), Error>
    where
        R: Runtime<S> + Runtime<ServerStream<R, S>>,
        Arc<ServerConfig>: Accept<R, S>,
    {
        let room = self.settings.max_message();
        let mut inbound = self.settings.inbound::<D>()?;
        let mut driver = Driver::<S, R>::new(stream, self.settings.timeouts(), observer);
        driver.never_quote();
        let mut taking = None;
        if !take(&mut driver, &mut inbound, &mut taking, deliver, room).await? {
            return driver.close().await;
        }
        // On the heap, for connections that never come here.
        Box::pin(async {
            let early = driver.unread().to_vec();
            let mut driver = server_handshake(driver, self.settings.tls(), &early, None).await?;
            inbound.encrypted()?;
            take(&mut driver, &mut inbound, &mut taking, deliver, room).await?;
            driver.close().await
        })
        .await
    }
}

/// Asks the application whatever it is asked, until the client leaves or, which is `true`, wants TLS.
async fn take<R: Runtime<S>, S, D: Dialect>(
    driver: &mut Driver<'_, S, R>,
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

impl<R> Clone for Inbox<R> {
    fn clone(&self) -> Self {
        Self::new(self.settings.clone())
    }
}

impl<R> fmt::Debug for Inbox<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").field("settings", &self.settings).finish()
    }
}
