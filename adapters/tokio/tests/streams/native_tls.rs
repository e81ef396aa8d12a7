//! The system's TLS instead of rustls.

use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use starttls::mail::{Address, Envelope};
use starttls::smtp::Smtp;
use starttls::{Error as Rule, Policy, Protocol, Tls};
use starttls_tokio::{
    Driver, Error, Inbox, Mailer, NativeTls, Prompt, Receipt, Settings, Silent, Timeouts,
    accept_implicit, connect_implicit, handshake,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
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
        let _ = inbox.receive::<Smtp, _>(stream, None, &mut deliver, Silent).await;
    });
    (port, kept, task)
}

#[tokio::test]
async fn verified_or_nothing() {
    let (identity, stranger) = (Identity::new(), Identity::new());
    let (port, kept, task) = serve(&identity).await;
    send(settings(&identity, port)).await.expect("delivered");
    task.await.expect("no panic");
    assert!(kept.mails()[0].peer.is_encrypted());

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
    assert!(kept.mails()[0].peer.is_encrypted());
}

/// Each side's view of a connection with implicit TLS.
async fn implicit(
    identity: &Identity,
    protocol: Protocol,
    known: Vec<Vec<u8>>,
    offers: bool,
) -> (Result<Tls, Error>, Result<Tls, Error>) {
    let mut config = ServerConfig::clone(&identity.server);
    config.alpn_protocols = known;
    let (ours, theirs) = duplex(1 << 16);
    let server = async {
        let driver = Driver::new(theirs, Timeouts::default(), Silent);
        accept_implicit(driver, &Arc::new(config), protocol).await
    };
    let client = async {
        let driver = Driver::new(ours, Timeouts::default(), Silent);
        let tls = NativeTls::with_ca_pem(identity.pem.as_bytes()).expect("a CA");
        if offers {
            return connect_implicit(driver, &tls, "localhost", protocol, Policy::Required).await;
        }
        let shaken = handshake(driver, &tls, "localhost", None, Policy::Required).await?;
        Ok((shaken.stream, Tls::implicit(Policy::Required, shaken.verification)?))
    };
    // Neither side closes before both are done.
    let (client, server) = tokio::join!(client, server);
    (client.map(|(_, tls)| tls), server.map(|(_, tls)| tls))
}

#[tokio::test]
async fn implicit_tls_checks_a_demanded_alpn_id_on_both_sides() {
    let identity = Identity::new();
    let demanding = *Protocol::ALL.iter().find(|protocol| protocol.demands_alpn()).expect("one");
    let other = *Protocol::ALL.iter().find(|protocol| !protocol.demands_alpn()).expect("one");
    let id = vec![demanding.alpn.expect("an id").to_vec()];
    let (client, server) = implicit(&identity, demanding, id.clone(), true).await;
    assert!(client.is_ok() && server.is_ok(), "{client:?} {server:?}");
    let (client, server) = implicit(&identity, other, vec![], true).await;
    assert!(client.is_ok() && server.is_ok(), "{client:?} {server:?}");
    // The server chooses none.
    let (client, _) = implicit(&identity, demanding, vec![], true).await;
    let error = client.expect_err("no ALPN").to_string();
    assert!(error.contains("did not choose the ALPN id"), "{error}");
    // The client offers none.
    let (_, server) = implicit(&identity, demanding, id, false).await;
    assert_eq!(server.expect_err("no ALPN").protocol(), Some(Rule::Foreign));
}

#[tokio::test]
async fn a_handshake_times_out() {
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
