//! The system's TLS in the place of rustls.

use std::time::Duration;

use starttls::mail::{Address, Envelope};
use starttls::smtp::Smtp;
use starttls::{Error as Rule, Policy};
use starttls_tokio::{
    Error, Inbox, Mailer, NativeTls, Prompt, Receipt, Settings, Silent, Timeouts,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::common::{Identity, Kept};

fn settings(identity: &Identity, port: u16) -> Settings<NativeTls> {
    let tls = NativeTls::with_ca_pem(identity.pem.as_bytes()).expect("a CA");
    Settings::new("localhost", tls).with_port(port)
}

async fn send(settings: Settings<NativeTls>) -> Result<Receipt, Error> {
    let to = [Address::new("a@b.test").expect("an address")];
    let envelope = Envelope::new(None, &to).expect("recipients");
    Mailer::new(settings).send(&envelope, &b"x\r\n"[..]).await
}

async fn serve(identity: &Identity) -> (u16, Kept, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind(("localhost", 0)).await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (inbox, kept) = (Inbox::new(identity.inbox()), Kept::default());
    let mut deliver = kept.clone();
    let task = tokio::spawn(async move {
        let stream = Prompt::new(listener.accept().await.expect("a client").0).expect("a stream");
        let _ = inbox.receive::<Smtp, _>(stream, &mut deliver, Silent).await;
    });
    (port, kept, task)
}

#[tokio::test]
async fn verified_or_nothing() {
    let (identity, stranger) = (Identity::new(), Identity::new());
    let (port, kept, task) = serve(&identity).await;
    send(settings(&identity, port)).await.expect("delivered");
    task.await.expect("no panic");
    assert!(kept.mails()[0].encrypted);

    let (port, kept, task) = serve(&stranger).await;
    assert!(matches!(send(settings(&identity, port)).await, Err(Error::Tls(_))));
    task.await.expect("no panic");
    assert!(kept.mails().is_empty());

    let (port, kept, task) = serve(&stranger).await;
    let lenient = settings(&identity, port).with_policy(Policy::Opportunistic);
    let failed = send(lenient.clone().with_login(("user", "secret"))).await;
    assert_eq!(failed.expect_err("no password").protocol(), Some(Rule::Unverified));
    task.await.expect("no panic");
    assert!(kept.mails().is_empty());

    let (port, kept, task) = serve(&stranger).await;
    send(lenient.with_port(port)).await.expect("opportunistic");
    task.await.expect("no panic");
    assert!(kept.mails()[0].encrypted);
}

#[tokio::test]
async fn a_handshake_has_an_end() {
    let identity = Identity::new();
    let listener = TcpListener::bind(("localhost", 0)).await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a client");
        stream.write_all(b"220 x\r\n").await.expect("written");
        let mut said = [0; 512];
        assert_ne!(stream.read(&mut said).await.expect("a hello"), 0);
        stream.write_all(b"250-x\r\n250 STARTTLS\r\n").await.expect("written");
        assert_ne!(stream.read(&mut said).await.expect("a request"), 0);
        stream.write_all(b"220 go\r\n").await.expect("written");
        while stream.read(&mut said).await.is_ok_and(|n| n > 0) {}
    });
    let timeouts = Timeouts::new().with_handshake(Duration::from_millis(300));
    let failed = send(settings(&identity, port).with_timeouts(timeouts)).await;
    assert_eq!(failed.expect_err("no TLS").protocol(), Some(Rule::TimedOut));
}
