//! A mail server that keeps the mails, refuses some and can close its idle connections.

use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use starttls::smtp::Smtp;
use starttls_tokio::{Answer, Deliver, Inbox, InboxSettings, Mail, Places, Recipient, serve};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::common::Files;

#[derive(Clone, Default)]
pub(crate) struct Kept {
    mails: Arc<Mutex<Vec<Mail>>>,
    /// How many messages were received, how many of the next are refused for a time, and how many milliseconds each
    /// takes.
    pub(crate) begun: Arc<AtomicUsize>,
    pub(crate) refusals: Arc<AtomicUsize>,
    pub(crate) milliseconds: Arc<AtomicUsize>,
    /// How many connections there were, and how many of them the client ended with QUIT.
    pub(crate) connections: Arc<AtomicUsize>,
    pub(crate) goodbyes: Arc<AtomicUsize>,
}

pub(crate) struct Server {
    pub(crate) port: u16,
    pub(crate) kept: Kept,
    close: watch::Sender<()>,
    /// Its tasks end with it.
    _runtime: Runtime,
}

impl Deliver for Kept {
    async fn recipient(&mut self, _: &Mail, recipient: &Recipient) -> Answer {
        match recipient.path.starts_with("no") {
            true => Answer::new(550, "5.1.1 No such user"),
            false => Answer::new(250, "2.1.5 Ok"),
        }
    }

    async fn deliver(&mut self, mail: &Mail) -> Answer {
        self.begun.fetch_add(1, Ordering::SeqCst);
        let milliseconds = self.milliseconds.load(Ordering::SeqCst);
        sleep(Duration::from_millis(milliseconds.try_into().expect("a time"))).await;
        let refuse = |n: usize| n.checked_sub(1);
        if self.refusals.fetch_update(Ordering::SeqCst, Ordering::SeqCst, refuse).is_ok() {
            return Answer::new(451, "4.3.0 Later");
        }
        self.mails.lock().expect("no panic").push(mail.clone());
        Answer::new(250, "2.0.0 Delivered")
    }
}

/// Counts QUIT.
struct Listening(Arc<AtomicUsize>);

impl starttls_tokio::Observer for Listening {
    fn received(&mut self, bytes: &[u8]) {
        if bytes.eq_ignore_ascii_case(b"QUIT\r\n") {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl Server {
    pub(crate) fn new(files: &Files) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let tls = Arc::new(files.server.server());
        let inbox = Inbox::new(InboxSettings::new("localhost", tls));
        let (kept, close) = (Kept::default(), watch::Sender::new(()));
        let (keeping, closing) = (kept.clone(), close.clone());
        runtime.spawn(async move {
            let connection = |stream, peer| {
                keeping.connections.fetch_add(1, Ordering::SeqCst);
                let (inbox, mut kept) = (inbox.clone(), keeping.clone());
                let mut closed = closing.subscribe();
                async move {
                    let stop = async move { drop(closed.changed().await) };
                    let observer = Listening(Arc::clone(&kept.goodbyes));
                    // Some clients are killed.
                    let _ = inbox
                        .receive_until::<Smtp, _>(stream, peer, &mut kept, observer, stop)
                        .await;
                }
            };
            serve(&listener, Places::new(50), pending(), drop, connection).await;
        });
        Self { port, kept, close, _runtime: runtime }
    }

    /// Closes the connections without a mail.
    pub(crate) fn close_idle(&self) {
        self.close.send_replace(());
    }
}

impl Kept {
    pub(crate) fn mails(&self) -> Vec<Mail> {
        self.mails.lock().expect("no panic").clone()
    }

    pub(crate) fn count(counter: &AtomicUsize) -> usize {
        counter.load(Ordering::SeqCst)
    }
}
