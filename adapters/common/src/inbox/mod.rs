mod deliver;
mod settings;

use std::fmt;
use std::future::{Future, pending, poll_fn};
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Poll, ready};

use rustls::ServerConfig;
use starttls::mail::{Inbound, inbound};
use starttls::smtp::Dialect;
use starttls::{Protocol, Untrusted};

#[cfg(feature = "scram")]
use crate::bad_credentials;
use crate::server::{ServerStream, known, server_handshake};
use crate::spans::{self, Traced};
use crate::{Accept, Asked, Driver, Error, Observer, Peer, PeerTls, Runtime, Taking};

pub use deliver::Deliver;
pub use settings::{InboxSettings, MAX_MESSAGE};

/// The reply to an idle client when the service ends.
const SHUTTING_DOWN: &[u8] = b"421 4.3.2 The service is shutting down, closing\r\n";

/// A server that receives mail, with the I/O of `R`.
pub struct Inbox<R> {
    settings: InboxSettings,
    runtime: PhantomData<fn() -> R>,
}

impl<R> Inbox<R> {
    /// A server with these settings.
    #[must_use]
    pub const fn new(settings: InboxSettings) -> Self {
        Self { settings, runtime: PhantomData }
    }

    /// Receives the mail of one accepted connection until it ends. `address` is the client's, for the
    /// application, if it is known.
    ///
    /// If the future is dropped, the connection closes without a reply. The client may then send the mail
    /// again whose [`deliver`](Deliver::deliver) was running.
    ///
    /// # Errors
    /// Those of the protocol, of TLS and of the network. Mail delivered before the error stays delivered.
    pub async fn receive<D: Dialect, S>(
        &self,
        stream: S,
        address: Option<SocketAddr>,
        deliver: &mut impl Deliver,
        observer: impl Observer + Send,
    ) -> Result<(), Error>
    where
        R: Runtime<S> + Runtime<ServerStream<R, S>>,
        Arc<ServerConfig>: Accept<R, S>,
    {
        self.receive_until::<D, S>(stream, address, deliver, observer, pending()).await
    }

    /// Receives the mail of one accepted connection until it ends or `stop` is ready.
    ///
    /// After `stop`, the client is told that the service closes (421, RFC 5321 §3.8), but only after the
    /// reply to a mail in progress. The caller has to limit how long that may take. If the future is dropped,
    /// the connection closes without a reply.
    ///
    /// # Errors
    /// Those of [`receive`](Self::receive).
    pub async fn receive_until<D: Dialect, S>(
        &self,
        stream: S,
        address: Option<SocketAddr>,
        deliver: &mut impl Deliver,
        observer: impl Observer + Send,
        stop: impl Future<Output = ()>,
    ) -> Result<(), Error>
    where
        R: Runtime<S> + Runtime<ServerStream<R, S>>,
        Arc<ServerConfig>: Accept<R, S>,
    {
        let mut stop = Stop { signal: pin!(stop), came: false };
        let mut inbound = self.settings.inbound::<D>()?;
        let observer = Traced(observer);
        let mut driver = Driver::<S, R>::new(stream, self.settings.timeouts(), observer);
        driver.never_quote();
        let mut talk = Talk::new(&self.settings, address);
        match take(&mut driver, &mut inbound, &mut talk, deliver, &mut stop).await? {
            End::StartTls => {}
            // On the heap, as all that is rarely needed: a connection that waits has room for each future that
            // is awaited in place.
            _ => return Box::pin(driver.close()).await,
        }
        // On the heap, so that connections without TLS do not pay for its size.
        Box::pin(async {
            let mut driver = {
                let early = driver.unread().to_vec();
                let handshake = server_handshake(driver, self.settings.tls(), &early, None);
                let mut handshake = Box::pin(handshake);
                // During a handshake there is no channel for a reply, so the connection just closes.
                let Some(driver) = stop.or(handshake.as_mut()).await else { return Ok(()) };
                Box::new(driver?)
            };
            if !driver.link.tls().is_some_and(|tls| tls.can_bind()) {
                inbound.cannot_bind();
            }
            inbound.encrypted_with(known(&driver))?;
            // State from plaintext must not continue inside TLS: an attacker could have injected it.
            talk = Talk::new(&self.settings, address);
            take(&mut *driver, &mut inbound, &mut talk, deliver, &mut stop).await?;
            Box::pin(driver.close()).await
        })
        .await
    }
}

/// The dialogue with a client, on one channel.
struct Talk<'s> {
    settings: &'s InboxSettings,
    address: Option<SocketAddr>,
    /// The hello of a client in plaintext, before its first mail.
    hello: Option<Box<str>>,
    /// Created only for the first mail event, so that idle connections hold no buffer.
    taking: Option<Box<Taking>>,
}

impl<'s> Talk<'s> {
    const fn new(settings: &'s InboxSettings, address: Option<SocketAddr>) -> Self {
        Self { settings, address, hello: None, taking: None }
    }

    /// Keeps a hello that the server answered before TLS.
    fn hear<D: Dialect>(&mut self, line: Untrusted<'_>) {
        let line = line.as_untrusted_bytes();
        let is_hello = line.split_at_checked(5).is_some_and(|(verb, name)| {
            let is = |hello: &[u8]| verb.eq_ignore_ascii_case(hello);
            let known = if is_lmtp::<D>() { is(b"LHLO ") } else { is(b"EHLO ") || is(b"HELO ") };
            known && !name.trim_ascii().is_empty()
        });
        if is_hello {
            self.hello = Some(Untrusted::new(line).to_string().into());
        }
    }

    /// The mail part of the dialogue.
    fn taking<D: Dialect>(&mut self, tls: Option<&Arc<PeerTls>>) -> &mut Box<Taking> {
        let (room, address, hello) = (self.settings.max_message(), self.address, &mut self.hello);
        self.taking.get_or_insert_with(|| {
            let hello = hello.take();
            let (verb, name) = hello.as_deref().and_then(|hello| hello.split_at_checked(5)).unzip();
            let peer = Peer {
                address,
                hello: name.map(|name| name.trim().to_owned()),
                extended: verb.is_some_and(|verb| !verb.eq_ignore_ascii_case("HELO ")),
                lmtp: is_lmtp::<D>(),
                tls: tls.cloned(),
                user: None,
            };
            Box::new(Taking::new(room, peer))
        })
    }
}

fn is_lmtp<D: Dialect>() -> bool {
    D::PROTOCOL == Protocol::LMTP
}

/// The signal that ends the service. It fires once.
struct Stop<'s, F> {
    signal: Pin<&'s mut F>,
    came: bool,
}

impl<F: Future<Output = ()>> Stop<'_, F> {
    /// The output of `run`, or `None` if the service ends first.
    async fn or<T>(&mut self, mut run: Pin<&mut impl Future<Output = T>>) -> Option<T> {
        poll_fn(|cx| match run.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if self.came => Poll::Ready(None),
            Poll::Pending => {
                ready!(self.signal.as_mut().poll(cx));
                self.came = true;
                Poll::Ready(None)
            }
        })
        .await
    }
}

/// Answers the machine's events with the application's decisions, until the client leaves or starts TLS, or
/// the service ends.
async fn take<R: Runtime<S>, S, D: Dialect>(
    driver: &mut Driver<'_, S, R>,
    inbound: &mut Inbound<'_, D>,
    talk: &mut Talk<'_>,
    deliver: &mut impl Deliver,
    stop: &mut Stop<'_, impl Future<Output = ()>>,
) -> Result<End, Error> {
    let mut out = Vec::new();
    let tls = driver.link.tls().cloned();
    loop {
        let under_way = talk.taking.as_ref().is_some_and(|taking| taking.is_under_way());
        let run = driver.run_discreetly(inbound, Taking::is_credential, |inbound, event, _| {
            if event == inbound::Event::StartTls {
                return Ok(ControlFlow::Break(End::StartTls));
            }
            let taking = match event {
                inbound::Event::Receiver(_) => talk.taking::<D>(tls.as_ref()),
                inbound::Event::Received(line) => {
                    talk.hear::<D>(line);
                    return Ok(ControlFlow::Continue(()));
                }
                inbound::Event::Quit => return Ok(ControlFlow::Break(End::Quit)),
                _ => return Ok(ControlFlow::Continue(())),
            };
            Ok(match taking.take(inbound, event) {
                // A mail has just ended, so the service may end now.
                ControlFlow::Continue(None) if under_way && !taking.is_under_way() => {
                    ControlFlow::Break(End::Mail)
                }
                ControlFlow::Continue(None) => ControlFlow::Continue(()),
                ControlFlow::Continue(Some(asked)) => ControlFlow::Break(End::Asked(asked)),
                ControlFlow::Break(()) => ControlFlow::Break(End::Quit),
            })
        });
        let asked = match under_way {
            true => Some(run.await?),
            false => stop.or(pin!(run)).await.transpose()?,
        };
        let Some(asked) = asked else {
            driver.send(SHUTTING_DOWN).await?;
            return Ok(End::Quit);
        };
        let (asked, taking) = match (asked, &mut talk.taking) {
            (Some(End::Mail), _) => continue,
            (Some(End::Asked(asked)), Some(taking)) => (asked, taking),
            (asked, _) => return Ok(asked.unwrap_or(End::Quit)),
        };
        if matches!(asked, Asked::Piece | Asked::Message) {
            let (mail, piece) = taking.piece();
            let kept = if piece.is_empty() { Ok(()) } else { deliver.keep(mail, piece).await };
            taking.kept(kept);
        }
        let answer = match &asked {
            Asked::Certificate { certificate, authorization } => {
                match deliver.identify(taking.peer(), certificate, authorization).await {
                    Ok(user) => taking.identified(user),
                    Err(answer) => answer,
                }
            }
            Asked::Nothing(answer) => answer.clone(),
            Asked::Login { user, password } => {
                deliver.authenticate(taking.peer(), user, password).await
            }
            #[cfg(feature = "scram")]
            Asked::Stored(user) => {
                let stored = deliver.stored(taking.peer(), user).await;
                if taking.begin(stored, talk.settings)? {
                    driver.link.say(&taking.challenge(inbound)?);
                    continue;
                }
                deliver.proved(taking.peer(), user, false).await;
                bad_credentials()
            }
            #[cfg(feature = "scram")]
            Asked::Proof(is_right) => {
                deliver.proved(taking.peer(), taking.claimed(), *is_right).await;
                if *is_right {
                    driver.link.say(&taking.challenge(inbound)?);
                    continue;
                }
                bad_credentials()
            }
            Asked::Sender => deliver.sender(taking.mail()).await,
            Asked::Recipient(recipient) => deliver.recipient(taking.mail(), recipient).await,
            Asked::Piece => continue,
            Asked::Message => match taking.refusal() {
                Some(refusal) => refusal.clone(),
                None => deliver.deliver(taking.mail()).await,
            },
        };
        if matches!(asked, Asked::Message) {
            spans::received(taking.mail(), &answer);
        }
        out.clear();
        taking.answer(inbound, asked, &answer, &mut out)?;
        driver.link.say(&out);
    }
}

/// Why the loop stopped.
enum End {
    StartTls,
    /// A mail in progress was aborted.
    Mail,
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
