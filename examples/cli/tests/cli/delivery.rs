//! The files of `serve --deliver`, and the limits of a client.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::common::{Server, starttls, text};

/// The only file of a directory.
fn delivered(directory: &std::path::Path) -> String {
    let mut files = fs::read_dir(directory).expect("a directory").map(|file| file.expect("a file"));
    let content = fs::read(files.next().expect("a mail").path()).expect("read");
    assert!(files.next().is_none());
    text(&content)
}

#[test]
fn trace_lines_come_first() {
    for (protocol, with) in [("smtp", "ESMTPS"), ("lmtp", "LMTPS")] {
        for message in ["Subject: x\n\nx\n", ""] {
            let inbox = tempfile::tempdir().expect("a directory");
            let deliver = format!("--deliver={}", inbox.path().display());
            let server = Server::start(&[protocol, "--require-tls", &deliver]);
            let (url, ca) = (server.url(protocol), &server.ca);
            let output = starttls(
                &[
                    "send",
                    "--server",
                    &url,
                    "--ca",
                    ca,
                    "--from",
                    "me@a.example",
                    "--to",
                    "you@b.example",
                    "--helo",
                    "client.example",
                    "--allow-empty",
                    "-",
                ],
                message.as_bytes(),
            );
            assert!(output.status.success(), "{}", text(&output.stderr));
            let mail = delivered(inbox.path());
            let rest = mail
                .strip_prefix("Return-Path: <me@a.example>\r\nReceived: from client.example ([127.0.0.1])\r\n\tby ")
                .unwrap_or_else(|| panic!("{mail}"));
            let (name, rest) = rest.split_once(" with ").expect("a name");
            assert!(!name.is_empty() && !name.contains(char::is_whitespace), "{name}");
            let rest = rest.strip_prefix(with).and_then(|rest| rest.strip_prefix(" tls TLS_"));
            let (_, rest) = rest
                .expect(with)
                .split_once("\r\n\tfor <you@b.example>;\r\n\t")
                .expect("a recipient");
            let (date, rest) = rest.split_once("\r\n").expect("a date");
            assert!(date.ends_with(" +0000"), "{date}");
            assert_eq!(rest, message.replace('\n', "\r\n"));
        }
    }
}

/// The time limit is for a whole command; a client that makes too many mistakes is disconnected.
#[test]
fn limits_of_a_client() {
    let server = Server::start(&["smtp", "--max-errors", "1", "--max-wait", "1"]);
    let address = server.url("smtp").replace("smtp://localhost", "127.0.0.1");
    let mut stream = TcpStream::connect(&address).expect("a server");
    stream.write_all(b"x\r\nx\r\nx\r\n").expect("written");
    let mut said = String::new();
    stream.read_to_string(&mut said).expect("an end");
    assert!(
        said.ends_with(
            "500 5.5.1 Command not recognized\r\n421 4.7.0 Too many errors, closing\r\n"
        ),
        "{said}"
    );
    let mut stream = TcpStream::connect(&address).expect("a server");
    stream.write_all(b"EHL").expect("written");
    let mut said = String::new();
    stream.read_to_string(&mut said).expect("an end");
    assert!(said.ends_with("421 4.4.2 Timeout, closing\r\n"), "{said}");
    // The handshake, too. Its usual limit is longer than this test waits.
    let mut stream = TcpStream::connect(&address).expect("a server");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    stream.write_all(b"EHLO me\r\nSTARTTLS\r\n").expect("written");
    let mut said = String::new();
    stream.read_to_string(&mut said).expect("an end");
    assert!(said.contains("\r\n220 "), "{said}");
}
