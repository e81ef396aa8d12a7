//! Ways to a server: proxies, Unix sockets, streams of the application.

use std::sync::Arc;

use starttls::lmtp::Lmtp;
use starttls::mail::{Address, Envelope};
use starttls::smtp::{self, Domain, Smtp};
use starttls::{Policy, server};
use starttls_tokio::{
    Connector, Error, Inbox, Link, Mailer, Proxy, Route, Settings, Silent, Target, Timeouts, Tokio,
    Upgraded, accept, connect_through, upgrade_or_plaintext,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, copy_bidirectional, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::common::{Identity, Kept};
use crate::mail::serve;

/// An HTTP proxy for one connection. The server's greeting leaves in one write with the proxy's reply.
async fn proxy(server: u16) -> (Proxy, JoinHandle<()>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let task = tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.expect("a client");
        let expected =
            format!("CONNECT localhost:{server} HTTP/1.1\r\nHost: localhost:{server}\r\n\r\n");
        let mut request = vec![0; expected.len()];
        client.read_exact(&mut request).await.expect("a request");
        assert_eq!(request, expected.as_bytes());
        let mut server = TcpStream::connect(("127.0.0.1", server)).await.expect("a server");
        let mut reply = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
        server.read_buf(&mut reply).await.expect("a greeting");
        client.write_all(&reply).await.expect("a client");
        // A client that is done may reset its end.
        let _ = copy_bidirectional(&mut client, &mut server).await;
    });
    (Proxy::http("127.0.0.1", port), task)
}

async fn send<C: Connector<Tokio, Stream: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>>(
    mailer: &Mailer<starttls_tokio::ClientTls, C>,
) -> Result<(), Error> {
    let to = [Address::new("a@b.test").expect("an address")];
    let envelope = Envelope::new(None, &to).expect("recipients");
    mailer.send(&envelope, &b"x\r\n"[..]).await.map(drop)
}

#[tokio::test]
async fn a_mail_through_a_proxy() {
    let identity = Identity::new();
    let (server, kept, task) = serve::<Smtp>(identity.inbox()).await;
    let (route, relay) = proxy(server).await;
    let settings = identity.settings(server).with_route(Route::Proxy(route));
    send(&Mailer::new(settings)).await.expect("delivered");
    task.await.expect("no panic").expect("a clean end");
    relay.await.expect("the dialogue");
    assert!(kept.mails()[0].peer.is_encrypted());
}

#[tokio::test]
async fn an_upgrade_through_a_proxy() {
    let identity = Identity::new();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let server = listener.local_addr().expect("bound").port();
    let tls = Arc::clone(&identity.server);
    let task = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a client");
        accept(stream, smtp::Server::new(Domain::LOCALHOST, server::Config::default()), &tls)
            .await
            .map(drop)
    });
    let (route, relay) = proxy(server).await;
    let timeouts = Timeouts::default();
    let driver = connect_through(&route, "localhost", server, &timeouts).await.expect("a tunnel");
    let client = smtp::Client::new(Domain::LOCALHOST, Policy::Required);
    let upgraded = upgrade_or_plaintext(driver, client, &identity.tls, "localhost").await;
    assert!(matches!(upgraded, Ok(Upgraded::Tls(..))));
    task.await.expect("no panic").expect("TLS");
    drop(upgraded);
    relay.await.expect("the dialogue");
}

#[cfg(unix)]
#[tokio::test]
async fn a_mail_over_a_unix_socket() {
    let identity = Identity::new();
    let directory = std::env::temp_dir().join(format!("starttls-tokio-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let path = directory.join("lmtp.sock");
    let listener = tokio::net::UnixListener::bind(&path).expect("a socket");
    let (inbox, kept) = (Inbox::new(identity.inbox()), Kept::default());
    let mut deliver = kept.clone();
    let task = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a client");
        inbox.receive::<Lmtp, _>(stream, None, &mut deliver, Silent).await
    });
    let settings: Settings = identity.settings(24).with_route(Route::Unix(path));
    let to = [Address::new("a@b.test").expect("an address")];
    let envelope = Envelope::new(None, &to).expect("recipients");
    let mailer = Mailer::new(settings);
    mailer.send_as::<Lmtp, _>(&envelope, &b"x\r\n"[..], Silent).await.expect("delivered");
    task.await.expect("no panic").expect("a clean end");
    assert!(kept.mails()[0].peer.is_encrypted());
    std::fs::remove_dir_all(&directory).expect("ours");
    let refused = mailer.send_as::<Lmtp, _>(&envelope, &b"x\r\n"[..], Silent).await;
    assert!(matches!(refused, Err(Error::Io { .. })), "{refused:?}");
}

/// Gives out one end of a pipe; a server is at the other.
struct Pipe(std::sync::Mutex<Option<DuplexStream>>);

impl Connector<Tokio> for Pipe {
    type Stream = DuplexStream;

    async fn connect(&self, target: Target<'_>, _: &mut Link<'_>) -> Result<DuplexStream, Error> {
        assert_eq!((target.host, target.port), ("localhost", 1));
        Ok(self.0.lock().expect("no panic").take().expect("one connection"))
    }
}

#[tokio::test]
async fn streams_of_the_application() {
    let identity = Identity::new();
    for has_connector in [true, false] {
        let (ours, theirs) = duplex(4096);
        let (inbox, kept) = (Inbox::new(identity.inbox()), Kept::default());
        let mut deliver = kept.clone();
        let task = tokio::spawn(async move {
            inbox.receive::<Smtp, _>(theirs, None, &mut deliver, Silent).await
        });
        let mailer = identity.mailer(1);
        if has_connector {
            let pipe = Pipe(Some(ours).into());
            send(&mailer.with_connector(pipe)).await.expect("delivered");
        } else {
            let connection = mailer.connect_over::<Smtp, _>(ours, Silent).await;
            let mut connection = connection.expect("a session");
            let to = [Address::new("a@b.test").expect("an address")];
            let envelope = Envelope::new(None, &to).expect("recipients");
            connection.send(&envelope, &b"x\r\n"[..]).await.expect("delivered");
            connection.quit().await.expect("a goodbye");
        }
        task.await.expect("no panic").expect("a clean end");
        assert_eq!(kept.mails().len(), 1);
    }
}
