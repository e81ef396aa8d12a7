//! A pipe to a server, through TLS.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::process::{Child, Command, Stdio};

use crate::common::{Server, scripted, starttls, text, tls_scripted};

#[test]
fn standard_input_and_output() {
    for (protocol, scheme, hello) in
        [("smtp", "smtp", "EHLO"), ("smtps", "smtps", "EHLO"), ("lmtp", "lmtp", "LHLO")]
    {
        let server = Server::start(&[protocol, "--require-tls"]);
        let url = server.url(scheme);
        // Standard input ends at once. Without a QUIT the command closes first.
        for (quit, linger) in [("QUIT\r\n", "60"), ("", "0")] {
            let input = format!("{hello} me.test\r\nNOOP\r\n{quit}");
            let output = starttls(
                &["connect", &url, "--ca", &server.ca, "--linger", linger],
                input.as_bytes(),
            );
            let said = text(&output.stdout);
            assert_eq!(output.status.code(), Some(0), "{said}{}", text(&output.stderr));
            assert_eq!(said.starts_with("220 "), protocol == "smtps", "{said}");
            assert!(said.contains("250-localhost\r\n"), "{said}");
            assert!(said.contains("250 2.0.0 Ok\r\n"), "{said}");
            assert_eq!(said.ends_with("221 2.0.0 Goodbye\r\n"), !quit.is_empty(), "{said}");
        }
    }
}

#[test]
fn lines_of_a_terminal() {
    let server = Server::start(&["smtp", "--require-tls"]);
    let url = server.url("smtp");
    let arguments = ["connect", &url, "--ca", &server.ca, "--linger", "60", "--crlf"];
    for input in ["EHLO me.test\nQUIT\n", "EHLO me.test\r\nQUIT\n"] {
        let output = starttls(&arguments, input.as_bytes());
        let said = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{said}{}", text(&output.stderr));
        assert!(said.ends_with("221 2.0.0 Goodbye\r\n"), "{said}");
    }
    let output = starttls(&[&arguments[..], &["--listen", "127.0.0.1:0"]].concat(), b"");
    assert!(text(&output.stderr).contains("cannot be used with"), "{}", text(&output.stderr));
}

#[test]
fn the_server_ends_the_command() {
    let server = Server::start(&["smtp", "--require-tls"]);
    let mut child = Command::new(env!("CARGO_BIN_EXE_starttls"))
        .args(["connect", &server.url("smtp"), "--ca", &server.ca])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    // Standard input does not end.
    let mut input = child.stdin.take().expect("a pipe");
    input.write_all(b"EHLO me.test\r\nQUIT\r\n").expect("written");
    let output = child.wait_with_output().expect("it ends");
    drop(input);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).ends_with("221 2.0.0 Goodbye\r\n"), "{}", text(&output.stdout));
}

/// `starttls connect --listen`, ended together with its test.
pub(crate) struct Pipe(Child, pub(crate) u16);

impl Pipe {
    pub(crate) fn start(url: &str, ca: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_starttls"))
            .args(["connect", url, "--ca", ca, "--listen", "127.0.0.1:0", "--linger", "0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let mut line = String::new();
        let output = child.stdout.take().expect("a pipe");
        BufReader::new(output).read_line(&mut line).expect("a line");
        let port = line.trim_end().rsplit(' ').next().and_then(|port| port.parse().ok());
        Self(child, port.expect("a port"))
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn local_connections() {
    let mut server = Server::start(&["smtp", "--require-tls"]);
    let pipe = Pipe::start(&server.url("smtp"), &server.ca);
    let mut local: Vec<_> =
        (0..3).map(|_| TcpStream::connect(("127.0.0.1", pipe.1)).expect("connected")).collect();
    for stream in &mut local {
        stream.write_all(b"EHLO me.test\r\nNOOP\r\n").expect("written");
        // Data in transit arrives, although the client sends nothing more.
        stream.shutdown(Shutdown::Write).expect("closed");
        let mut said = String::new();
        stream.read_to_string(&mut said).expect("text");
        assert!(said.starts_with("220 localhost is connected over TLS\r\n250-"), "{said}");
        assert!(said.ends_with("250 2.0.0 Ok\r\n"), "{said}");
    }
    // A client without TLS gets TLS.
    let url = format!("smtp://127.0.0.1:{}", pipe.1);
    let arguments = ["send", "--server", &url, "--tls", "opportunistic", "--to", "c@d.test"];
    let output = starttls(&arguments, b"x\r\n");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let mut line = String::new();
    server.output.read_line(&mut line).expect("a line");
    assert!(line.contains("channel=tls"), "{line}");
}

#[test]
fn an_unusable_server() {
    let stranger = Server::start(&["smtp"]);
    let server = Server::start(&["smtp"]);
    let output = starttls(&["connect", &server.url("smtp"), "--ca", &stranger.ca], b"");
    assert_eq!(output.status.code(), Some(5));
    assert!(text(&output.stderr).contains("pass it with --ca"), "{}", text(&output.stderr));

    let (url, thread) = scripted(&["220 x\r\n", "250 x\r\n"]);
    let output = starttls(&["connect", &url], b"secret\r\n");
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    assert_eq!(output.stdout, b"");
    let seen = text(&thread.join().expect("no panic"));
    assert!(!seen.contains("secret"), "{seen}");

    let pipe = Pipe::start(&server.url("smtp"), &stranger.ca);
    let mut local = TcpStream::connect(("127.0.0.1", pipe.1)).expect("connected");
    let mut said = String::new();
    local.read_to_string(&mut said).expect("text");
    assert_eq!(said, "421 4.3.2 The backend server is not available, closing\r\n");
}

#[test]
fn a_truncated_reply_is_an_error() {
    let (url, ca) = tls_scripted(&[&["250 ok\r\n", "250 half of"]]);
    let ca = ca.path().to_str().expect("UTF-8");
    let output =
        starttls(&["connect", &url, "--ca", ca, "--linger", "60"], b"EHLO x\r\na\r\nb\r\n");
    assert!(text(&output.stdout).ends_with("250 half of"), "{}", text(&output.stdout));
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("without TLS's close_notify"),
        "{}",
        text(&output.stderr)
    );
}
