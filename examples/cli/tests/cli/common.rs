//! The binary, a server of it, and servers that say what they are told.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use starttls::smtp::{self, Domain};
use tempfile::NamedTempFile;

pub(crate) fn starttls(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_starttls"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    // A command that does not read its input may end first.
    let _ = child.stdin.take().expect("a pipe").write_all(input);
    child.wait_with_output().expect("it ends")
}

pub(crate) fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

/// Ends a server when its test ends.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) port: String,
    pub(crate) ca: String,
    pub(crate) output: BufReader<std::process::ChildStdout>,
}

impl Server {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_starttls"))
            .arg("serve")
            .args(arguments)
            .stdout(Stdio::piped())
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

    pub(crate) fn url(&self, scheme: &str) -> String {
        format!("{scheme}://localhost:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(Path::new(&self.ca).parent().expect("a directory"));
    }
}

/// A server that says what it is told, each line after reading one from the client.
pub(crate) fn scripted(lines: &[&'static str]) -> (String, JoinHandle<Vec<u8>>) {
    scripted_as("smtp", lines)
}

/// The same in another protocol; where the client speaks first, the first line is empty.
pub(crate) fn scripted_as(scheme: &str, lines: &[&'static str]) -> (String, JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let url = format!("{scheme}://127.0.0.1:{}", listener.local_addr().expect("an address").port());
    let lines = lines.to_vec();
    let server = thread::spawn(move || {
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

/// A TLS server whose connections each follow a script: an answer for each line of the client, or
/// for each message where the answer before began with 354. Without an answer left it hangs up.
pub(crate) fn tls_scripted(scripts: &'static [&'static [&'static str]]) -> (String, NamedTempFile) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).expect("a certificate");
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
            let server = smtp::Server::new(Domain::LOCALHOST, starttls::server::Config::default());
            let stream = starttls_std::accept(stream, server, &tls).expect("upgraded");
            let mut stream = BufReader::new(stream);
            let mut seen = Vec::new();
            let mut next = |stream: &mut BufReader<_>, end: &[u8]| {
                seen.clear();
                let mut octet = [0];
                while !seen.ends_with(end) && matches!(stream.read(&mut octet), Ok(1..)) {
                    seen.push(octet[0]);
                }
            };
            let mut end = &b"\r\n"[..];
            for answer in *script {
                next(&mut stream, end);
                stream.get_mut().write_all(answer.as_bytes()).expect("written");
                end = if answer.starts_with("354") { b"\r\n.\r\n" } else { b"\r\n" };
            }
            next(&mut stream, end);
        }
    });
    (format!("smtp://localhost:{port}"), ca)
}
