//! Certificates, and streams that cut their bytes.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use rustls::{ALL_VERSIONS, ServerConfig};
use starttls::smtp::{self, Domain};
use starttls::{Policy, server};
use starttls_tokio::{
    Answer, ClientTls, Deliver, InboxSettings, Mail, Mailer, Peer, Recipient, Settings,
};
use test_identity::{Authority, provider};
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf, duplex,
};
use tokio::task::yield_now;
use tokio_rustls::TlsConnector;

/// A CA, and a server certificate for `localhost` that it signed.
pub(crate) struct Identity {
    pub(crate) connector: TlsConnector,
    pub(crate) tls: ClientTls,
    pub(crate) server: Arc<ServerConfig>,
    /// The CA's certificate.
    #[cfg_attr(not(feature = "native-tls"), expect(dead_code, reason = "rustls has it as it is"))]
    pub(crate) pem: String,
}

impl Identity {
    pub(crate) fn new() -> Self {
        Self::offering(None)
    }

    /// A server with this ALPN id.
    pub(crate) fn offering(alpn: Option<&[u8]>) -> Self {
        let ca = Authority::default();
        let mut server = ca.localhost().server();
        server.alpn_protocols.extend(alpn.map(<[u8]>::to_vec));
        Self {
            server: Arc::new(server),
            pem: ca.pem(),
            connector: Arc::new(ca.client(ALL_VERSIONS)).into(),
            tls: ClientTls::trusting(ca.roots(), provider()).expect("roots"),
        }
    }

    pub(crate) fn inbox(&self) -> InboxSettings {
        InboxSettings::new("mail.example.test", Arc::clone(&self.server))
    }

    pub(crate) fn settings(&self, port: u16) -> Settings {
        Settings::new("localhost", self.tls.clone()).with_port(port)
    }

    pub(crate) fn mailer(&self, port: u16) -> Mailer {
        Mailer::new(self.settings(port))
    }
}

/// Stores mails after a delay, and refuses recipients whose name begins with "no". Its one user is `user`,
/// the password `secret`.
#[derive(Clone, Default)]
pub(crate) struct Kept(pub(crate) Arc<Mutex<Vec<Mail>>>);

impl Kept {
    pub(crate) fn mails(&self) -> Vec<Mail> {
        self.0.lock().expect("no panic").clone()
    }
}

impl Deliver for Kept {
    async fn authenticate(&mut self, _: &Peer, user: &str, password: &str) -> Answer {
        yield_now().await;
        match (user, password) {
            ("user", "secret") => Answer::new(235, "2.7.0 Welcome"),
            _ => Answer::new(535, "5.7.8 Wrong"),
        }
    }

    async fn recipient(&mut self, _: &Mail, recipient: &Recipient) -> Answer {
        yield_now().await;
        if recipient.path.starts_with("no") {
            Answer::new(550, "5.1.1 No such user")
        } else {
            Answer::new(250, "2.1.5 Recipient ok")
        }
    }

    async fn deliver(&mut self, mail: &Mail) -> Answer {
        yield_now().await;
        let mut mails = self.0.lock().expect("no panic");
        mails.push(mail.clone());
        Answer::new(250, format!("2.0.0 Mail {}", mails.len()))
    }
}

pub(crate) fn client() -> smtp::Client<'static> {
    smtp::Client::new(Domain::LOCALHOST, Policy::Required)
}

pub(crate) fn server() -> smtp::Server<'static> {
    smtp::Server::new(Domain::LOCALHOST, server::Config::default())
}

pub(crate) fn pipe() -> (DuplexStream, DuplexStream) {
    duplex(64 * 1024)
}

/// Reads at most this many bytes at once.
pub(crate) struct Cut<S>(pub(crate) S, pub(crate) usize);

impl<S: AsyncRead + Unpin> AsyncRead for Cut<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self(stream, most) = &mut *self;
        let mut part = buffer.take(*most);
        ready!(Pin::new(stream).poll_read(cx, &mut part))?;
        let (filled, initialized) = (part.filled().len(), part.initialized().to_vec());
        buffer.put_slice(&initialized[..filled]);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Cut<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// Reads until `end` has arrived or the peer has left.
pub(crate) async fn read_to(stream: &mut (impl AsyncRead + Unpin), end: &[u8]) -> Vec<u8> {
    let mut seen = Vec::new();
    while !seen.ends_with(end) {
        match stream.read_u8().await {
            Ok(octet) => seen.push(octet),
            Err(_) => break,
        }
    }
    seen
}

/// The server's part up to the client's STARTTLS.
pub(crate) async fn until_starttls(stream: &mut DuplexStream) {
    stream.write_all(b"220 mail.example.test\r\n").await.expect("written");
    assert!(read_to(stream, b"\r\n").await.starts_with(b"EHLO "));
    stream.write_all(b"250-mail.example.test\r\n250 STARTTLS\r\n").await.expect("written");
    assert_eq!(read_to(stream, b"\r\n").await, b"STARTTLS\r\n");
}

/// Sends a line in each direction.
pub(crate) async fn ping(
    mut here: impl AsyncRead + AsyncWrite + Unpin,
    mut there: impl AsyncRead + AsyncWrite + Unpin,
) {
    here.write_all(b"ping\n").await.expect("written");
    here.flush().await.expect("flushed");
    assert_eq!(read_to(&mut there, b"\n").await, b"ping\n");
    there.write_all(b"pong\n").await.expect("written");
    there.flush().await.expect("flushed");
    assert_eq!(read_to(&mut here, b"\n").await, b"pong\n");
}
