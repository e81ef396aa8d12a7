//! Large mails: the memory of both ends, and the limit of a server.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use starttls::Policy;
use starttls::smtp::{self, Domain};
use starttls_std::{ClientStream, ClientTls, upgrade};

use crate::common::{Server, command, text};

const LARGE: usize = 24 << 20;

/// What a large mail may need beyond a small one, in bytes.
const MORE: usize = 4 << 20;

/// The peak of a process's memory so far, in bytes; `None` once it has ended.
fn peak(child: &Child) -> Option<usize> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<usize>().ok()? * 1024)
}

/// A message of `size` bytes with a hidden recipient.
fn message(size: usize) -> Vec<u8> {
    let mut message = b"From: me@a.test\nTo: you@b.test\nBcc: hidden@c.test\n\n".to_vec();
    message.resize(size, b'x');
    message.chunks_mut(77).skip(1).for_each(|line| line[0] = b'\n');
    message
}

/// Sends the file, directly or through a pipe, and returns the sender's peak of memory.
fn send(server: &Server, path: &Path, piped: bool) -> usize {
    let (url, file) = (server.url("smtp"), path.to_str().expect("UTF-8"));
    let file = if piped { "-" } else { file };
    let arguments =
        ["send", "--server", &url, "--ca", &server.ca, "--to", "you@b.test", "--json", file];
    let mut child = command(&arguments).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut input = child.stdin.take().expect("a pipe");
    let path = path.to_owned();
    let feeding = thread::spawn(move || {
        if piped {
            io::copy(&mut File::open(path).expect("a file"), &mut input).expect("read");
        }
    });
    let mut most = 0;
    while child.try_wait().expect("a child").is_none() {
        most = most.max(peak(&child).unwrap_or_default());
        thread::sleep(Duration::from_millis(2));
    }
    feeding.join().expect("no panic");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", text(&output.stderr));
    most
}

#[test]
fn a_large_mail_needs_the_memory_of_a_small_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let inbox = directory.path().join("inbox");
    let server = Server::start(&["smtp", "--deliver", inbox.to_str().expect("UTF-8")]);
    let file = |size: usize| {
        let path = directory.path().join(size.to_string());
        fs::write(&path, message(size)).expect("written");
        path
    };
    let (small, large) = (file(1000), file(LARGE));
    let before = send(&server, &small, false);
    let server_before = peak(&server.child).expect("it runs");
    for piped in [false, true] {
        let most = send(&server, &large, piped);
        assert!(most <= before + MORE, "the sender, piped {piped}: {before} then {most} bytes");
    }
    let most = peak(&server.child).expect("it runs");
    assert!(most <= server_before + MORE, "the server: {server_before} then {most} bytes");

    // Complete, and without the hidden recipient.
    let expected = text(&message(LARGE)).replace("Bcc: hidden@c.test\n", "").replace('\n', "\r\n");
    let mut arrived = 0;
    for entry in fs::read_dir(&inbox).expect("a directory") {
        let mail = fs::read(entry.expect("a file").path()).expect("a mail");
        if mail.len() > 2000 {
            assert!(text(&mail).trim_end() == expected.trim_end());
            arrived += 1;
        }
    }
    assert_eq!(arrived, 2);
}

/// A client inside TLS that does not look at the server's SIZE.
struct Careless(BufReader<ClientStream>);

impl Careless {
    fn of(server: &Server) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", server.port.parse().expect("a port")));
        let stream = stream.expect("connected");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
        let tls = ClientTls::with_ca_pem(&fs::read(&server.ca).expect("a file")).expect("a CA");
        let client = smtp::Client::new(Domain::LOCALHOST, Policy::Required);
        let stream = upgrade(stream, client, &tls, "localhost").expect("upgraded");
        Self(BufReader::new(stream))
    }

    /// All lines of a reply.
    fn reply(&mut self) -> String {
        let mut reply = String::new();
        loop {
            let start = reply.len();
            self.0.read_line(&mut reply).expect("a line");
            if reply.as_bytes().get(start + 3) != Some(&b'-') {
                return reply;
            }
        }
    }

    fn say(&mut self, bytes: &[u8]) -> String {
        self.0.get_mut().write_all(bytes).expect("written");
        self.reply()
    }
}

#[test]
fn a_server_refuses_a_mail_above_its_limit() {
    const LIMIT: usize = 100_000;
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().to_str().expect("UTF-8");
    let server = Server::start(&["smtp", "--deliver", path, "--max-size", &LIMIT.to_string()]);
    let mut client = Careless::of(&server);
    let hello = client.say(b"EHLO me.test\r\n");
    assert!(hello.contains(&format!("SIZE {LIMIT}\r\n")), "{hello}");
    // At once, if the client says the size.
    let refused = client.say(format!("MAIL FROM:<a@b.test> SIZE={}\r\n", LIMIT + 1).as_bytes());
    assert!(refused.starts_with("552 5.3.4 "), "{refused}");
    for (size, code) in [(LIMIT + 80, "552 5.3.4 "), (10 * LIMIT, "552 5.3.4 "), (LIMIT, "250 ")] {
        for (line, code) in [
            (&b"MAIL FROM:<a@b.test>\r\n"[..], "250 "),
            (b"RCPT TO:<c@d.test>\r\n", "250 "),
            (b"DATA\r\n", "354 "),
        ] {
            assert!(client.say(line).starts_with(code));
        }
        let mut message = vec![b'x'; size];
        message.chunks_exact_mut(80).for_each(|line| line[78..].copy_from_slice(b"\r\n"));
        let reply = client.say(&[&message[..], b".\r\n"].concat());
        assert!(reply.starts_with(code), "{size} bytes: {reply}");
        let names = fs::read_dir(directory.path()).expect("a directory");
        let names = names.map(|entry| entry.expect("a file").file_name());
        // The hidden file of a refused mail lasts until the next mail, or the end of the connection.
        let count = names.filter(|name| !name.as_encoded_bytes().starts_with(b".")).count();
        assert_eq!(count, usize::from(size == LIMIT), "a refused mail is not delivered");
    }
    assert!(client.say(b"QUIT\r\n").starts_with("221 "));
    assert_eq!(client.0.read_to_end(&mut Vec::new()).expect("an end"), 0);
    assert_eq!(fs::read_dir(directory.path()).expect("a directory").count(), 1, "no other file");
}
