//! The end of the plaintext.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use starttls::smtp::{self, Domain};
use starttls::{Error as Rule, Policy, Verification, server};
use starttls_tokio::{
    Accepted, Driver, Error, Silent, Timeouts, Upgraded, accept, accept_or_plaintext, upgrade,
    upgrade_or_plaintext,
};
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf,
};
use tokio::net::TcpListener;
use tokio::task::{spawn_blocking, yield_now};
use tokio::{join, try_join};

use test_identity::hello_in_pieces;

use crate::common::{Cut, Identity, client, ping, pipe, read_to, server, until_starttls};

#[tokio::test]
async fn a_client_hello_in_pieces() {
    let identity = Identity::new();
    for early in [0, 1, 1400] {
        let listener = TcpListener::bind(("localhost", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let config = ClientConfig::clone(identity.connector.config());
        let client = spawn_blocking(move || {
            let stream = std::net::TcpStream::connect(address).expect("connected");
            stream.set_nodelay(true).expect("an option");
            let mut stream = hello_in_pieces(stream, config, early);
            io::Write::write_all(&mut stream, b"ping\n").expect("written");
            stream
        });
        let stream = listener.accept().await.expect("a client").0;
        let mut stream = accept(stream, server(), &identity.server).await.expect("upgraded");
        let mut ping = [0; 5];
        stream.read_exact(&mut ping).await.expect("a line");
        assert_eq!(&ping, b"ping\n");
        client.await.expect("no panic");
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_after_the_go_ahead_end_it() {
    let identity = Identity::new();
    for garbage in [&b"250 forged\r\n"[..], b"250-AUTH PLAIN", b"\x16"] {
        let (here, mut there) = pipe();
        let (failed, rest) =
            join!(upgrade(here, client(), &identity.connector, "localhost"), async {
                until_starttls(&mut there).await;
                there.write_all(&[b"220 go\r\n", garbage].concat()).await.expect("written");
                let mut rest = Vec::new();
                there.read_to_end(&mut rest).await.map(|_| rest)
            });
        let unread = garbage.len();
        let failed = failed.expect_err("injected");
        assert_eq!(failed.protocol(), Some(Rule::PlaintextAfterGoAhead { unread }));
        assert_eq!(rest.expect("closed"), b"", "the client says nothing more");
    }
}

/// In two reads the later bytes reach TLS, which rejects them.
#[tokio::test(start_paused = true)]
async fn later_plaintext_is_not_tls() {
    let identity = Identity::new();
    for wait_for_hello in [false, true] {
        let (here, mut there) = pipe();
        let (failed, first) =
            join!(upgrade(here, client(), &identity.connector, "localhost"), async {
                until_starttls(&mut there).await;
                there.write_all(b"220 go\r\n").await.expect("written");
                let first = if wait_for_hello {
                    Some(there.read_u8().await.expect("a ClientHello"))
                } else {
                    for _ in 0..10 {
                        yield_now().await;
                    }
                    None
                };
                there.write_all(b"250 forged answer\r\n").await.expect("written");
                let mut rest = Vec::new();
                let _ = there.read_to_end(&mut rest).await;
                first.or(rest.first().copied())
            });
        let failed = failed.expect_err("injected");
        assert!(matches!(failed, Error::Tls(_)), "{failed}");
        assert_eq!(first, Some(0x16));
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_reported_with_its_reason() {
    let identity = Identity::new();
    let (here, mut there) = pipe();
    let (failed, rest) = join!(upgrade(here, client(), &identity.connector, "localhost"), async {
        until_starttls(&mut there).await;
        there.write_all(b"454 4.7.0 TLS is ill\r\n").await.expect("written");
        read_to(&mut there, b"\n").await
    });
    let failed = failed.expect_err("refused");
    assert_eq!(failed.protocol(), Some(Rule::Refused));
    assert!(failed.to_string().ends_with("the peer said: 454 4.7.0 TLS is ill"), "{failed}");
    assert_eq!(rest, b"");
}

#[tokio::test(start_paused = true)]
async fn a_certificate_for_another_name_is_rejected() {
    let identity = Identity::new();
    let (here, there) = pipe();
    let (failed, other) = join!(
        upgrade(here, client(), &identity.connector, "other.test"),
        accept(there, server(), &identity.server),
    );
    let failed = failed.expect_err("another's certificate");
    assert!(matches!(failed, Error::Tls(rustls::Error::InvalidCertificate(_))), "{failed}");
    assert!(std::error::Error::source(&failed).is_some());
    assert!(matches!(other, Err(Error::Tls(rustls::Error::AlertReceived(_)))), "{other:?}");

    let (here, _there) = pipe();
    let failed = upgrade(here, client(), &identity.connector, "no name").await;
    assert!(matches!(failed, Err(Error::Protocol { .. } | Error::Argument { .. })), "{failed:?}");
}

#[tokio::test(start_paused = true)]
async fn an_opportunistic_result_is_reported() {
    let identity = Identity::new();
    let timeouts = Timeouts::default();
    let opportunistic = || smtp::Client::new(Domain::LOCALHOST, Policy::Opportunistic);

    // The server has no TLS: both continue in plaintext, and the next command is not lost.
    let (here, there) = pipe();
    let config = server::Config::default().with_policy(Policy::Opportunistic).with_available(false);
    let machine = smtp::Server::new(Domain::LOCALHOST, config);
    let (ours, theirs) = join!(
        async {
            let driver = Driver::new(here, timeouts, Silent);
            match upgrade_or_plaintext(driver, opportunistic(), &identity.tls, "localhost").await {
                Ok(Upgraded::Plaintext(mut driver, _)) => driver.send(b"MAIL FROM:<>\r\n").await,
                other => panic!("{other:?}"),
            }
        },
        accept_or_plaintext(Driver::new(there, timeouts, Silent), machine, &identity.server),
    );
    ours.expect("sent");
    match theirs.expect("plaintext") {
        Accepted::Plaintext(driver, _) => assert_eq!(driver.unread(), b"MAIL FROM:<>\r\n"),
        other => panic!("{other:?}"),
    }

    // Encrypted, but unverified: a machine that requires TLS rejects it.
    for (name, expected) in
        [("localhost", Verification::Verified), ("other.test", Verification::Unverified)]
    {
        let (here, there) = pipe();
        let driver = Driver::new(here, timeouts, Silent);
        let (upgraded, _) = try_join!(
            upgrade_or_plaintext(driver, opportunistic(), &identity.tls, name),
            accept(there, server(), &identity.server),
        )
        .expect("TLS");
        match upgraded {
            Upgraded::Tls(_, tls) => assert_eq!(tls.verification(), expected),
            other => panic!("{other:?}"),
        }
    }
}

/// A client whose first TLS bytes follow its plaintext in the same write. The first bytes of the answer are
/// plaintext.
struct Hasty {
    stream: DuplexStream,
    first: Vec<u8>,
    skip: usize,
}

impl AsyncRead for Hasty {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.skip > 0 {
            let mut octets = [0; 128];
            let most = self.skip.min(octets.len());
            let mut skipped = ReadBuf::new(&mut octets[..most]);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut skipped))?;
            match skipped.filled().len() {
                0 => return Poll::Ready(Ok(())),
                n => self.skip -= n,
            }
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Hasty {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let first = std::mem::take(&mut self.first);
        let all = [&first[..], octets].concat();
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &all))?;
        assert_eq!(written, all.len(), "the pipe has room");
        Poll::Ready(Ok(octets.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The server has read a part of the early bytes, or all of them.
#[tokio::test(start_paused = true)]
async fn an_early_client_hello_reaches_tls() {
    let identity = Identity::new();
    for cut in (1..60).chain([100, 200, 4096]) {
        let (mut here, there) = pipe();
        let client = async {
            read_to(&mut here, b"\n").await;
            here.write_all(b"EHLO me\r\n").await.expect("written");
            let mut offered = Vec::new();
            while !offered.starts_with(b"250 ") {
                offered = read_to(&mut here, b"\n").await;
            }
            let skip = b"220 2.0.0 Ready to start TLS\r\n".len();
            let hasty = Hasty { stream: here, first: b"STARTTLS\r\n".to_vec(), skip };
            let name = ServerName::try_from("localhost").expect("a name");
            identity.connector.connect(name, hasty).await
        };
        let (client, server) = join!(client, accept(Cut(there, cut), server(), &identity.server));
        ping(client.expect("connected"), server.expect("accepted")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn early_bytes_that_are_not_tls() {
    let identity = Identity::new();
    // The early bytes, and the server's answer: nothing, or an alert.
    for (early, expected) in [
        (&b"MAIL FROM:<>\r\n"[..], &b""[..]),
        (b"\x16\x03\x01\x00\x04\x02\x00\x00\x00", b"\x15\x03\x03"),
    ] {
        let (here, there) = pipe();
        let (failed, answer) = join!(accept(there, server(), &identity.server), async move {
            let mut here = here;
            let hello = [b"EHLO me\r\nSTARTTLS\r\n", early].concat();
            here.write_all(&hello).await.expect("written");
            let mut answer = Vec::new();
            here.read_to_end(&mut answer).await.expect("closed");
            answer
        });
        let failed = failed.expect_err("injected");
        let go_ahead = b"220 2.0.0 Ready to start TLS\r\n";
        let end = answer.windows(go_ahead.len()).position(|window| window == go_ahead);
        let rest = &answer[end.expect("a go-ahead") + go_ahead.len()..];
        if expected.is_empty() {
            let unread = early.len();
            assert_eq!(failed.protocol(), Some(Rule::PlaintextAfterGoAhead { unread }));
            assert_eq!(rest, b"");
        } else {
            assert!(matches!(failed, Error::Tls(_)), "{failed}");
            assert!(rest.starts_with(expected), "{rest:?}");
        }
    }
}
