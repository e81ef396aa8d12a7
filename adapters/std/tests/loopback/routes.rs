//! Ways to a server: proxies, Unix sockets, streams of the application.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
#[cfg(unix)]
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread::{self, JoinHandle};

use starttls::lmtp::Lmtp;
use starttls::mail::{Address, Envelope};
use starttls::smtp::Smtp;
use starttls::{Error as Rule, Policy, nntp};
use starttls_std::{
    Advice, Blocking, Connector, Doing, Error, Inbox, Link, Mailer, Proxy, Route, Settings, Silent,
    Target, Untimed, Upgraded, accept, connect_through, upgrade, upgrade_or_plaintext,
};

use crate::common::{Identity, Kept, listen, quick, send, send_lmtp, serve};

/// A proxy for one connection: each request that it expects, and the reply to it. If it has a port, it then connects
/// there. The server's greeting leaves in one write with the last reply.
fn proxy(dialogue: Vec<(Vec<u8>, Vec<u8>)>, server: Option<u16>) -> (u16, JoinHandle<()>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let task = thread::spawn(move || {
        let (mut client, _) = listener.accept().expect("a client");
        client.set_read_timeout(Some(std::time::Duration::from_secs(20))).expect("a timeout");
        let mut last = Vec::new();
        for (expected, reply) in dialogue {
            client.write_all(&std::mem::replace(&mut last, reply)).expect("a client");
            let mut request = vec![0; expected.len()];
            client.read_exact(&mut request).expect("a request");
            assert_eq!(request.escape_ascii().to_string(), expected.escape_ascii().to_string());
        }
        let Some(port) = server else {
            client.write_all(&last).expect("a client");
            return;
        };
        let mut server = TcpStream::connect(("127.0.0.1", port)).expect("a server");
        let mut greeting = [0; 512];
        let length = server.read(&mut greeting).expect("a greeting");
        last.extend_from_slice(&greeting[..length]);
        client.write_all(&last).expect("a client");
        let (mut from_client, mut to_server) = (client.try_clone(), server.try_clone());
        let up = thread::spawn(move || {
            let (from, to) = (from_client.as_mut().expect("a copy"), to_server.as_mut());
            let to = to.expect("a copy");
            io::copy(from, to).and_then(|_| to.shutdown(Shutdown::Write))
        });
        io::copy(&mut server, &mut client).expect("a client");
        // The client may have closed already.
        let _ = client.shutdown(Shutdown::Write);
        let _ = up.join().expect("no panic");
    });
    (port, task)
}

fn socks(port: u16) -> (Vec<u8>, Vec<u8>) {
    let mut request = b"\x05\x01\x00\x03\x09localhost".to_vec();
    request.extend(port.to_be_bytes());
    (request, b"\x05\x00\x00\x01\x7f\x00\x00\x01\x04\x38".to_vec())
}

fn http(port: u16, more: &str) -> Vec<u8> {
    format!("CONNECT localhost:{port} HTTP/1.1\r\nHost: localhost:{port}\r\n{more}\r\n")
        .into_bytes()
}

fn through(settings: Settings, proxy: Proxy) -> Settings {
    settings.with_route(Route::Proxy(proxy))
}

#[test]
fn a_mail_through_a_socks_proxy_with_a_login() {
    let identity = Identity::new();
    let (server, taken) = serve::<Smtp>(identity.inbox());
    let dialogue = vec![
        (b"\x05\x02\x00\x02".to_vec(), b"\x05\x02".to_vec()),
        (b"\x01\x02me\x06secret".to_vec(), b"\x01\x00".to_vec()),
        socks(server),
    ];
    let (port, relay) = proxy(dialogue, Some(server));
    let route = Proxy::socks5("127.0.0.1", port).with_login("me", "secret");
    send(&through(identity.settings(server), route), &["a@b.test"], b"x\r\n").expect("delivered");
    relay.join().expect("the dialogue");
    let (mails, end) = taken.join().expect("no panic");
    end.expect("a clean end");
    assert!(mails[0].peer.is_encrypted());
}

#[test]
fn a_mail_through_an_http_proxy() {
    let identity = Identity::new();
    let (server, taken) = serve::<Smtp>(identity.inbox());
    let request = http(server, "Proxy-Authorization: Basic bWU6c2VjcmV0\r\n");
    let reply = b"HTTP/1.1 200 Connection established\r\n\r\n".to_vec();
    let (port, relay) = proxy(vec![(request, reply)], Some(server));
    let route = Proxy::http("127.0.0.1", port).with_login("me", "secret");
    send(&through(identity.settings(server), route), &["a@b.test"], b"x\r\n").expect("delivered");
    relay.join().expect("the dialogue");
    assert_eq!(taken.join().expect("no panic").0.len(), 1);
}

/// An error of the proxy names the proxy, and its dialogue is not part of the server's.
#[test]
fn a_proxy_that_refuses() {
    let identity = Identity::new();
    let first = || b"\x05\x01\x00".to_vec();
    let https = || http(25, "");
    for (dialogue, http, kind, advice, part) in [
        (
            vec![(first(), b"\x05\xff".to_vec())],
            false,
            ErrorKind::PermissionDenied,
            Advice::CheckLogin,
            "login",
        ),
        (
            vec![
                (first(), b"\x05\x00".to_vec()),
                (socks(25).0, b"\x05\x02\x00\x01\0\0\0\0\0\0".to_vec()),
            ],
            false,
            ErrorKind::ConnectionRefused,
            Advice::CheckServer,
            "its rules do not allow",
        ),
        (
            vec![
                (first(), b"\x05\x00".to_vec()),
                (socks(25).0, b"\x05\x04\x00\x01\0\0\0\0\0\0".to_vec()),
            ],
            false,
            ErrorKind::HostUnreachable,
            Advice::CheckServer,
            "the host is unreachable",
        ),
        (
            vec![(https(), b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n".to_vec())],
            true,
            ErrorKind::PermissionDenied,
            Advice::CheckLogin,
            "login",
        ),
        (
            vec![(https(), b"HTTP/1.1 403 Forb\x1bidden\r\nX: y\r\n\r\n".to_vec())],
            true,
            ErrorKind::ConnectionRefused,
            Advice::CheckServer,
            "403 Forb\\x1bidden",
        ),
    ] {
        let (port, relay) = proxy(dialogue, None);
        let route =
            if http { Proxy::http("127.0.0.1", port) } else { Proxy::socks5("127.0.0.1", port) };
        let settings = through(identity.settings(25), route);
        let error = send(&settings, &["a@b.test"], b"x\r\n").expect_err("refused");
        relay.join().expect("the dialogue");
        let text = error.to_string();
        assert!(text.starts_with(&format!("proxy 127.0.0.1:{port}: connecting: ")), "{text}");
        assert!(text.contains(part), "{text}");
        assert_eq!(error.advice(), advice, "{text}");
        let Error::Proxy { error, .. } = error else { panic!("{error:?}") };
        assert!(
            matches!(*error, Error::Io { doing: Doing::Connecting, error } if error.kind() == kind),
            "{text}"
        );
    }
}

#[test]
fn a_proxy_that_is_none() {
    let identity = Identity::new();
    let foreign = b"220 mail.example.test ESMTP\r\n".to_vec();
    let (port, relay) = proxy(vec![(b"\x05\x01\x00".to_vec(), foreign)], None);
    let settings = through(identity.settings(25), Proxy::socks5("127.0.0.1", port));
    let error = send(&settings, &["a@b.test"], b"x\r\n").expect_err("no proxy");
    relay.join().expect("the dialogue");
    assert_eq!(error.advice(), Advice::CheckServer, "{error}");
    let Error::Proxy { error, .. } = error else { panic!("{error:?}") };
    assert_eq!(error.protocol(), Some(Rule::Foreign));
    // Nothing listens on the port any more.
    let settings = through(identity.settings(25), Proxy::http("127.0.0.1", port));
    let error = send(&settings, &["a@b.test"], b"x\r\n").expect_err("no proxy");
    assert!(error.to_string().starts_with("proxy 127.0.0.1:"), "{error}");
    assert_eq!(error.advice(), Advice::CheckServer);
}

/// No byte of a host or a login can add to the request; nothing is dialled.
#[test]
fn arguments_are_checked_before_the_proxy_is_dialled() {
    let identity = Identity::new();
    let long = "x".repeat(256);
    for (host, route) in [
        ("a\r\nb", Proxy::http("127.0.0.1", 9)),
        ("a b", Proxy::http("127.0.0.1", 9)),
        ("a\0", Proxy::socks5("127.0.0.1", 9)),
        ("localhost", Proxy::http("127.0.0.1", 9).with_login("a:b", "c")),
        ("localhost", Proxy::http("127.0.0.1", 9).with_login("a\n", "c")),
        ("localhost", Proxy::socks5("127.0.0.1", 9).with_login("", "c")),
        ("localhost", Proxy::socks5("127.0.0.1", 9).with_login(&long, "c")),
        ("localhost", Proxy::socks5("127.0.0.1", 9).with_login("a", &long)),
    ] {
        let settings = through(identity.settings(25).with_host(host).with_name("localhost"), route);
        let error = send(&settings, &["a@b.test"], b"x\r\n").expect_err("invalid");
        assert!(matches!(error, Error::Argument { .. }), "{host:?}: {error}");
    }
}

#[cfg(unix)]
#[test]
fn a_mail_over_a_unix_socket() {
    let identity = Identity::new();
    let directory = tempfile();
    let path = directory.join("lmtp.sock");
    let listener = UnixListener::bind(&path).expect("a socket");
    let inbox = Inbox::new(identity.inbox());
    let taken = thread::spawn(move || {
        let mut kept = Kept::default();
        let (stream, _) = listener.accept().expect("a client");
        inbox.receive::<Lmtp>(stream, &mut kept, Silent).map(|()| kept.0)
    });
    let settings = identity.settings(24).with_route(Route::Unix(path.clone()));
    send_lmtp(&settings, &["a@b.test"], b"x\r\n").expect("delivered");
    let mails = taken.join().expect("no panic").expect("a clean end");
    assert!(mails[0].peer.is_encrypted());
    std::fs::remove_dir_all(&directory).expect("ours");
    let error = send_lmtp(&settings, &["a@b.test"], b"x\r\n").expect_err("no socket");
    assert_eq!(error.advice(), Advice::CheckServer, "{error}");
}

#[cfg(unix)]
fn tempfile() -> std::path::PathBuf {
    let name = format!("starttls-routes-{}", std::process::id());
    let directory = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&directory).expect("a directory");
    directory
}

/// Upgrades in both roles, and a mail, over a stream of which this crate knows nothing but how to read and write.
#[cfg(unix)]
#[test]
fn any_stream_is_upgraded() {
    let identity = Identity::new();
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    let tls = identity.server.clone();
    let server = thread::spawn(move || {
        let config = starttls::server::Config::default();
        let mut stream = accept(Untimed(theirs), nntp::Server::new(config), &tls)?;
        let mut line = [0; 7];
        stream.read_exact(&mut line).expect("a line");
        stream.write_all(&line).expect("a client");
        stream.conn.send_close_notify();
        stream.flush().expect("a client");
        Ok::<_, Error>(())
    });
    let client = nntp::Client::new(Policy::Required);
    let mut stream = upgrade(Untimed(ours), client, &identity.client, "localhost").expect("TLS");
    stream.write_all(b"NOOP \r\n").expect("a server");
    let mut line = [0; 7];
    stream.read_exact(&mut line).expect("an echo");
    assert_eq!(&line, b"NOOP \r\n");
    server.join().expect("no panic").expect("TLS");
}

#[cfg(unix)]
#[test]
fn mails_over_a_stream_of_the_application() {
    let identity = Identity::new();
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    let inbox = Inbox::new(identity.inbox());
    let taken = thread::spawn(move || {
        let mut kept = Kept::default();
        inbox.receive_over::<Smtp, _>(Untimed(theirs), None, &mut kept, Silent).map(|()| kept.0)
    });
    let mailer = identity.mailer(0);
    let mut connection = mailer.connect_over::<Smtp, _>(Untimed(ours), Silent).expect("a session");
    let to = [Address::new("a@b.test").expect("an address")];
    let envelope = Envelope::new(None, &to).expect("recipients");
    connection.send(&envelope, &b"x\r\n"[..]).expect("delivered");
    connection.send(&envelope, &b"y\r\n"[..]).expect("delivered");
    connection.quit().expect("a goodbye");
    // A pipe has no end without its sender's; dropping it is one.
    let mails = taken.join().expect("no panic").expect("a clean end");
    assert_eq!(mails.len(), 2);
}

/// Opens its streams to another port than the settings have.
#[derive(Clone)]
struct Tunnel(u16);

impl Connector<Blocking> for Tunnel {
    type Stream = TcpStream;

    async fn connect(&self, target: Target<'_>, _: &mut Link<'_>) -> Result<TcpStream, Error> {
        assert_eq!((target.host, target.port), ("localhost", 587));
        TcpStream::connect(("127.0.0.1", self.0)).map_err(Error::io(Doing::Connecting))
    }
}

#[test]
fn a_connector_of_the_application() {
    let identity = Identity::new();
    let (port, taken) = serve::<Smtp>(identity.inbox());
    let mailer = Mailer::new(identity.settings(587)).with_connector(Tunnel(port));
    let to = [Address::new("a@b.test").expect("an address")];
    let envelope = Envelope::new(None, &to).expect("recipients");
    mailer.clone().send(&envelope, &b"x\r\n"[..]).expect("delivered");
    let (mails, end) = taken.join().expect("no panic");
    end.expect("a clean end");
    assert_eq!(mails.len(), 1);
}

/// The driver of a proxy has the server's first bytes, so an upgrade in any protocol continues on it.
#[test]
fn an_upgrade_through_a_proxy() {
    let identity = Identity::new();
    let tls = identity.server.clone();
    let (server, taken) = listen(move |stream| {
        let config = starttls::server::Config::default();
        accept(stream, nntp::Server::new(config), &tls).map(drop)
    });
    let reply = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    let (port, relay) = proxy(vec![(http(server, ""), reply)], Some(server));
    let route = Proxy::http("127.0.0.1", port);
    let driver = connect_through(&route, "localhost", server, &quick()).expect("a tunnel");
    let client = nntp::Client::new(Policy::Required);
    let upgraded = upgrade_or_plaintext(driver, client, &identity.client, "localhost");
    let Upgraded::Tls(driver, _) = upgraded.expect("TLS") else { panic!("no TLS") };
    drop(driver);
    taken.join().expect("no panic").expect("TLS");
    relay.join().expect("the dialogue");
}
