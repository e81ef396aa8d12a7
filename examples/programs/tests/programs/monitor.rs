//! The monitor of certificates, with fifty servers.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use starttls::server::Config;
use starttls::{Introduction, Roles, Server};
use starttls_std::accept;
use starttls_std::rustls::{ServerConfig, ServerConnection, StreamOwned};
use test_identity::Identity;
use time::OffsetDateTime;

use crate::common::{Files, PATIENCE, run};

const PROGRAM: &str = env!("CARGO_BIN_EXE_monitor");

/// Serves one connection on a thread. Returns the URL.
fn listen(scheme: &str, serve: impl FnOnce(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    listener.set_nonblocking(true).expect("an option");
    thread::spawn(move || {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            match listener.accept() {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    thread::sleep(Duration::from_millis(10));
                }
                accepted => {
                    let (stream, _) = accepted.expect("a connection");
                    stream.set_nonblocking(false).expect("an option");
                    stream.set_read_timeout(Some(PATIENCE)).expect("an option");
                    return serve(stream);
                }
            }
        }
    });
    format!("{scheme}://127.0.0.1:{port}")
}

/// A server of `P` that upgrades one connection.
fn server<P: Roles>(tls: &Arc<ServerConfig>) -> String
where
    Server<P::Server<'static>>: Send,
{
    let names = Introduction::new("127.0.0.1", *b"abcdefghijklmnopqrst");
    let server = P::server(&names, Config::default()).expect("names");
    let tls = Arc::clone(tls);
    listen(P::PROTOCOL.name, move |stream| {
        // The monitor decides what went wrong.
        if let Ok(mut stream) = accept(stream, server, &tls) {
            let _ = stream.read(&mut [0]);
        }
    })
}

/// A certificate's configuration with the ALPN ids of all protocols.
fn config(identity: &Identity) -> Arc<ServerConfig> {
    let mut config = identity.server();
    let ids = starttls::Protocol::ALL.iter().filter_map(|protocol| protocol.alpn);
    config.alpn_protocols.extend(ids.map(<[u8]>::to_vec));
    Arc::new(config)
}

/// A certificate that is valid for so many days more.
fn valid_for(files: &Files, days: i64) -> Arc<ServerConfig> {
    config(&files.ca.identity_with(["127.0.0.1"], |params| {
        let now = OffsetDateTime::now_utc();
        params.not_before = now - time::Duration::days(100);
        params.not_after = now + time::Duration::days(days) + time::Duration::HOUR;
    }))
}

/// A server of a protocol where TLS comes first.
fn implicit(scheme: &str, tls: &Arc<ServerConfig>) -> String {
    let tls = ServerConnection::new(Arc::clone(tls)).expect("a server");
    listen(scheme, move |stream| {
        let _ = StreamOwned::new(tls, stream).read(&mut [0]);
    })
}

macro_rules! all {
    ([$servers:ident $tls:ident $left:literal] $($module:ident::$Type:ident,)*) => {$(
        let expected = concat!("TLSv1_3, ", $left, " days left");
        $servers.push((server::<starttls::$module::$Type>(&$tls), expected));
        if let Some(scheme) = starttls::$module::$Type::PROTOCOL.implicit_name {
            $servers.push((implicit(scheme, &$tls), expected));
        }
    )*};
}

/// Runs the program. Returns whether it succeeds, and its output in the order of the URLs.
fn monitor(files: &Files, urls: &[&str]) -> (bool, Vec<String>) {
    let (status, said, failed) = run(files.command(PROGRAM).args(urls));
    assert_eq!(failed.is_empty(), status.success(), "{failed}");
    assert_eq!(said.lines().count(), urls.len(), "{said}");
    let line = |url: &&str| {
        let (scheme, address) = url.split_once("://").expect("a URL");
        let lines = said.lines().filter(|line| line.starts_with(&format!("{scheme}://")));
        let found = lines.filter_map(|line| line.split_once(&format!(" at {address}: "))).next();
        found.unwrap_or_else(|| panic!("no {url} in {said}")).1.to_owned()
    };
    (status.success(), urls.iter().map(line).collect())
}

#[test]
fn fifty_servers_in_one_thread() {
    let (files, stranger) = (Files::new(), Files::new());
    let (one, other) = (valid_for(&files, 20), valid_for(&files, 400));
    let mut servers = Vec::new();
    starttls::for_each_protocol!(all [servers one "20"]);
    starttls::for_each_protocol!(all [servers other "400"]);
    assert!(servers.len() > 40, "{}", servers.len());
    let good: Vec<_> = servers.iter().map(|(url, _)| &url[..]).collect();
    let (success, found) = monitor(&files, &good);
    let expected: Vec<_> = servers.iter().map(|(_, expected)| *expected).collect();
    assert_eq!(found, expected);
    assert!(success);

    // The same number again, of which some are not good.
    let mut servers = Vec::new();
    starttls::for_each_protocol!(all [servers one "20"]);
    let good = servers.len();
    let closed = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    let closed = closed.expect("an address");
    let greeted = |mut stream: TcpStream| {
        let _ = stream.write_all(b"220 mx\r\n").and_then(|()| stream.read(&mut [0; 99]));
        let _ = stream.write_all(b"250 mx\r\n").and_then(|()| stream.read(&mut [0; 99]));
    };
    servers.extend([
        (listen("smtp", |mut stream| drop(stream.read(&mut [0]))), "(WaitLonger)"),
        (format!("smtp://{closed}"), "(CheckServer)"),
        (listen("smtp", greeted), "(FindTls)"),
        (server::<starttls::imap::Imap>(&valid_for(&files, -3)), "(RenewCertificate)"),
        (server::<starttls::imap::Imap>(&valid_for(&files, 3)), "TLSv1_3, 3 days left"),
        (server::<starttls::pop3::Pop3>(&config(&stranger.server)), "(TrustAuthority)"),
    ]);
    while servers.len() < 50 {
        servers.push((server::<starttls::ldap::Ldap>(&other), "TLSv1_3, 400 days left"));
    }
    let urls: Vec<_> = servers.iter().map(|(url, _)| &url[..]).collect();
    let start = Instant::now();
    let (success, found) = monitor(&files, &urls);
    assert!(start.elapsed() < Duration::from_secs(30), "one server holds up the others");
    assert!(!success);
    for (n, ((url, expected), found)) in servers.iter().zip(&found).enumerate() {
        match n < good {
            true => assert_eq!(found, expected, "{url}"),
            false => assert!(found.ends_with(expected), "{url}: {found}"),
        }
    }
}

#[test]
fn urls_that_cannot_be_used() {
    let files = Files::new();
    let (status, said, _) = run(files.command(PROGRAM).args(["gopher://localhost"]));
    assert_eq!(said, "gopher://localhost: the scheme is not known\n");
    assert!(!status.success());
    let (status, _, failed) = run(files.command(PROGRAM).args(["localhost"]));
    assert!(!status.success() && failed.contains("RelativeUrl"), "{failed}");
}
