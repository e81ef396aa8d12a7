//! Runs the examples against minimal servers.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread;

use starttls::{imap, server};
use starttls_tokio::accept;
use tempfile::TempDir;
use test_identity::Authority;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _};

/// A CA, and a certificate for `localhost` signed by it, in files.
struct Identity(TempDir);

impl Identity {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let ca = Authority::default();
        let server = ca.localhost();
        let files =
            [("ca.pem", ca.pem()), ("cert.pem", server.pem()), ("key.pem", server.key_pem())];
        for (name, text) in files {
            std::fs::write(directory.path().join(name), text).expect("written");
        }
        Self(directory)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs a client as `me`.
    fn run(&self, program: &str, port: u16) -> Output {
        let port = port.to_string();
        Command::new(program)
            .args(["localhost", &port, "me", "--ca"])
            .arg(self.path("ca.pem"))
            .env("PASSWORD", "secret")
            .output()
            .expect("started")
    }
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

fn text(octets: &[u8]) -> String {
    String::from_utf8(octets.to_vec()).expect("UTF-8")
}

#[test]
fn imap() {
    let identity = Identity::new();
    let alpn = Some(&b"imap"[..]);
    let acceptor =
        tokio_clients::acceptor(&identity.path("cert.pem"), &identity.path("key.pem"), alpn)
            .expect("a certificate");
    let (listener, address) = listener();
    let server = thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            listener.set_nonblocking(true).expect("an option");
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            let (stream, _) = listener.accept().await.expect("a connection");
            let machine = imap::Server::new(server::Config::default());
            let stream = accept(stream, machine, acceptor.config()).await.expect("upgraded");
            let mut stream = tokio::io::BufReader::new(stream);
            let mut heard = Vec::new();
            let mut line = String::new();
            while stream.read_line(&mut line).await.is_ok_and(|n| n > 0) {
                let (tag, command) = line.trim_end().split_once(' ').expect("a tag");
                let data = if command.starts_with("LIST") {
                    "* LIST () \"/\" INBOX\r\n* LIST () \"/\" Lists/rust\r\n"
                } else {
                    ""
                };
                let answer = format!("{data}{tag} OK done\r\n");
                stream.write_all(answer.as_bytes()).await.expect("written");
                stream.flush().await.expect("flushed");
                heard.push(command.to_owned());
                line.clear();
            }
            heard
        })
    });
    let output = identity.run(env!("CARGO_BIN_EXE_imap"), address.port());
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "INBOX\nLists/rust\n");
    let heard = server.join().expect("no panic");
    assert_eq!(heard.first().map(String::as_str), Some("LOGIN \"me\" \"secret\""));
    assert_eq!(heard.last().map(String::as_str), Some("LOGOUT"));
}

/// A message of PostgreSQL: type, length, content.
fn message(kind: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len() + 4).expect("short").to_be_bytes();
    [&[kind][..], &length, content].concat()
}

fn received(stream: &mut impl Read, kind: bool) -> Option<Vec<u8>> {
    let mut header = vec![0; if kind { 5 } else { 4 }];
    stream.read_exact(&mut header).ok()?;
    let length = u32::from_be_bytes(*header.last_chunk().expect("four"));
    let mut content = vec![0; usize::try_from(length).ok()?.checked_sub(4)?];
    stream.read_exact(&mut content).ok()?;
    Some(content)
}

/// A PostgreSQL server without TLS that accepts any login and answers a query. Returns its input.
fn database(listener: &TcpListener) -> (Vec<u8>, Vec<u8>) {
    let (mut stream, _) = listener.accept().expect("a connection");
    let startup = received(&mut stream, false).expect("a startup message");
    let ready = message(b'Z', b"I");
    let welcome = [message(b'R', &[0; 4]), ready.clone()].concat();
    stream.write_all(&welcome).expect("written");
    let query = received(&mut stream, true).expect("a query");
    // One text column, with its name and 18 bytes of description; one row.
    let column = [&b"\0\x01current_user\0"[..], &[0; 18]].concat();
    let answer = [
        message(b'T', &column),
        message(b'D', b"\0\x01\0\0\0\x02me"),
        message(b'C', b"SELECT 1\0"),
        ready,
    ];
    stream.write_all(&answer.concat()).expect("written");
    while received(&mut stream, true).is_some() {}
    (startup, query)
}

struct Front(Child);

impl Drop for Front {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn postgres_through_the_front() {
    let identity = Identity::new();
    let (listener, backend) = listener();
    let server = thread::spawn(move || database(&listener));
    let mut front = Command::new(env!("CARGO_BIN_EXE_front"))
        .args(["127.0.0.1:0", &backend.to_string()])
        .args([identity.path("cert.pem"), identity.path("key.pem")])
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let mut line = String::new();
    let mut output = BufReader::new(front.stdout.take().expect("a pipe"));
    output.read_line(&mut line).expect("a line");
    let _front = Front(front);
    let address: SocketAddr = line.trim_end().parse().expect("an address");

    let output = identity.run(env!("CARGO_BIN_EXE_postgres"), address.port());
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "me\n");
    let (startup, query) = server.join().expect("no panic");
    assert!(startup.starts_with(b"\0\x03\0\0"), "protocol 3, and no SSLRequest");
    assert_eq!(query, b"SELECT current_user\0");
}
