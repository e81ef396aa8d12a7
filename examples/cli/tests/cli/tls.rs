//! Failures of TLS itself, and their messages.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Output;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;
use starttls::Protocol;
use tempfile::TempDir;
use test_identity::rcgen::date_time_ymd;
use test_identity::{Authority, Identity, hello_in_pieces, provider};

use crate::common::{Server, every_scheme, starttls, text};

/// PEM files for one test.
pub(crate) struct Files(TempDir);

impl Files {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    pub(crate) fn with(&self, name: &str, pem: &str) -> String {
        let path: &Path = &self.0.path().join(name);
        fs::write(path, pem).expect("written");
        path.to_str().expect("UTF-8").to_owned()
    }
}

/// Serves implicit TLS for this many connections; each client gets `say`, and its first line ends the connection.
fn serve(config: ServerConfig, say: &'static str, connections: usize) -> (u16, JoinHandle<()>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let config = Arc::new(config);
    let server = thread::spawn(move || {
        for _ in 0..connections {
            let (stream, _) = listener.accept().expect("a connection");
            stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
            let tls = ServerConnection::new(Arc::clone(&config)).expect("a configuration");
            let mut stream = StreamOwned::new(tls, stream);
            let _ = stream.write_all(say.as_bytes());
            let _ = stream.read(&mut [0; 512]);
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    });
    (port, server)
}

/// The protocol with direct TLS on the plaintext port.
fn on_one_port() -> &'static Protocol {
    Protocol::ALL.iter().find(|protocol| protocol.demands_alpn()).expect("one")
}

fn alpn() -> &'static [u8] {
    on_one_port().alpn.expect("an id")
}

fn first_on_one_port(port: u16) -> String {
    format!("{}://localhost:{port}", on_one_port().implicit_name.expect("a scheme"))
}

pub(crate) fn failed(output: &Output, code: i32) -> String {
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{error}{}", text(&output.stdout));
    assert_eq!(error.lines().count(), 1, "{error}");
    error
}

#[test]
fn a_client_certificate_in_every_protocol() {
    let files = Files::new();
    let clients = Authority::new("an authority for clients");
    let (me, stranger) = (clients.identity(["me.example"]), Authority::default().localhost());
    let client_ca = files.with("clients.pem", &clients.pem());
    let (cert, key) = (files.with("me.pem", &me.pem()), files.with("me.key", &me.key_pem()));
    let wrong = (files.with("x.pem", &stranger.pem()), files.with("x.key", &stranger.key_pem()));
    let served = every_scheme();
    // Some wait for a while before they close.
    thread::scope(|scope| {
        for (scheme, backend) in served {
            let login = (&client_ca[..], &wrong, &cert[..], &key[..]);
            scope.spawn(move || demanding(&scheme, backend.as_deref(), login));
        }
    });
}

/// A client without, with a wrong and with the right certificate.
fn demanding(
    scheme: &str,
    backend: Option<&str>,
    (client_ca, wrong, cert, key): (&str, &(String, String), &str, &str),
) {
    let mut arguments = vec![scheme, "--require-tls", "--client-ca", client_ca];
    arguments.extend(backend.iter().flat_map(|address| ["--backend", address]));
    let server = Server::start(&arguments);
    let url = server.url(scheme);
    let probe = |more: &[&str]| {
        starttls(&[&["probe", &url, "--ca", &server.ca, "--json"], more].concat(), b"")
    };
    for login in [&[][..], &["--client-cert", &wrong.0, "--client-key", &wrong.1]] {
        let output = probe(login);
        let error = failed(&output, 5);
        assert!(error.contains("TLS alert"), "{scheme}: {error}");
        assert!(error.contains("with --client-cert"), "{scheme}: {error}");
        let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_ne!(report["error"], Value::Null, "{scheme}");
    }
    let output = probe(&["--client-cert", cert, "--client-key", key]);
    assert_eq!(output.status.code(), Some(0), "{scheme}: {}", text(&output.stderr));
}

#[test]
fn a_client_hello_in_pieces() {
    let server = Server::start(&["smtp"]);
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&server.ca).expect("PEM")).expect("a CA");
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let port: u16 = server.port.parse().expect("a port");
    for early in [0, 1, 1400] {
        let stream = TcpStream::connect(("localhost", port)).expect("connected");
        stream.set_nodelay(true).expect("an option");
        let mut stream = hello_in_pieces(stream, config.clone(), early);
        stream.write_all(b"NOOP\r\n").expect("written");
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).expect("an answer");
        assert_eq!(&answer, b"250 ", "with {early} bytes of it early");
    }
}

#[test]
fn the_application_knows_the_client() {
    let files = Files::new();
    let clients = Authority::new("an authority for clients");
    let me = clients.identity(["me.example"]);
    let client_ca = files.with("clients.pem", &clients.pem());
    let (cert, key) = (files.with("me.pem", &me.pem()), files.with("me.key", &me.key_pem()));
    let mut server = Server::start(&["smtp", "--client-ca", &client_ca, "--client-auth", "asked"]);
    let url = server.url("smtp");
    let send = |more: &[&str]| {
        let arguments = ["send", "--server", &url, "--ca", &server.ca, "--to", "a@b.test"];
        starttls(&[&arguments[..], more].concat(), b"Subject: x\n\nx\n")
    };
    let certified = ["--client-cert", &cert, "--client-key", &key];
    assert_eq!(send(&[]).status.code(), Some(0));
    assert_eq!(send(&certified).status.code(), Some(0));
    let by_certificate = |name: &[&str]| {
        let login = [&certified[..], &["--auth", "external"], name].concat();
        send(&login)
    };
    assert_eq!(by_certificate(&[]).status.code(), Some(0));
    assert_eq!(by_certificate(&["--user", "me.example"]).status.code(), Some(0));
    let error = failed(&by_certificate(&["--user", "you.example"]), 6);
    assert!(error.contains("535 5.7.8"), "{error}");
    let mut lines = (&mut server.output).lines().map_while(Result::ok);
    let mut next = || lines.find(|line| line.starts_with("mail in=")).expect("a mail");
    assert!(!next().contains("certificate="));
    let line = next();
    assert!(line.contains(" by=DATA certificate=\"CN=rcgen self signed cert\" "), "{line}");
    for _ in 0..2 {
        let line = next();
        assert!(line.contains(" by=DATA user=\"me.example\" certificate="), "{line}");
    }
}

#[test]
fn each_command_reports_that_a_certificate_is_required() {
    let files = Files::new();
    let clients = Authority::new("an authority for clients");
    let me = clients.identity(["me.example"]);
    let client_ca = files.with("clients.pem", &clients.pem());
    let (cert, key) = (files.with("me.pem", &me.pem()), files.with("me.key", &me.key_pem()));
    let server = Server::start(&["smtp", "--client-ca", &client_ca]);
    let url = server.url("smtp");
    for command in
        [&["connect", &url, "--linger", "5"][..], &["send", "--server", &url, "--to", "a@b.test"]]
    {
        let with = |more: &[&str]| {
            let arguments = [command, &["--ca", &server.ca], more].concat();
            starttls(&arguments, b"EHLO me\r\nQUIT\r\n")
        };
        let error = failed(&with(&[]), 5);
        assert!(error.contains("certificate_required: it demands a client certificate"), "{error}");
        assert!(error.contains("with --client-cert"), "{error}");
        let output = with(&["--client-cert", &cert, "--client-key", &key]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    }
}

#[test]
fn only_server_output_is_success() {
    let authority = Authority::default();
    let files = Files::new();
    let ca = files.with("ca.pem", &authority.pem());
    let identity = authority.localhost();
    // The client speaks first, and the protocol has no goodbye: the end of TLS is enough.
    for version in [&TLS12, &TLS13] {
        let mut config = identity.server_of(&[version]);
        config.alpn_protocols.push(alpn().to_vec());
        let (port, server) = serve(config, "", 1);
        let output = starttls(&["probe", &first_on_one_port(port), "--ca", &ca], b"");
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        server.join().expect("no panic");
    }
    // Neither a reply nor an end: with TLS 1.3 the result is unknown.
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let mut config = identity.server_of(&[&TLS13]);
    config.alpn_protocols.push(alpn().to_vec());
    let (over, done) = std::sync::mpsc::channel::<()>();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut tls = ServerConnection::new(Arc::new(config)).expect("a configuration");
        while tls.is_handshaking() {
            tls.complete_io(&mut stream).expect("through");
        }
        let _ = done.recv_timeout(Duration::from_secs(20));
    });
    let url = first_on_one_port(port);
    let output = starttls(&["probe", &url, "--ca", &ca], b"");
    over.send(()).expect("it waits");
    let error = failed(&output, 5);
    assert!(error.contains("did not show that it accepts the handshake"), "{error}");
    server.join().expect("no panic");
}

#[test]
fn certificates_in_words() {
    let files = Files::new();
    let authority = Authority::new("the authority");
    let middle = authority.intermediate("the middle");
    let ca = files.with("ca.pem", &authority.pem());
    let expired = authority.identity_with(["localhost"], |params| {
        params.not_after = date_time_ymd(2000, 2, 29);
    });
    let future = authority.identity_with(["localhost"], |params| {
        params.not_before = date_time_ymd(2999, 1, 1);
        params.not_after = date_time_ymd(2999, 2, 1);
    });
    let own = Identity::self_signed(["localhost"], |params| {
        params.is_ca =
            test_identity::rcgen::IsCa::Ca(test_identity::rcgen::BasicConstraints::Unconstrained);
    });
    for (identity, words) in [
        (&expired, "expired at 2000-02-29T00:00:00Z; this machine's clock says 20"),
        (&expired, "accept it with --pin"),
        (&future, "not valid before 2999-01-01T00:00:00Z; this machine's clock says 20"),
        (&future, "check this machine's clock"),
        (
            &authority.identity(["a.example", "b.example"]),
            "not for \"localhost\" but for a.example, b.example.",
        ),
        (&middle.localhost(), "only its own certificate"),
        (&middle.localhost(), "intermediate certificates"),
        (&Authority::new("another").localhost(), "CN=another is neither among them nor trusted"),
        (&own, "a CA certificate as its own"),
    ] {
        let (port, server) = serve(identity.server(), "* OK hello\r\n", 3);
        let url = format!("imaps://localhost:{port}");
        let (output, again) = (
            starttls(&["probe", &url, "--ca", &ca], b""),
            starttls(&["connect", &url, "--ca", &ca], b""),
        );
        for output in [&output, &again] {
            let error = failed(output, 5);
            assert!(error.contains(words), "{words}: {error}");
            assert!(!error.contains("Context") && !error.contains("DnsName"), "{error}");
        }
        assert!(
            text(&output.stdout).contains("verdict: not verified: "),
            "{}",
            text(&output.stdout)
        );
        // A pinned certificate is accepted whatever its content.
        let pin = files.with("pin.pem", &identity.pem());
        let output = starttls(&["probe", &url, "--pin", &pin], b"");
        assert_eq!(output.status.code(), Some(0), "{words}: {}", text(&output.stderr));
        server.join().expect("no panic");
    }
    // In the CA file it is accepted, too, if its name and dates are valid.
    let (port, server) = serve(own.server(), "* OK hello\r\n", 1);
    let file = files.with("own.pem", &own.pem());
    let output = starttls(&["probe", &format!("imaps://localhost:{port}"), "--ca", &file], b"");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    server.join().expect("no panic");
    let (port, server) = serve(authority.localhost().server(), "", 1);
    let output = starttls(&["probe", &format!("imaps://localhost:{port}"), "--pin", &file], b"");
    let error = failed(&output, 5);
    assert!(error.contains("another certificate than the one that is pinned"), "{error}");
    assert!(error.contains("pass that with --pin"), "{error}");
    server.join().expect("no panic");
}

/// A server that answers the ClientHello with these bytes and ends the connection.
fn answering(answer: &'static [u8]) -> (u16, JoinHandle<()>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let server = thread::spawn(move || {
        let (mut stream, _): (TcpStream, _) = listener.accept().expect("a connection");
        let mut hello = BufReader::new(stream.try_clone().expect("a stream"));
        // Reads all of it: unread bytes would turn the end into a reset.
        let mut header = [0; 5];
        hello.read_exact(&mut header).expect("a record");
        let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
        hello.read_exact(&mut vec![0; length]).expect("a ClientHello");
        stream.write_all(answer).expect("written");
    });
    (port, server)
}

#[test]
fn handshakes_in_words() {
    /// A ServerHello of TLS 1.1.
    const OLD: &[u8] = b"\x16\x03\x02\0\x2a\x02\0\0\x26\x03\x02\
        0123456789abcdef0123456789abcdef\0\0\x2f\0";
    for (answer, words) in [
        (&b""[..], "ended the connection without an alert that says why"),
        (
            b"\x15\x03\x01\0\x02\x02\x46",
            "protocol_version: it has no version of TLS in common with us",
        ),
        (
            b"\x15\x03\x03\0\x02\x02\x28",
            "handshake_failure: it has no cipher suite in common with us (it may know only old ones, such as RSA key exchange)",
        ),
        (
            b"\x15\x03\x03\0\x02\x02\x28",
            "If it requires a client certificate, pass one with --client-cert.",
        ),
        (b"\x15\x03\x03\0\x02\x02\x70", "unrecognized_name"),
        (b"\x15\x03\x03\0\x02\x02\x78", "Try --no-alpn"),
        (b"\x15\x03\x03\0\x02\x02\x74", "with --client-cert"),
        (OLD, "TLS 1.0 and 1.1 are obsolete"),
        (b"\x16\x03\x03\0\x04\x0e\0\0\0", "out of order: server hello done"),
    ] {
        let (port, server) = answering(answer);
        let output = starttls(&["probe", &format!("imaps://localhost:{port}")], b"");
        let error = failed(&output, 5);
        assert!(error.contains(words), "{words}: {error}");
        server.join().expect("no panic");
    }
}

#[test]
fn without_alpn() {
    let files = Files::new();
    let authority = Authority::default();
    let ca = files.with("ca.pem", &authority.pem());
    // The server selects no protocol, which direct TLS requires.
    let (port, server) = serve(authority.localhost().server(), "", 1);
    let url = first_on_one_port(port);
    let error = failed(&starttls(&["probe", &url, "--ca", &ca], b""), 5);
    assert!(error.contains("did not choose the ALPN id that "), "{error}");
    server.join().expect("no panic");
    // The server supports only another one.
    let mut config = authority.localhost().server();
    config.alpn_protocols.push(b"another".to_vec());
    let (port, server) = serve(config, "* OK hello\r\n", 3);
    let url = format!("imaps://localhost:{port}");
    let error = failed(&starttls(&["probe", &url, "--ca", &ca], b""), 5);
    assert!(error.contains("no_application_protocol"), "{error}");
    assert!(error.contains("--no-alpn"), "{error}");
    for arguments in [["probe", &url], ["connect", &url]] {
        let output = starttls(&[&arguments[..], &["--ca", &ca, "--no-alpn"]].concat(), b"");
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    }
    server.join().expect("no panic");
}
