use std::fmt;
use std::future::{Future, pending, poll_fn, ready};
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

use crate::server::{ServerStream, known, server_handshake};
use crate::spans::{self, Traced};
use crate::{
    Accept, Answer, Asked, Driver, Error, InboxSettings, Mail, Observer, Peer, PeerCertificate,
    PeerTls, Recipient, Runtime, Taking, bad_credentials,
};

/// The reply to an idle client when the service ends.
const SHUTTING_DOWN: &[u8] = b"421 4.3.2 The service is shutting down, closing\r\n";

/// Decides about the mail that an [`Inbox`] receives, and stores it. The client waits for each call.
///
/// ```
/// use starttls_common::{Answer, Deliver, Mail};
///
/// struct Discard;
///
/// impl Deliver for Discard {
///     async fn deliver(&mut self, mail: &Mail) -> Answer {
///         Answer::new(250, format!("2.0.0 {} bytes discarded", mail.size))
///     }
/// }
/// ```
pub trait Deliver: Send {
    /// Checks the password of `user`. By default no password is accepted.
    ///
    /// This is called only over TLS, and only if the settings offer a login. Compare with
    /// [`Secret::matches`](crate::Secret::matches), whose time reveals nothing but the length.
    fn authenticate(
        &mut self,
        peer: &Peer,
        user: &str,
        password: &str,
    ) -> impl Future<Output = Answer> + Send {
        let _ = (peer, user, password);
        ready(bad_credentials())
    }

    /// Returns the user whom the client's certificate identifies. By default every certificate is refused.
    ///
    /// The server's verifier has accepted the certificate. The client wants to act as `authorization`, or as
    /// the certificate's own user if that is empty (`EXTERNAL`, RFC 4422 Appendix A). This is called only if
    /// the settings offer it.
    ///
    /// # Errors
    /// The reply that refuses an unknown client, or one that may not act as `authorization`.
    fn identify(
        &mut self,
        peer: &Peer,
        certificate: &PeerCertificate,
        authorization: &str,
    ) -> impl Future<Output = Result<String, Answer>> + Send {
        let _ = (peer, certificate, authorization);
        ready(Err(bad_credentials()))
    }

    /// Decides whether the mail is accepted, by its sender and by its client. It has no recipients yet.
    /// `mail.from` is empty for delivery status notifications.
    fn sender(&mut self, mail: &Mail) -> impl Future<Output = Answer> + Send {
        let _ = mail;
        ready(Answer::new(250, "2.1.0 Sender ok"))
    }

    /// Decides whether the mail is accepted for this further recipient.
    ///
    /// A temporary refusal, such as 452 4.5.3 for too many recipients, is no mistake of the client.
    fn recipient(
        &mut self,
        mail: &Mail,
        recipient: &Recipient,
    ) -> impl Future<Output = Answer> + Send {
        let _ = (mail, recipient);
        ready(Answer::new(250, "2.1.5 Recipient ok"))
    }

    /// Keeps the next piece of a message, of about 32 KiB at most. By default it is appended to
    /// `mail.message`.
    ///
    /// An application that writes the pieces to a file needs no memory for the message, whatever its size.
    /// The message is complete when [`deliver`](Self::deliver) is called. If [`sender`](Self::sender) is
    /// called before that, or the connection ends, discard it.
    ///
    /// # Errors
    /// The reply to the message, whose rest is discarded: for example 452 4.3.1 if the disk is full.
    fn keep(
        &mut self,
        mail: &mut Mail,
        piece: &[u8],
    ) -> impl Future<Output = Result<(), Answer>> + Send {
        mail.message.extend_from_slice(piece);
        ready(Ok(()))
    }

    /// Accepts a mail. A 2yz reply promises that the mail is stored safely.
    ///
    /// With SMTP this is called once a mail. With LMTP it is called once for each accepted recipient, which
    /// is then the only one in `mail.to`, and each call has its own reply (RFC 2033 §4.2).
    fn deliver(&mut self, mail: &Mail) -> impl Future<Output = Answer> + Send;
}

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
        let mut talk = Talk::new(self.settings.max_message(), address);
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
            inbound.encrypted_with(known(&driver))?;
            // State from plaintext must not continue inside TLS: an attacker could have injected it.
            talk = Talk::new(talk.room, address);
            take(&mut *driver, &mut inbound, &mut talk, deliver, &mut stop).await?;
            Box::pin(driver.close()).await
        })
        .await
    }
}

/// The dialogue with a client, on one channel.
struct Talk {
    /// The limit of a message in memory, in bytes.
    room: usize,
    address: Option<SocketAddr>,
    /// The hello of a client in plaintext, before its first mail.
    hello: Option<Box<str>>,
    /// Created only for the first mail event, so that idle connections hold no buffer.
    taking: Option<Box<Taking>>,
}

impl Talk {
    const fn new(room: usize, address: Option<SocketAddr>) -> Self {
        Self { room, address, hello: None, taking: None }
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
        let (room, address, hello) = (self.room, self.address, &mut self.hello);
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
    talk: &mut Talk,
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
