//! Against the blocking adapter, and against itself.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use async_io::Async;
use futures_lite::future::{block_on, zip};
use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};
use rustls::{ClientConfig, ServerConfig};
use starttls::mail::session::Fate;
use starttls::mail::{Address, Envelope};
use starttls::smtp::Smtp;
use starttls::{Error as Rule, Policy, nut, server, smtp};
use starttls_futures::{
    Answer, ClientTls, Deliver, Driver, Error, Inbox, InboxSettings, Mail, Mailer, Pool,
    PoolSettings, Settings, Silent, Timeouts, accept_or_plaintext, upgrade_with,
};
use test_identity::{Authority, hello_in_pieces, provider};

/// A CA, and a server certificate for `localhost` that it signed.
fn identity() -> (ClientTls, Arc<ServerConfig>) {
    let ca = Authority::default();
    let server = Arc::new(ca.localhost().server());
    (ClientTls::trusting(ca.roots(), provider()).expect("roots"), server)
}

fn listen() -> (u16, TcpListener) {
    let listener = TcpListener::bind(("localhost", 0)).expect("a port");
    (listener.local_addr().expect("an address").port(), listener)
}

#[derive(Default)]
struct Kept(Vec<Mail>);

impl Kept {
    fn keep(&mut self, mail: &Mail) -> Answer {
        self.0.push(mail.clone());
        Answer::new(250, "2.0.0 Delivered")
    }
}

impl Deliver for Kept {
    async fn deliver(&mut self, mail: &Mail) -> Answer {
        self.keep(mail)
    }
}

impl starttls_std::Deliver for Kept {
    fn deliver(&mut self, mail: &Mail) -> Answer {
        self.keep(mail)
    }
}

const MESSAGE: &[u8] = b"Subject: x\r\n\r\n.dots\r\n";

fn send(settings: Settings) -> Result<starttls_futures::Receipt, Error> {
    let to = [Address::new("you@example.test").expect("an address")];
    let envelope = Envelope::new(None, &to).expect("recipients");
    block_on(Mailer::new(settings).send(&envelope, MESSAGE))
}

#[test]
fn a_mail_to_the_blocking_adapter() {
    let (tls, server) = identity();
    let (port, listener) = listen();
    let inbox = starttls_std::Inbox::new(InboxSettings::new("mail.example.test", server));
    let taken = thread::spawn(move || {
        let mut kept = Kept::default();
        let (stream, _) = listener.accept().expect("a client");
        inbox.receive::<Smtp>(stream, &mut kept, Silent).map(|()| kept.0)
    });
    let receipt = send(Settings::new("localhost", tls).with_port(port)).expect("delivered");
    assert!(receipt.is_complete());
    let mails = taken.join().expect("no panic").expect("a clean end");
    assert_eq!((mails[0].message.as_slice(), mails[0].peer.is_encrypted()), (MESSAGE, true));
}

#[test]
fn mail_is_received() {
    let (tls, server) = identity();
    let (port, listener) = listen();
    let taken = thread::spawn(move || {
        let inbox = Inbox::new(InboxSettings::new("mail.example.test", server));
        let mut kept = Kept::default();
        let stream = Async::new(listener.accept().expect("a client").0).expect("a stream");
        block_on(inbox.receive::<Smtp, _>(stream, None, &mut kept, Silent)).map(|()| kept.0)
    });
    send(Settings::new("localhost", tls).with_port(port)).expect("delivered");
    assert_eq!(taken.join().expect("no panic").expect("a clean end")[0].message, MESSAGE);
}

#[test]
fn a_pool_has_timers_and_places() {
    let (tls, server) = identity();
    let (port, listener) = listen();
    let inbox = starttls_std::Inbox::new(InboxSettings::new("mail.example.test", server));
    let taken = thread::spawn(move || {
        let mut kept = Kept::default();
        let (stream, _) = listener.accept().expect("a client");
        inbox.receive::<Smtp>(stream, &mut kept, Silent).map(|()| kept.0)
    });
    let settings = Settings::new("localhost", tls).with_port(port);
    let pool = Pool::new(settings, PoolSettings::new().with_connections(1));
    let to = [Address::new("you@example.test").expect("an address")];
    let envelope = Envelope::new(None, &to).expect("recipients");
    let sent = zip(pool.send(&envelope, MESSAGE), pool.send(&envelope, MESSAGE));
    let (first, second) = block_on(sent);
    assert!(first.expect("sent").is_complete() && second.expect("sent").is_complete());
    block_on(pool.shutdown());
    assert_eq!(taken.join().expect("no panic").expect("a clean end").len(), 2);
}

#[test]
fn any_protocol_is_upgraded() {
    let (tls, server) = identity();
    let (port, listener) = listen();
    let stream = TcpStream::connect(("localhost", port)).expect("connected");
    let (here, there) = (
        Async::new(stream).expect("a stream"),
        Async::new(listener.accept().expect("a client").0).expect("a stream"),
    );
    let client = async {
        let client = nut::Client::new(Policy::Required);
        let driver = Driver::new(here, Timeouts::new(), Silent);
        let (mut stream, ()) = upgrade_with(driver, client, &tls, "localhost", |_| ()).await?;
        stream.write_all(b"LIST UPS\r\n").await.expect("written");
        stream.flush().await.expect("sent");
        Ok::<_, Error>(stream)
    };
    let server = async {
        let driver = Driver::new(there, Timeouts::new(), Silent);
        let machine = nut::Server::new(server::Config::default());
        let accepted = accept_or_plaintext(driver, machine, &server).await.expect("accepted");
        let starttls_common::Accepted::Tls(driver, _) = accepted else { panic!("{accepted:?}") };
        let mut said = [0; 10];
        driver.into_stream().read_exact(&mut said).await.expect("received");
        said
    };
    let (client, said) = block_on(zip(client, server));
    client.expect("upgraded");
    assert_eq!(&said, b"LIST UPS\r\n");
}

/// A stream without close_notify, or with a plaintext one from an attacker, ends with an error.
#[test]
fn a_truncated_stream_is_an_error() {
    let (tls, server) = identity();
    for (injected, kind) in [
        (&b""[..], io::ErrorKind::UnexpectedEof),
        (&[21, 3, 3, 0, 2, 1, 0], io::ErrorKind::InvalidData),
        (&[22, 3, 3, 0, 4, 20, 0, 0, 0], io::ErrorKind::InvalidData),
    ] {
        let (port, listener) = listen();
        let stream = TcpStream::connect(("localhost", port)).expect("connected");
        let (here, there) = (
            Async::new(stream).expect("a stream"),
            Async::new(listener.accept().expect("a client").0).expect("a stream"),
        );
        let client = async {
            let client = nut::Client::new(Policy::Required);
            let driver = Driver::new(here, Timeouts::new(), Silent);
            let upgraded = upgrade_with(driver, client, &tls, "localhost", |_| ()).await;
            let (mut stream, ()) = upgraded.expect("upgraded");
            stream.write_all(b"x").await.expect("written");
            stream.flush().await.expect("sent");
            stream.read_to_end(&mut Vec::new()).await.expect_err("no clean end").kind()
        };
        let server = async {
            let driver = Driver::new(there, Timeouts::new(), Silent);
            let machine = nut::Server::new(server::Config::default());
            let accepted = accept_or_plaintext(driver, machine, &server).await.expect("accepted");
            let starttls_common::Accepted::Tls(driver, _) = accepted else {
                panic!("{accepted:?}")
            };
            let mut stream = driver.into_stream();
            stream.read_exact(&mut [0]).await.expect("received");
            stream.get_mut().0.write_all(injected).await.expect("written");
        };
        assert_eq!(block_on(zip(client, server)).0, kind, "{injected:?}");
    }
}

#[test]
fn a_client_hello_in_pieces() {
    let (tls, server) = identity();
    for early in [0, 1, 1400] {
        let (port, listener) = listen();
        let config = ClientConfig::clone(&tls.rustls());
        let client = thread::spawn(move || {
            let stream = TcpStream::connect(("localhost", port)).expect("connected");
            stream.set_nodelay(true).expect("an option");
            let mut stream = hello_in_pieces(stream, config, early);
            std::io::Write::write_all(&mut stream, b"LIST UPS\r\n").expect("written");
            stream
        });
        let stream = Async::new(listener.accept().expect("a client").0).expect("a stream");
        let said = block_on(async {
            let driver = Driver::new(stream, Timeouts::new(), Silent);
            let machine = smtp::Server::new(smtp::Domain::LOCALHOST, server::Config::default());
            let accepted = accept_or_plaintext(driver, machine, &server).await.expect("accepted");
            let starttls_common::Accepted::Tls(driver, _) = accepted else {
                panic!("{accepted:?}")
            };
            let mut said = [0; 10];
            driver.into_stream().read_exact(&mut said).await.expect("received");
            said
        });
        assert_eq!(&said, b"LIST UPS\r\n", "with {early} bytes of it early");
        client.join().expect("no panic");
    }
}

#[test]
fn silence_has_an_end() {
    let (tls, _) = identity();
    let (port, listener) = listen();
    let timeouts = Timeouts::new().with_wait(Duration::from_millis(200));
    let begun = Instant::now();
    let failed = send(Settings::new("localhost", tls).with_port(port).with_timeouts(timeouts));
    let error = failed.expect_err("nothing is said");
    assert_eq!((error.protocol(), error.fate()), (Some(Rule::TimedOut), Fate::NotSent));
    assert!(begun.elapsed() >= Duration::from_millis(200));
    drop(listener);
}

#[test]
fn the_client_s_certificate_reaches_the_application() {
    let (authority, clients) = (Authority::default(), Authority::new("an authority for clients"));
    let me = clients.identity(["me.example"]);
    let config = authority.localhost().server_demanding(&clients, rustls::ALL_VERSIONS);
    let tls = ClientTls::trusting(authority.roots(), provider()).expect("roots");
    let known = tls.clone().with_client_cert_pem(me.pem().as_bytes(), me.key_pem().as_bytes());
    for (tls, certified) in [(known.expect("a certificate"), true), (tls, false)] {
        let (port, listener) = listen();
        let server = Arc::new(config.clone());
        let taken = thread::spawn(move || {
            let inbox = Inbox::new(InboxSettings::new("mail.example.test", server));
            let mut kept = Kept::default();
            let stream = Async::new(listener.accept().expect("a client").0).expect("a stream");
            block_on(inbox.receive::<Smtp, _>(stream, None, &mut kept, Silent)).map(|()| kept.0)
        });
        let sent = send(Settings::new("localhost", tls).with_port(port));
        let taken = taken.join().expect("no panic");
        match certified {
            true => {
                sent.expect("delivered");
                let mails = taken.expect("a clean end");
                let certificate = mails[0].peer.certificate().expect("a certificate");
                assert_eq!(certificate.names(), ["me.example"]);
                assert_eq!(certificate.der(), &me.der()[..]);
            }
            false => {
                let error = sent.expect_err("no certificate");
                assert!(error.to_string().contains("certificate_required"), "{error}");
                assert!(matches!(taken, Err(Error::Tls(_))));
            }
        }
    }
}
