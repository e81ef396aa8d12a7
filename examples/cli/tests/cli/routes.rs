//! Proxies and Unix sockets.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread::{self, JoinHandle};
use std::{fs, io};

use crate::common::{Server, starttls, text};

/// An HTTP proxy for one connection, which demands a login. Returns its URL with the login, and the request's line.
fn proxy() -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let url = format!("http://me:p%40ss@{}", listener.local_addr().expect("bound"));
    let task = thread::spawn(move || {
        let mut client = listener.accept().expect("a client").0;
        let mut head = BufReader::new(client.try_clone().expect("a copy"));
        let mut lines = Vec::new();
        while lines.last().is_none_or(|line| line != "\r\n") {
            let mut line = String::new();
            assert!(head.read_line(&mut line).expect("a client") > 0, "{lines:?}");
            lines.push(line);
        }
        assert!(
            lines.contains(&"Proxy-Authorization: Basic bWU6cEBzcw==\r\n".to_owned()),
            "{lines:?}"
        );
        let target = lines[0].split(' ').nth(1).expect("a target").to_owned();
        let mut server = TcpStream::connect(&target).expect("a server");
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").expect("a client");
        let mut up = (client.try_clone().expect("a copy"), server.try_clone().expect("a copy"));
        let upload = thread::spawn(move || {
            let _ = io::copy(&mut up.0, &mut up.1);
            let _ = up.1.shutdown(Shutdown::Write);
        });
        let _ = io::copy(&mut server, &mut client);
        let _ = client.shutdown(Shutdown::Write);
        upload.join().expect("no panic");
        target
    });
    (url, task)
}

#[test]
fn mails_and_checks_through_a_proxy() {
    let server = Server::start(&["smtp"]);
    for arguments in [
        vec!["send", "--server", "smtp://HOST", "--from", "a@example.org", "--to", "b@example.org"],
        vec!["probe", "smtp://HOST"],
        vec!["connect", "smtp://HOST"],
    ] {
        let (proxy, target) = proxy();
        let url = server.url("smtp");
        let mut arguments: Vec<_> = arguments
            .into_iter()
            .map(|word| if word == "smtp://HOST" { &url } else { word })
            .collect();
        arguments.extend(["--ca", &server.ca, "--proxy", &proxy]);
        let input = if arguments[0] == "send" { "Subject: x\r\n\r\nx\r\n" } else { "QUIT\r\n" };
        let output = starttls(&arguments, input.as_bytes());
        let said = text(&output.stderr) + &text(&output.stdout);
        assert!(output.status.success(), "{arguments:?}: {said}");
        assert!(!said.contains("p@ss") && !said.contains("CONNECT"), "{said}");
        assert_eq!(target.join().expect("the dialogue"), format!("localhost:{}", server.port));
    }
}

#[test]
fn a_proxy_that_is_not_there() {
    let port =
        TcpListener::bind(("127.0.0.1", 0)).expect("a port").local_addr().expect("bound").port();
    let proxy = format!("socks5://127.0.0.1:{port}");
    let output = starttls(&["probe", "ldap://mail.example.org", "--proxy", &proxy], b"");
    let said = text(&output.stderr) + &text(&output.stdout);
    assert!(said.contains(&format!("proxy 127.0.0.1:{port}: connecting")), "{said}");
    assert!(said.contains("Check the host and port of --proxy"), "{said}");
    assert_eq!(output.status.code(), Some(8));
    for (arguments, part) in [
        (vec!["probe", "ldap://a", "--proxy", "gopher://b"], "socks5://HOST:PORT"),
        (vec!["probe", "ldap:///run/x.sock", "--proxy", "socks5://b"], "is a Unix socket"),
        (
            vec!["send", "--mx", "--to", "a@example.org", "--proxy", "socks5://b"],
            "--proxy needs --server",
        ),
    ] {
        let output = starttls(&arguments, b"Subject: x\r\n\r\nx\r\n");
        let said = text(&output.stderr);
        assert!(said.contains(part), "{arguments:?}: {said}");
        assert!(!output.status.success());
    }
}

#[cfg(unix)]
#[test]
fn mails_and_checks_over_a_unix_socket() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("lmtp.sock");
    let path = path.to_str().expect("UTF-8");
    let mut child = Command::new(env!("CARGO_BIN_EXE_starttls"))
        .args(["serve", "lmtp", "--listen", path])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let ca = lines.next().expect("a line").expect("text");
    let ca = ca.strip_prefix("ca ").expect("the CA").to_owned();
    assert!(lines.next().expect("a line").expect("text").contains(path));
    let url = format!("lmtp://{path}");
    for arguments in [
        vec!["send", "--server", &url, "--from", "a@example.org", "--to", "b@example.org"],
        vec!["probe", &url],
    ] {
        let mut arguments = arguments;
        arguments.extend(["--ca", &ca]);
        let output = starttls(&arguments, b"Subject: x\r\n\r\nx\r\n");
        let said = text(&output.stderr) + &text(&output.stdout);
        assert!(output.status.success(), "{arguments:?}: {said}");
    }
    child.kill().expect("running");
    child.wait().expect("ours");
    fs::remove_dir_all(std::path::Path::new(&ca).parent().expect("a directory")).expect("ours");
}
