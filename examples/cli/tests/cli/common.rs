//! The binary, its server, and scripted servers.

use std::fs;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use starttls::smtp::Smtp;
use starttls::{Introduction, Protocol, Roles};
use starttls_std::Mode;
use tempfile::NamedTempFile;

use crate::protocols::{DIALOGUES, plaintext, schemes};

/// The binary, with a pipe for each of its streams.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_starttls"));
    command.args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub(crate) fn starttls(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = command(arguments).spawn().expect("it starts");
    // A command that does not read its input may exit first.
    let _ = child.stdin.take().expect("a pipe").write_all(input);
    child.wait_with_output().expect("it ends")
}

pub(crate) fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

/// Ends a server together with its test.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) port: String,
    pub(crate) ca: String,
    pub(crate) output: BufReader<std::process::ChildStdout>,
}

impl Server {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_with(arguments, Stdio::inherit())
    }

    /// The same, with another standard error.
    pub(crate) fn start_with(arguments: &[&str], stderr: Stdio) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_starttls"))
            .arg("serve")
            .args(arguments)
            // Most tests compare whole messages; that of the trace lines passes --deliver=DIR.
            .args(arguments.contains(&"--deliver").then_some("--no-trace"))
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .expect("it starts");
        let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = || {
            let mut line = String::new();
            output.read_line(&mut line).expect("a line");
            line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        let (ca, listening) = (line(), line());
        assert_eq!(ca[0], "ca");
        assert_eq!(listening[..3], ["listening", arguments[0], "127.0.0.1"]);
        Self { child, port: listening[3].clone(), ca: ca[1].clone(), output }
    }

    /// Sends a signal, by its name.
    pub(crate) fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    pub(crate) fn url(&self, scheme: &str) -> String {
        format!("{scheme}://localhost:{}", self.port)
    }
}

/// Sends a signal to a process, by its name.
pub(crate) fn signal(child: &Child, name: &str) {
    let kill = Command::new("kill").args(["-s", name, &child.id().to_string()]).status();
    assert!(kill.expect("it starts").success(), "{name}");
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(Path::new(&self.ca).parent().expect("a directory"));
    }
}

/// Accepts the connection by which `serve --backend` checks at its start whether the backend has TLS, and closes it.
pub(crate) fn at_start(listener: &TcpListener) {
    drop(listener.accept().expect("the connection at the start"));
}

/// A scripted server that sends each line after reading one from the client.
pub(crate) fn scripted(lines: &[&'static str]) -> (String, JoinHandle<Vec<u8>>) {
    scripted_as("smtp", lines)
}

/// The same in another protocol; if the client speaks first, the first line is empty.
pub(crate) fn scripted_as(scheme: &str, lines: &[&'static str]) -> (String, JoinHandle<Vec<u8>>) {
    scripted_after(|_| {}, scheme, lines)
}

/// The same as a backend of `serve`; returns the address.
pub(crate) fn scripted_backend(lines: &[&'static str]) -> (String, JoinHandle<Vec<u8>>) {
    let (url, server) = scripted_after(at_start, "x", lines);
    (url.strip_prefix("x://").expect("an address").to_owned(), server)
}

fn scripted_after(
    before: fn(&TcpListener),
    scheme: &str,
    lines: &[&'static str],
) -> (String, JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let url = format!("{scheme}://127.0.0.1:{}", listener.local_addr().expect("an address").port());
    let lines = lines.to_vec();
    let server = thread::spawn(move || {
        before(&listener);
        let (mut stream, _): (TcpStream, _) = listener.accept().expect("a connection");
        let mut seen = Vec::new();
        for line in lines {
            stream.write_all(line.as_bytes()).expect("written");
            while let Ok(1..) = {
                let mut octet = [0];
                stream.read(&mut octet).inspect(|n| seen.extend_from_slice(&octet[..*n]))
            } {
                // A line, or the start of a ClientHello.
                if seen.ends_with(b"\n") || seen.contains(&0x16) {
                    break;
                }
            }
        }
        seen
    });
    (url, server)
}

/// A TLS server whose connections each follow a script: a reply for each line of the client, or for
/// each message after a 354. It closes after the last reply.
pub(crate) fn tls_scripted(scripts: &[&[&str]]) -> (String, NamedTempFile) {
    tls_scripted_as::<Smtp>(Mode::StartTls, scripts)
}

/// The same in another protocol.
pub(crate) fn tls_scripted_as<P: Roles>(
    mode: Mode,
    scripts: &[&[&str]],
) -> (String, NamedTempFile) {
    tls_scripted_for::<P>("localhost", mode, scripts)
}

/// The same for a server with this name.
pub(crate) fn tls_scripted_for<P: Roles>(
    name: &'static str,
    mode: Mode,
    scripts: &[&[&str]],
) -> (String, NamedTempFile) {
    let owned = |script: &&[&str]| script.iter().map(ToString::to_string).collect::<Vec<_>>();
    let scripts: Vec<_> = scripts.iter().map(owned).collect();
    let made = rcgen::generate_simple_self_signed(vec![name.into()]).expect("a certificate");
    let mut ca = NamedTempFile::new().expect("a file");
    ca.write_all(made.cert.pem().as_bytes()).expect("written");
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a certificate");
    let tls = Arc::new(config);
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        for script in scripts {
            let (stream, _) = listener.accept().expect("a connection");
            if mode == Mode::Implicit {
                let tls = ServerConnection::new(Arc::clone(&tls)).expect("a connection");
                follow::<P>(&mut StreamOwned::new(tls, stream), &script);
                continue;
            }
            let names = Introduction::new(name, [0; 20]);
            let server = P::server(&names, starttls::server::Config::default()).expect("a name");
            let upgraded = starttls_std::accept(stream, server, &tls);
            follow::<P>(&mut upgraded.expect("upgraded"), &script);
        }
    });
    let scheme = match mode {
        Mode::Implicit => P::PROTOCOL.implicit_name.expect("one"),
        Mode::StartTls => P::PROTOCOL.name,
    };
    (format!("{scheme}://localhost:{port}"), ca)
}

fn follow<P: Roles>(stream: &mut (impl Read + Write), script: &[String]) {
    let mut seen = Vec::new();
    let mut next = |stream: &mut dyn Read, end: &[u8]| {
        seen.clear();
        let mut octet = [0];
        while !seen.ends_with(end) && matches!(stream.read(&mut octet), Ok(1..)) {
            seen.push(octet[0]);
        }
    };
    let goodbye = P::PHRASES.goodbye;
    let line = if goodbye.ends_with(b"\r\n") { &b"\r\n"[..] } else { goodbye };
    let mut end = line;
    for answer in script {
        next(stream, end);
        stream.write_all(answer.as_bytes()).expect("written");
        end = if answer.starts_with("354") { b"\r\n.\r\n" } else { line };
    }
    next(stream, end);
}

/// Each scheme, with a backend if its front needs one.
pub(crate) fn every_scheme() -> Vec<(String, Option<String>)> {
    let mut served = Vec::new();
    for dialogue in &DIALOGUES {
        for scheme in schemes(dialogue.scheme) {
            served.push((scheme, Some(plaintext(dialogue, 8).0)));
        }
    }
    for protocol in Protocol::ALL {
        // The front receives mail itself, and a dialogue that continues inside TLS has no backend.
        let is_mail = [Protocol::SMTP, Protocol::LMTP].contains(protocol);
        let greet: &[u8] = if *protocol == Protocol::NBD { b"NBDMAGICIHAVEOPT\0\x03" } else { b"" };
        for scheme in [Some(protocol.name), protocol.implicit_name].into_iter().flatten() {
            if !served.iter().any(|(known, _)| known == scheme) {
                let backend = (!is_mail && protocol.begins_anew).then(|| greeting(greet));
                served.push((scheme.to_owned(), backend));
            }
        }
    }
    served
}

/// A server that greets, and closes each connection when its client does.
fn greeting(greeting: &'static [u8]) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    thread::spawn(move || {
        at_start(&listener);
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let _ = stream.write_all(greeting);
                let _ = stream.read_to_end(&mut Vec::new());
            });
        }
    });
    address
}
