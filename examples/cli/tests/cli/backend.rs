//! TLS in front of a server without TLS.

use std::io::{BufRead as _, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Stdio;
use std::thread::{self, JoinHandle};

use serde::Deserialize;

use crate::common::{Server, at_start, scripted_as, scripted_backend, starttls, text};

/// A plaintext server for one connection after the one at the start: sends `greeting`, then `ok` to each line, until it has
/// answered QUIT or its client closed. Returns its input.
pub(crate) fn plaintext(greeting: &'static str, ok: &'static str) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let server = thread::spawn(move || {
        at_start(&listener);
        let (mut stream, _) = listener.accept().expect("a connection");
        stream.write_all(greeting.as_bytes()).expect("written");
        let mut heard = Vec::new();
        let mut octet = [0];
        while !heard.ends_with(b"QUIT\r\n") && matches!(stream.read(&mut octet), Ok(1..)) {
            heard.push(octet[0]);
            if heard.ends_with(b"\r\n") {
                let _ = stream.write_all(ok.as_bytes());
            }
        }
        text(&heard)
    });
    (address, server)
}

const GREETING: &str = "220-mx.behind.test\r\n220-is not there\r\n220 for everybody\r\n";

#[test]
fn the_client_sees_one_greeting() {
    for (protocol, answers) in [
        // After STARTTLS a server does not greet again.
        ("smtp", "250-a\r\n250 b\r\n".repeat(2)),
        ("lmtp", "250-a\r\n250 b\r\n".repeat(2)),
        ("smtps", format!("{GREETING}{}", "250-a\r\n250 b\r\n".repeat(2))),
    ] {
        let (address, backend) = plaintext(GREETING, "250-a\r\n250 b\r\n");
        let server = Server::start(&[protocol, "--backend", &address, "--require-tls"]);
        let url = server.url(protocol);
        let arguments = ["connect", &url, "--ca", &server.ca, "--linger", "60"];
        let output = starttls(&arguments, b"EHLO me.test\r\nQUIT\r\n");
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert_eq!(text(&output.stdout), answers, "{protocol}");
        // No byte of the plaintext phase reached the backend.
        assert_eq!(backend.join().expect("no panic"), "EHLO me.test\r\nQUIT\r\n");
    }
}

#[test]
fn a_mail_to_the_backend() {
    let inbox = tempfile::tempdir().expect("a directory");
    let deliver = inbox.path().to_str().expect("UTF-8");
    let mut backend = Server::start(&["smtp", "--deliver", deliver]);
    let address = format!("127.0.0.1:{}", backend.port);
    let front = Server::start(&["smtp", "--backend", &address, "--require-tls"]);
    let url = front.url("smtp");
    let message = "x\r\n".repeat(1 << 20);
    let arguments = ["send", "--server", &url, "--ca", &front.ca, "--to", "c@d.test"];
    let output = starttls(&arguments, message.as_bytes());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let mut line = String::new();
    backend.output.read_line(&mut line).expect("a line");
    assert!(line.contains(&format!("octets={} channel=plaintext", message.len())), "{line}");
}

/// The replies to a client that sends `input` and then only reads.
pub(crate) fn said_to(port: &str, input: &str) -> String {
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).expect("connected");
    stream.write_all(input.as_bytes()).expect("written");
    stream.shutdown(Shutdown::Write).expect("closed");
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    text(&said)
}

#[test]
fn an_unreachable_backend() {
    let free = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = free.local_addr().expect("an address").to_string();
    drop(free);
    const DOWN: &str = "421 4.3.2 The backend server is not available, closing\r\n";
    let server = Server::start(&["smtp", "--backend", &address]);
    assert_eq!(said_to(&server.port, ""), DOWN);
    let server = Server::start(&["smtps", "--backend", &address]);
    let output = starttls(&["connect", &server.url("smtps"), "--ca", &server.ca], b"");
    assert_eq!(text(&output.stdout), DOWN);

    for (greeting, expected) in [
        ("554-no\r\n554 never\r\n", "554-no\r\n554 never\r\n"),
        ("421 later\r\n", "421 later\r\n"),
        ("nonsense\r\n", DOWN),
        ("220-never\r\nended\r\n", DOWN),
    ] {
        let (address, backend) = plaintext(greeting, "");
        let server = Server::start(&["smtp", "--backend", &address]);
        assert_eq!(said_to(&server.port, ""), expected, "{greeting}");
        assert_eq!(backend.join().expect("no panic"), "");
    }
}

#[test]
fn a_plaintext_client_is_introduced_to_the_backend() {
    for (answers, expected) in [
        (&["250 x\r\n", "250 sender\r\n"][..], "250 sender\r\n"),
        (&["502 x\r\n", "250 x\r\n", "250 sender\r\n"], "250 sender\r\n"),
        (&["502 x\r\n", "502-not\r\n502 you\r\n"], "502-not\r\n502 you\r\n"),
        (&["421 later\r\n"], "421 later\r\n"),
        (&["nonsense\r\n"], "421 4.3.2 The backend server is not available, closing\r\n"),
        // The backend has TLS itself.
        (
            &["250-x\r\n250 STARTTLS\r\n", "220 go\r\n"],
            "421 4.3.2 The backend server is not available, closing\r\n",
        ),
    ] {
        let (address, backend) = scripted_backend(&[&["220 behind\r\n"], answers].concat());
        let server = Server::start(&["smtp", "--backend", &address]);
        let said = said_to(&server.port, "EHLO me.test\r\nMAIL FROM:<a@b>\r\n");
        let answered = said.split_once("250 ENHANCEDSTATUSCODES\r\n").expect("our answer").1;
        assert_eq!(answered, expected, "{answers:?}");
        let heard = text(&backend.join().expect("no panic"));
        assert!(heard.starts_with("EHLO [127.0.0.1]\r\n"), "{heard}");
        assert_eq!(heard.contains("MAIL FROM:<a@b>\r\n"), expected.starts_with("250"), "{heard}");
    }
}

#[test]
fn the_front_decides_the_policy() {
    const MAIL: &str = "EHLO me.test\r\nMAIL FROM:<a@b>\r\nQUIT\r\n";
    let (address, backend) = plaintext("220 behind\r\n", "250 behind\r\n");
    let server = Server::start(&["smtp", "--backend", &address, "--require-tls"]);
    let said = said_to(&server.port, MAIL);
    assert!(said.contains("530 5.7.0") && said.ends_with("221 2.0.0 Goodbye\r\n"), "{said}");
    assert_eq!(backend.join().expect("no panic"), "QUIT\r\n");

    let (address, backend) = plaintext("220 behind\r\n", "250 behind\r\n");
    let server = Server::start(&["smtp", "--backend", &address]);
    let said = said_to(&server.port, MAIL);
    assert!(said.ends_with("250 ENHANCEDSTATUSCODES\r\n250 behind\r\n250 behind\r\n"), "{said}");
    let heard = backend.join().expect("no panic");
    assert_eq!(heard, "EHLO [127.0.0.1]\r\nMAIL FROM:<a@b>\r\nQUIT\r\n");
}

/// The warnings of `serve` about its backend at the start. Each case ends with the script of the checking connection.
#[test]
fn a_backend_with_tls_causes_a_warning() {
    const OFFERS: &str = "offers an upgrade to TLS itself. Clients may see that offer inside TLS, and use it or refuse to \
                          continue: disable TLS on its plaintext listener.";
    const SPEAKS: &str = "speaks TLS itself. It does not understand the forwarded plaintext: pass its plaintext listener.";
    #[derive(Deserialize)]
    struct Backends {
        backend: Vec<Backend>,
    }

    #[derive(Deserialize)]
    struct Backend {
        scheme: String,
        script: Vec<String>,
        warning: String,
    }

    let Backends { backend } = toml::from_str(include_str!("backends.toml")).expect("a table");
    assert!(backend.len() > 10, "{}", backend.len());
    for Backend { scheme, script, warning } in backend {
        // The server's thread outlives this iteration.
        let script: Vec<&'static str> = script.into_iter().map(|reply| &*reply.leak()).collect();
        let (url, backend) = scripted_as("x", &script);
        let address = url.strip_prefix("x://").expect("an address");
        let said = said_at_start(&[&scheme, "--backend", address, "--require-tls"]);
        let warning = match &warning[..] {
            "offers" => OFFERS,
            "speaks" => SPEAKS,
            "" => "",
            other => panic!("{other}"),
        };
        let expected = match warning {
            "" => String::new(),
            _ => format!("starttls: warning: the server of --backend, {address}, {warning}\n"),
        };
        assert_eq!(said, expected, "{scheme} {script:?}");
        backend.join().expect("no panic");
    }
}

#[test]
fn a_silent_backend_causes_a_warning() {
    let silent = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = silent.local_addr().expect("an address").to_string();
    let said = said_at_start(&["smtp", "--backend", &address]);
    assert!(said.contains("sent nothing for 5 seconds. If its port uses implicit TLS"), "{said}");
    drop(silent);
    let said = said_at_start(&["smtp", "--backend", &address]);
    assert!(said.contains("cannot be reached (") && said.contains("until it runs"), "{said}");
}

pub(crate) fn said_at_start(arguments: &[&str]) -> String {
    let mut server = Server::start_with(arguments, Stdio::piped());
    server.signal("TERM");
    let mut said = String::new();
    let stderr = server.child.stderr.as_mut().expect("a pipe");
    stderr.read_to_string(&mut said).expect("UTF-8");
    let end = said.find("starttls: ending").expect("the signal");
    said.truncate(end);
    said
}
