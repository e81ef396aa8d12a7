//! Whole mails over loopback.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use starttls::lmtp::Lmtp;
use starttls::mail::message::{Attachment, Mailbox};
use starttls::mail::receiver::{self, Authentication};
use starttls::mail::session::{Command, Fate};
use starttls::mail::{Address, Checked, Envelope, Message};
use starttls::smtp::{Dialect, Smtp};
use starttls::{Error as Rule, Policy, server};
use starttls_tokio::{
    Composed, Error, Inbox, InboxSettings, Mailer, Mode, Observer, Prompt, Receipt, Settings,
    Silent,
};
use tokio::io::{AsyncRead, AsyncReadExt as _, ReadBuf};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::common::{Identity, Kept};

/// Receives the mail of one connection.
pub(crate) async fn serve<D: Dialect + Send + 'static>(
    inbox: InboxSettings,
) -> (u16, Kept, JoinHandle<Result<(), Error>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let kept = Kept::default();
    let mut deliver = kept.clone();
    let task = tokio::spawn(async move {
        let stream = listener.accept().await.expect("a connection").0;
        let stream = Prompt::new(stream).expect("an option");
        Inbox::new(inbox).receive::<D, _>(stream, None, &mut deliver, Silent).await
    });
    (port, kept, task)
}

async fn send<D: Dialect>(
    settings: &Settings,
    to: &[&str],
    message: &[u8],
) -> Result<Receipt, Error> {
    let to: Vec<_> = to.iter().map(|to| Address::new(to).expect("an address")).collect();
    let from = Address::new("me@example.test").expect("an address");
    let envelope = Envelope::new(Some(from), &to).expect("recipients");
    Mailer::new(settings.clone()).send_as::<D, _>(&envelope, message, Silent).await
}

#[tokio::test]
async fn a_mail_over_starttls() {
    let identity = Identity::new();
    let (port, kept, task) = serve::<Smtp>(identity.inbox()).await;
    let body = b"Subject: x\n\n.dots\n..\nend";
    let to = ["a@b.test", "no@b.test", "c@d.test"];
    let receipt = send::<Smtp>(&identity.settings(port), &to, body).await.expect("two take it");
    let codes: Vec<_> = receipt.recipients.iter().map(|answer| answer.code).collect();
    assert_eq!(codes, [250, 550, 250]);
    assert_eq!(receipt.recipients[0].text, "2.0.0 Mail 1");
    task.await.expect("no panic").expect("a clean end");
    let [mail] = &kept.mails()[..] else { panic!("one mail") };
    assert_eq!(
        (&mail.from[..], mail.to.len(), mail.peer.is_encrypted()),
        ("me@example.test", 2, true)
    );
    assert_eq!(mail.message, b"Subject: x\r\n\r\n.dots\r\n..\r\nend\r\n");
}

#[tokio::test]
async fn tls_may_come_first_and_users_log_in() {
    let identity = Identity::new();
    for (password, expected) in [("secret", None), ("wrong", Some((Command::Auth, 535)))] {
        let receiver = receiver::Config::default().with_authentication(Authentication::Required);
        let inbox = identity.inbox().with_mode(Mode::Implicit).with_receiver(receiver);
        let (port, kept, task) = serve::<Smtp>(inbox).await;
        let settings = identity.settings(port).with_mode(Mode::Implicit);
        let settings = settings.with_login(("user", password));
        let rejected = match send::<Smtp>(&settings, &["a@b.test"], b"x\r\n").await {
            Err(Error::Rejected { command, answer, .. }) => Some((command, answer.code)),
            other => other.map(|_| None).expect("delivered"),
        };
        assert_eq!(rejected, expected);
        task.await.expect("no panic").expect("a goodbye");
        let users: Vec<_> = kept.mails().into_iter().map(|mail| mail.peer.user).collect();
        assert_eq!(users.len(), usize::from(expected.is_none()));
        assert!(users.iter().all(|user| user.as_deref() == Some("user")));
    }
}

#[tokio::test]
async fn lmtp_replies_for_each_recipient() {
    let identity = Identity::new();
    let (port, kept, task) = serve::<Lmtp>(identity.inbox()).await;
    let to = ["a@b.test", "no@b.test", "c@d.test"];
    let receipt = send::<Lmtp>(&identity.settings(port), &to, b"x\r\n").await.expect("two take it");
    let said: Vec<_> = receipt.recipients.iter().map(|answer| answer.text.as_str()).collect();
    assert_eq!(said, ["2.0.0 Mail 1", "5.1.1 No such user", "2.0.0 Mail 2"]);
    task.await.expect("no panic").expect("a clean end");
    let to: Vec<_> = kept.mails().iter().map(|mail| mail.to[0].path.clone()).collect();
    assert_eq!(to, ["a@b.test", "c@d.test"]);
}

#[tokio::test]
async fn a_composed_message() {
    let identity = Identity::new();
    let (port, kept, task) = serve::<Smtp>(identity.inbox()).await;
    let from = Address::new("me@example.test").expect("an address");
    let to = [Address::new("a@b.test").expect("an address")];
    let mailboxes = to.map(Mailbox::from);
    let files = [Attachment::new("a/b", "c").expect("a file"); 2];
    let message = Message::new(from.into(), &mailboxes).with_text("text").with_attachments(&files);
    let envelope = Envelope::new(Some(from), &to).expect("recipients");
    let compose = || {
        let large = &[b'x'; 20_000][..];
        Composed::new(&message, vec![Box::new(&b"abc"[..]), Box::new(large)]).expect("two files")
    };
    identity.mailer(port).send(&envelope, compose()).await.expect("delivered");
    task.await.expect("no panic").expect("a clean end");
    let mut all = Vec::new();
    compose().read_to_end(&mut all).await.expect("composed");
    assert_eq!(kept.mails()[0].message, all);
    let text = String::from_utf8(all).expect("ASCII");
    assert!(text.contains("\r\n\r\nYWJj\r\n--=_"), "{text}");
    assert_eq!(text.matches("eHh4").count(), 6666);
    assert!(Composed::new(&message, Vec::new()).is_err());
}

#[tokio::test]
async fn without_tls_only_if_the_policy_says_so() {
    let identity = Identity::new();
    let upgrade =
        server::Config::default().with_policy(Policy::Opportunistic).with_available(false);
    let inbox = identity.inbox().with_upgrade(upgrade);
    for (policy, login, expected) in [
        (Policy::Required, None, Some(Rule::NotOffered)),
        (Policy::Opportunistic, Some(("user", "secret")), Some(Rule::NotOffered)),
        (Policy::Opportunistic, None, None),
    ] {
        let (port, kept, task) = serve::<Smtp>(inbox.clone()).await;
        let mut settings = identity.settings(port).with_policy(policy);
        if let Some(login) = login {
            settings = settings.with_login(login);
        }
        let outcome = send::<Smtp>(&settings, &["a@b.test"], b"x\r\n").await;
        assert_eq!(outcome.err().and_then(|error| error.protocol()), expected);
        let _ = task.await.expect("no panic");
        let encrypted: Vec<_> = kept.mails().iter().map(|mail| mail.peer.is_encrypted()).collect();
        assert_eq!(encrypted, [false][usize::from(expected.is_some())..]);
    }
}

/// Counts how often the client sends after it has received.
#[derive(Default)]
struct Flights {
    count: Arc<AtomicUsize>,
    speaking: bool,
}

impl Observer for Flights {
    fn sent(&mut self, _: &[u8]) {
        if !std::mem::replace(&mut self.speaking, true) {
            self.count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn received(&mut self, _: &[u8]) {
        self.speaking = false;
    }
}

#[tokio::test]
async fn a_mail_takes_two_round_trips() {
    let identity = Identity::new();
    let (port, kept, task) = serve::<Smtp>(identity.inbox()).await;
    let mailer = identity.mailer(port);
    let to = ["a@b.test", "no@b.test", "c@d.test"].map(|to| Address::new(to).expect("an address"));
    let envelope = Envelope::new(None, &to).expect("recipients");
    let mut flights = Flights::default();
    let count = Arc::clone(&flights.count);
    let mut connection = mailer.connect_as::<Smtp>(&mut flights).await.expect("connected");
    for lines in [0, 1, 100, 10_000] {
        let before = count.load(Ordering::Relaxed);
        let message = b"0123456789\r\n".repeat(lines);
        connection.send(&envelope, message.as_slice()).await.expect("delivered");
        assert_eq!(count.load(Ordering::Relaxed) - before, 2, "round trips for {lines} lines");
    }
    let checked = Checked::new(b"Subject: dots\r\n\r\n.\r\n").expect("good lines");
    let before = count.load(Ordering::Relaxed);
    connection.send_checked(&envelope, checked).await.expect("delivered");
    assert_eq!(count.load(Ordering::Relaxed) - before, 2, "round trips of a checked message");
    let refused = [Address::new("no@b.test").expect("an address")];
    let refused = Envelope::new(None, &refused).expect("recipients");
    let refused = connection.send(&refused, &b"x"[..]).await.expect_err("no recipient is accepted");
    assert!(matches!(refused, Error::Rejected { command: Command::Recipient, .. }), "{refused}");
    assert!(connection.is_open());
    connection.quit().await.expect("a goodbye");
    task.await.expect("no panic").expect("a clean end");
    let mails = kept.mails();
    assert_eq!(mails.len(), 5);
    assert_eq!(mails[4].message, checked.as_bytes());
}

/// Returns a line, then nothing forever or an error.
struct Torn {
    said: bool,
    error: bool,
}

impl AsyncRead for Torn {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if !std::mem::replace(&mut self.said, true) {
            buffer.put_slice(b"x\r\n");
            return Poll::Ready(Ok(()));
        }
        if self.error { Poll::Ready(Err(std::io::Error::other("torn"))) } else { Poll::Pending }
    }
}

#[tokio::test]
async fn a_message_whose_reader_fails_reaches_no_recipient() {
    let identity = Identity::new();
    let to = [Address::new("a@b.test").expect("an address")];
    let envelope = Envelope::new(None, &to).expect("recipients");
    for error in [true, false] {
        let (port, kept, task) = serve::<Smtp>(identity.inbox()).await;
        let mailer = identity.mailer(port);
        let mut connection = mailer.connect().await.expect("connected");
        connection.send(&envelope, &b"whole"[..]).await.expect("delivered");
        let mut torn = Torn { said: false, error };
        {
            let mut send = pin!(connection.send(&envelope, &mut torn));
            if error {
                let failed = send.await.expect_err("torn");
                assert_eq!(failed.fate(), Fate::NotAccepted);
                let text = "reading the message: torn; no recipient got the mail";
                assert_eq!(failed.to_string(), text);
            } else {
                // Dropped in the middle of the message.
                for _ in 0..1000 {
                    let ready = poll_fn(|cx| Poll::Ready(send.as_mut().poll(cx).is_ready())).await;
                    assert!(!ready, "the message has no end");
                    tokio::task::yield_now().await;
                }
            }
        }
        assert!(torn.said && !connection.is_open());
        let failed = connection.send(&envelope, &b"x"[..]).await.expect_err("it has ended");
        assert_eq!((failed.fate(), failed.protocol()), (Fate::NotSent, Some(Rule::Closed)));
        assert_eq!(connection.quit().await.expect_err("ended").protocol(), Some(Rule::Closed));
        let end = task.await.expect("no panic").expect_err("no goodbye");
        assert_eq!(end.protocol(), Some(Rule::Closed));
        assert_eq!(kept.mails().len(), 1);
    }
}

/// Everything that runs on a multi-threaded runtime.
#[test]
fn every_future_can_move_between_threads() {
    const fn moves<T: Send>(future: T) -> T {
        future
    }
    let identity = Identity::new();
    let mailer = identity.mailer(1);
    let envelope = Envelope::new(None, &[]);
    assert!(envelope.is_err(), "no recipients");
    let to = [Address::new("a@b.test").expect("an address")];
    let envelope = Envelope::new(None, &to).expect("recipients");
    drop(moves(mailer.send(&envelope, &b""[..])));
    drop(moves(async {
        let mut connection = mailer.connect().await?;
        connection.send(&envelope, &b""[..]).await?;
        connection.quit().await
    }));
}

/// A pool stores connections and moves them between tasks.
const _: () = {
    const fn is_owned<T: Send + 'static>() {}
    is_owned::<starttls_tokio::Connection<'static>>();
};
