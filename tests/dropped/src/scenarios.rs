//! The properties of dropped futures, for every kind of I/O.

use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use rustls::ServerConfig;
use starttls::mail::session::Fate;
use starttls::mail::{Address, Envelope};
use starttls::smtp::{self, Domain, Smtp};
use starttls::{Policy, Protocol, server};
use starttls_common::{
    Accept, Accepted, Answer, ClientTls, Connect, Connection, Deliver, Driver, Error, Inbox,
    InboxSettings, Link, Mail, ReadMessage, Runtime, ServerStream, Settings, Silent, Timeouts,
    Upgraded, accept_implicit, accept_or_plaintext, connect_implicit, open, upgrade_or_plaintext,
};
use test_identity::{Authority, provider};

use crate::{End, drop_after, drop_one, pipe};

type ClientStream<R> = <ClientTls as Connect<R, End>>::Stream;

const MESSAGE: &[u8] = b"Subject: a\r\n\r\nb\r\n";

/// The futures of the kind of I/O `R`.
#[derive(Debug)]
pub struct Scenarios<R> {
    tls: ClientTls,
    server: Arc<ServerConfig>,
    kind: PhantomData<fn() -> R>,
}

impl<R> Default for Scenarios<R> {
    fn default() -> Self {
        let ca = Authority::default();
        Self {
            tls: ClientTls::trusting(ca.roots(), provider()).expect("roots"),
            server: Arc::new(ca.localhost().server()),
            kind: PhantomData,
        }
    }
}

impl<R> Scenarios<R>
where
    R: Runtime<End> + Runtime<ClientStream<R>> + Runtime<ServerStream<R, End>>,
    R: for<'m> ReadMessage<&'m [u8]>,
    ClientTls: Connect<R, End>,
    Arc<ServerConfig>: Accept<R, End>,
{
    /// All of them.
    pub fn run(&self) {
        for dropped in [Role::Client, Role::Server] {
            self.upgrades(dropped);
            self.handshakes(dropped);
        }
        self.openings();
        self.mails();
        self.goodbyes();
        self.receivers();
    }

    /// After an upgrade is dropped, its peer sees no clean end of TLS and does not wait.
    fn upgrades(&self, dropped: Role) {
        let mut closed = 0;
        self.until_done(|polls| {
            let (here, there) = pipe();
            let written = here.written();
            let client = async {
                let machine = smtp::Client::new(Domain::LOCALHOST, Policy::Required);
                let driver = driver::<R>(here);
                match upgrade_or_plaintext(driver, machine, &self.tls, "localhost").await? {
                    Upgraded::Tls(driver, _) => Ok(driver.into_stream()),
                    Upgraded::Plaintext(..) => panic!("TLS is required"),
                }
            };
            let server = async {
                let machine = smtp::Server::new(Domain::LOCALHOST, server::Config::default());
                match accept_or_plaintext(driver::<R>(there), machine, &self.server).await? {
                    Accepted::Tls(driver, _) => Ok(driver.into_stream()),
                    _ => Err(starttls::Error::Closed.into()),
                }
            };
            let done = Self::drop_role(polls, dropped, client, server, &mut closed);
            // Commands, the last perhaps cut off, and only TLS after them.
            let (heard, all) = (written(), &b"EHLO [127.0.0.1]\r\nSTARTTLS\r\n"[..]);
            let (text, tls) = heard.split_at(heard.len().min(all.len()));
            assert!(all.starts_with(text) && records(tls), "{}", heard.escape_ascii());
            done
        });
        assert!(closed > 0, "no TLS was cut off by dropping the {dropped:?}");
    }

    /// The same for implicit TLS.
    fn handshakes(&self, dropped: Role) {
        let mut closed = 0;
        self.until_done(|polls| {
            let (here, there) = pipe();
            let written = here.written();
            let client = async {
                let (policy, protocol) = (Policy::Required, Protocol::SMTP);
                let driver = driver::<R>(here);
                let connected = connect_implicit(driver, &self.tls, "localhost", protocol, policy);
                Ok(connected.await?.0.into_stream())
            };
            let server = async {
                let accepted = accept_implicit(driver::<R>(there), &self.server, Protocol::SMTP);
                Ok(accepted.await?.0.into_stream())
            };
            let done = Self::drop_role(polls, dropped, client, server, &mut closed);
            assert!(records(&written()));
            done
        });
        assert!(closed > 0, "no TLS was cut off by dropping the {dropped:?}");
    }

    /// Drops one of the two after this many polls; returns whether it was ready by then. If the other has TLS, it sees an
    /// unclean end, which is counted.
    fn drop_role(
        polls: usize,
        dropped: Role,
        client: impl Future<Output = Result<ClientStream<R>, Error>>,
        server: impl Future<Output = Result<ServerStream<R, End>, Error>>,
        closed: &mut usize,
    ) -> bool {
        // A completed upgrade drops its stream silently, too.
        let (done, other) = match dropped {
            Role::Client => {
                let read = async { end::<R, _>(server.await?).await };
                drop_one(polls, async { client.await.map(drop) }, read)
            }
            Role::Server => {
                let read = async { end::<R, _>(client.await?).await };
                drop_one(polls, async { server.await.map(drop) }, read)
            }
        };
        match other {
            Ok(Ok(())) => panic!("a clean end after {polls} polls, {done:?}"),
            Ok(Err(_)) => *closed += 1,
            // Before TLS.
            Err(_) => assert!(done.is_none(), "{done:?}"),
        }
        done.is_some_and(|done| done.map(|()| true).expect("TLS"))
    }

    /// A connection dropped while it opens has sent no mail, and its server sees the end.
    fn openings(&self) {
        self.until_done(|polls| {
            let (here, there) = pipe();
            let taken = Taken::default();
            let settings = self.settings();
            let open = async { self.open(here, &settings).await.map(drop) };
            let (done, end) = drop_one(polls, open, self.receive(there, taken.clone()));
            assert!(end.is_err(), "a clean end after {polls} polls");
            assert_eq!(taken.count(), 0);
            done.map(|opened| opened.expect("open")).is_some()
        });
    }

    /// A mail inside TLS: the fate that the connection reports agrees with what the server accepted.
    fn mails(&self) {
        let mut seen = Vec::new();
        self.until_done(|polls| {
            let (here, there) = pipe();
            let (taken, settings) = (Taken::default(), self.settings());
            let mut fate = None;
            let mut done = false;
            let client = async {
                let mut connection = self.open(here, &settings).await.expect("open");
                let to = [Address::new("a@b.test").expect("an address")];
                let envelope = Envelope::new(None, &to).expect("recipients");
                let sent = dropping(polls, connection.send(&envelope, MESSAGE)).await;
                done = sent.is_some();
                assert_eq!(connection.is_open(), done || polls == 0, "after {polls} polls");
                if !done && polls != 0 {
                    let again = connection.send(&envelope, MESSAGE).await;
                    let error = again.expect_err("half a mail was sent before");
                    assert_eq!(error.protocol(), Some(starttls::Error::Closed));
                }
                fate = Some(connection.fate());
            };
            let (_, end) = drop_one(usize::MAX, client, self.receive(there, taken.clone()));
            assert!(end.is_err(), "a clean end after {polls} polls");
            let fate = fate.expect("the client was there");
            assert!(taken.count() == 0 || !fate.is_safe_to_retry(), "{fate:?} after {polls} polls");
            assert!(taken.count() == 1 || fate != Fate::Accepted, "{fate:?} after {polls} polls");
            seen.push(fate);
            done
        });
        seen.dedup();
        assert_eq!(seen, [Fate::NotSent, Fate::Unknown, Fate::Accepted]);
    }

    /// A dropped goodbye revokes no mail; the server's end is clean once it has received the QUIT.
    fn goodbyes(&self) {
        let mut clean = Vec::new();
        self.until_done(|polls| {
            let (here, there) = pipe();
            let (taken, settings) = (Taken::default(), self.settings());
            let mut done = false;
            let client = async {
                let mut connection = self.open(here, &settings).await.expect("open");
                let to = [Address::new("a@b.test").expect("an address")];
                let envelope = Envelope::new(None, &to).expect("recipients");
                assert!(connection.send(&envelope, MESSAGE).await.expect("sent").is_complete());
                done = dropping(polls, connection.quit()).await.is_some();
            };
            let (_, end) = drop_one(usize::MAX, client, self.receive(there, taken.clone()));
            assert_eq!(taken.count(), 1, "after {polls} polls");
            clean.push(end.is_ok());
            done
        });
        clean.dedup();
        assert_eq!(clean, [false, true]);
    }

    /// After a receiver is dropped, its client does not wait, and reports a mail as accepted only if it was.
    fn receivers(&self) {
        let mut seen = Vec::new();
        self.until_done(|polls| {
            let (here, there) = pipe();
            let (taken, settings) = (Taken::default(), self.settings());
            let client = async {
                let mut connection = match self.open(here, &settings).await {
                    Ok(connection) => connection,
                    Err(error) => return (Fate::NotSent, Err(error)),
                };
                let to = [Address::new("a@b.test").expect("an address")];
                let envelope = Envelope::new(None, &to).expect("recipients");
                let sent = connection.send(&envelope, MESSAGE).await;
                let fate = connection.fate();
                if sent.is_err() {
                    assert!(!connection.is_open(), "{sent:?}");
                }
                match sent {
                    Ok(receipt) => {
                        assert!(receipt.is_complete());
                        (fate, connection.quit().await)
                    }
                    Err(error) => {
                        assert_eq!(error.fate(), fate);
                        (fate, Err(error))
                    }
                }
            };
            let receive = self.receive(there, taken.clone());
            let (done, (fate, end)) = drop_one(polls, receive, client);
            assert!(taken.count() == 1 || fate != Fate::Accepted, "{fate:?} after {polls} polls");
            assert!(taken.count() == 0 || !fate.is_safe_to_retry(), "{fate:?} after {polls} polls");
            assert!(done.is_none() || end.is_ok(), "{end:?}");
            seen.push(fate);
            done.map(|done| done.expect("a goodbye")).is_some()
        });
        seen.dedup();
        assert_eq!(seen, [Fate::NotSent, Fate::Unknown, Fate::Accepted]);
    }

    /// Drops the future after 0, 1, 2, ... polls, until it is ready before the drop.
    fn until_done(&self, mut dropped_after: impl FnMut(usize) -> bool) {
        let polls = (0..10_000).find(|polls| dropped_after(*polls)).expect("it completes");
        assert!(polls > 3, "it must wait in several places, but was ready after {polls}");
    }

    fn settings(&self) -> Settings {
        Settings::new("localhost", self.tls.clone())
    }

    async fn open(
        &self,
        stream: End,
        settings: &Settings,
    ) -> Result<Connection<'static, Smtp, R, End, ClientStream<R>>, Error> {
        let opening = settings.opening::<Smtp>("[127.0.0.1]").expect("settings");
        open(driver::<R>(stream), opening, settings).await
    }

    async fn receive(&self, stream: End, mut taken: Taken) -> Result<(), Error> {
        let inbox = Inbox::<R>::new(InboxSettings::new("mx.test", Arc::clone(&self.server)));
        inbox.receive::<Smtp, _>(stream, None, &mut taken, Silent).await
    }
}

/// The side to drop.
#[derive(Clone, Copy, Debug)]
enum Role {
    Client,
    Server,
}

fn driver<R: Runtime<End>>(stream: End) -> Driver<'static, End, R> {
    Driver::new(stream, Timeouts::default(), Silent)
}

/// Polls the inner future this many times, once per own poll, and then drops it.
async fn dropping<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = Box::pin(future);
    for _ in 0..polls {
        if let Some(output) = drop_after(1, future.as_mut()) {
            return Some(output);
        }
        let mut waited = false;
        poll_fn(|_| match std::mem::replace(&mut waited, true) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
    }
    None
}

/// Whether a silent stream ends cleanly.
async fn end<R: Runtime<S>, S>(mut stream: S) -> Result<std::io::Result<()>, Error> {
    let now = R::now();
    let mut link = Link::new(Timeouts::default(), now, Silent);
    let read = R::read(&mut stream, &mut link, now + Duration::from_secs(60)).await;
    Ok(read.map(|came| assert!(came, "it waits forever")))
}

/// Whether these bytes are TLS records, the last perhaps cut off.
fn records(mut octets: &[u8]) -> bool {
    while let [kind, version, rest @ ..] = octets {
        if !matches!(kind, 0x14..=0x17) || *version != 3 {
            return false;
        }
        let [_, high, low, rest @ ..] = rest else { return true };
        octets = rest.get(usize::from(u16::from_be_bytes([*high, *low]))..).unwrap_or_default();
    }
    true
}

/// Counts mails, slowly.
#[derive(Clone, Debug, Default)]
struct Taken(Arc<AtomicUsize>);

impl Taken {
    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Deliver for Taken {
    async fn deliver(&mut self, mail: &Mail) -> Answer {
        assert_eq!(mail.message, MESSAGE);
        let mut polls = 0;
        poll_fn(|_| {
            polls += 1;
            if polls > 3 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        self.0.fetch_add(1, Ordering::Relaxed);
        Answer::new(250, "2.0.0 Taken")
    }
}
