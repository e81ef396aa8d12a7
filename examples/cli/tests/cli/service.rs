//! `starttls serve` in a failing environment, and at its end.

use std::fs;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::common::{Server, starttls, text};

/// A plaintext client, line by line.
struct Client<S>(BufReader<S>);

impl<S: std::io::Read + std::io::Write> Client<S> {
    fn over(stream: S) -> Self {
        let mut client = Self(BufReader::new(stream));
        assert_eq!(client.answer()[..4], *"220 ");
        client
    }

    /// The last line of a reply; empty if the connection ended.
    fn answer(&mut self) -> String {
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).expect("a line");
            if line.as_bytes().get(3) != Some(&b'-') {
                return line;
            }
        }
    }

    fn say(&mut self, line: &str) -> String {
        self.0.get_mut().write_all(format!("{line}\r\n").as_bytes()).expect("written");
        self.answer()
    }

    /// Everything except the message.
    fn begin_mail(&mut self) {
        for (line, code) in
            [("MAIL FROM:<a@b.test>", "250"), ("RCPT TO:<c@d.test>", "250"), ("DATA", "354")]
        {
            assert_eq!(self.say(line)[..3], *code, "{line}");
        }
    }
}

fn client(server: &Server) -> Client<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", server.port.parse().expect("a port")));
    let stream = stream.expect("connected");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
    let mut client = Client::over(stream);
    assert_eq!(client.say("EHLO me.test")[..4], *"250 ");
    client
}

fn inbox() -> (TempDir, String) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().to_str().expect("UTF-8").to_owned();
    (directory, path)
}

fn files(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    entries.map(|entry| entry.expect("one").file_name().into_string().expect("UTF-8")).collect()
}

fn wait_for(what: &str, mut is_there: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_there() {
        assert!(start.elapsed() < Duration::from_secs(30), "{what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Stored mails are answered with 250, even if no process reads the output.
#[test]
fn an_unread_output_stops_no_mail() {
    const MAILS: usize = 2000;
    let (directory, path) = inbox();
    let mut server = Server::start(&["smtp", "--deliver", &path]);
    for closed in [false, true] {
        if closed {
            // A reader that has closed.
            let gone = std::process::Command::new("true").stdout(Stdio::piped()).spawn();
            let mut gone = gone.expect("it starts");
            server.output = BufReader::new(gone.stdout.take().expect("a pipe"));
            gone.wait().expect("it ends");
        }
        let mut client = client(&server);
        for _ in 0..MAILS {
            client.begin_mail();
            assert_eq!(client.say("Subject: x\r\n\r\nx\r\n.")[..4], *"250 ");
        }
        let count = files(directory.path()).len();
        assert_eq!(count, if closed { 2 * MAILS } else { MAILS });
    }
    server.signal("TERM");
    assert_eq!(server.child.wait().expect("it ends").code(), Some(0));
}

/// A full log.
#[test]
fn a_failing_standard_error_ends_nothing() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("a full device");
    let server = Server::start_with(&["smtp"], full.into());
    for _ in 0..3 {
        // Each of them causes a reported error.
        let mut stream = TcpStream::connect(("127.0.0.1", server.port.parse().expect("a port")))
            .expect("connected");
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("written");
        let _ = stream.read_to_end(&mut Vec::new());
    }
    assert_eq!(client(&server).say("QUIT")[..4], *"221 ");
}

/// A mail that cannot be stored is not accepted.
#[test]
fn an_unstored_mail_is_sent_again() {
    let (directory, path) = inbox();
    let server = Server::start(&["smtp", "--deliver", &path]);
    let mut client = client(&server);
    // The directory disappears while the message arrives.
    client.begin_mail();
    fs::remove_dir_all(directory.path()).expect("removed");
    assert_eq!(client.say("x\r\n.")[..10], *"451 4.3.0 ");
    fs::create_dir(directory.path()).expect("made");
    client.begin_mail();
    assert_eq!(client.say("x\r\n.")[..4], *"250 ");
    assert_eq!(files(directory.path()).len(), 1);
}

#[test]
fn the_current_mail_finishes_before_the_end() {
    for name in ["TERM", "INT"] {
        let (directory, path) = inbox();
        let mut server = Server::start(&["smtp", "--deliver", &path]);
        let (mut idle, mut busy) = (client(&server), client(&server));
        busy.begin_mail();
        server.signal(name);
        // An idle client is told, and no new client is accepted.
        assert_eq!(idle.answer()[..10], *"421 4.3.2 ");
        assert_eq!(idle.answer(), "");
        let address = ("127.0.0.1", server.port.parse::<u16>().expect("a port"));
        assert_eq!(busy.say("Subject: x\r\n\r\nx\r\n.")[..4], *"250 ");
        assert_eq!(busy.answer()[..10], *"421 4.3.2 ");
        assert_eq!(server.child.wait().expect("it ends").code(), Some(0), "{name}");
        assert_eq!(files(directory.path()).len(), 1);
        let refused = TcpStream::connect(address).expect_err("no listener");
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    }
}

#[test]
fn the_end_is_bounded() {
    let (directory, path) = inbox();
    for (drain, signals, code) in [("1", 1, 0), ("60", 2, 143)] {
        let mut server = Server::start(&["smtp", "--deliver", &path, "--drain", drain]);
        let mut busy = client(&server);
        busy.begin_mail();
        busy.0.get_mut().write_all(&b"x\r\n".repeat(20_000)).expect("written");
        wait_for("a file", || files(directory.path()).iter().any(|name| name.starts_with('.')));
        for _ in 0..signals {
            server.signal("TERM");
            thread::sleep(Duration::from_millis(200));
        }
        assert_eq!(server.child.wait().expect("it ends").code(), Some(code));
    }
    // The next start removes the files that a kill left.
    let left = files(directory.path()).len();
    assert!(left > 0);
    let _server = Server::start(&["smtp", "--deliver", &path]);
    assert_eq!(files(directory.path()), [""; 0]);
}

#[test]
fn one_peer_cannot_use_all_connections() {
    let server = Server::start(&["smtp", "--max-per-peer", "2"]);
    let (first, _second) = (client(&server), client(&server));
    let mut third =
        TcpStream::connect(("127.0.0.1", server.port.parse().expect("a port"))).expect("connected");
    let mut said = String::new();
    third.read_to_string(&mut said).expect("an end");
    assert_eq!(said[..4], *"421 ", "{said}");
    // A closed connection's place is free at once.
    drop(first);
    wait_for("a place", || {
        let stream = TcpStream::connect(("127.0.0.1", server.port.parse().expect("a port")));
        let mut said = [0; 4];
        stream.expect("connected").read_exact(&mut said).is_ok() && said == *b"220 "
    });
}

#[test]
fn a_large_message_needs_no_memory() {
    const CLIENTS: usize = 32;
    const EACH: usize = 4 << 20;
    let (directory, path) = inbox();
    let server = Server::start(&["smtp", "--deliver", &path]);
    let resident = || {
        let status = fs::read_to_string(format!("/proc/{}/status", server.child.id()));
        let status = status.expect("a process");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a line");
        line.split_whitespace().nth(1).expect("a number").parse::<usize>().expect("a number") * 1024
    };
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| client(&server)).collect();
    let before = resident();
    let line = format!("{}\r\n", "x".repeat(510)).repeat(EACH / 512);
    for client in &mut clients {
        client.begin_mail();
        client.0.get_mut().write_all(line.as_bytes()).expect("written");
    }
    let size = |name: &String| fs::metadata(directory.path().join(name)).map_or(0, |is| is.len());
    wait_for("everything on disk", || {
        files(directory.path()).iter().map(size).sum::<u64>() > (CLIENTS * (EACH - 65536)) as u64
    });
    let grown = resident().saturating_sub(before);
    assert!(grown < CLIENTS * 256 * 1024, "{grown} bytes more for {CLIENTS} unfinished mails");
    // A client that leaves within a mail leaves no file.
    drop(clients);
    wait_for("an empty directory", || files(directory.path()).is_empty());
}

#[test]
fn the_log_has_our_own_data_first() {
    let mut server = Server::start(&["smtp"]);
    let mut client = client(&server);
    for line in [
        r#"MAIL FROM:<"a> to=<x> octets=1 channel=tls user=\"root\" in=y"@x.example>"#,
        "RCPT TO:<c@d.test>",
    ] {
        assert_eq!(client.say(line)[..4], *"250 ", "{line}");
    }
    assert_eq!(client.say("DATA")[..4], *"354 ");
    assert_eq!(client.say("x\r\n.")[..4], *"250 ");
    let mut line = String::new();
    server.output.read_line(&mut line).expect("a line");
    // Outside quotes there is no text of the client.
    let fields: Vec<_> = line.split('"').step_by(2).collect();
    assert!(line.starts_with("mail in=- octets=3 channel=plaintext by=DATA from=\""), "{line}");
    assert_eq!(line.matches(" channel=").count(), 2);
    assert!(!fields[0].contains("user="), "{line}");
}

#[test]
fn names_and_sockets_to_listen_on() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("lmtp.sock");
    let place = path.to_str().expect("UTF-8");
    // The socket of a killed server is replaced; that of a running server is not.
    for round in 0..2 {
        let child = std::process::Command::new(env!("CARGO_BIN_EXE_starttls"))
            .args(["serve", "lmtp", "--listen", place])
            .stdout(Stdio::piped())
            .spawn();
        let mut child = child.expect("it starts");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        lines.next().expect("a line").expect("text");
        let said = lines.next().expect("a line").expect("text");
        assert_eq!(said, format!("listening lmtp {place}"));
        let mut client = Client::over(UnixStream::connect(&path).expect("connected"));
        assert_eq!(client.say("LHLO me.test")[..4], *"250 ");
        let second = starttls(&["serve", "lmtp", "--listen", place], b"");
        assert_eq!(second.status.code(), Some(1));
        assert!(text(&second.stderr).contains(place), "{}", text(&second.stderr));
        if round == 0 {
            child.kill().expect("killed");
        } else {
            crate::common::signal(&child, "TERM");
            assert_eq!(client.answer()[..4], *"421 ");
        }
        child.wait().expect("it ends");
        assert_eq!(path.exists(), round == 0);
    }
    for place in ["localhost:0", "[::1]:0", "[::]:0"] {
        let child = std::process::Command::new(env!("CARGO_BIN_EXE_starttls"))
            .args(["serve", "smtp", "--listen", place])
            .stdout(Stdio::piped())
            .spawn();
        let mut child = child.expect("it starts");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let said: Vec<_> = lines.by_ref().take(2).map(|line| line.expect("text")).collect();
        assert!(said[1].starts_with("listening smtp "), "{place}: {said:?}");
        child.kill().expect("killed");
        child.wait().expect("it ends");
    }
    let output = starttls(&["serve", "smtp", "--listen", "nowhere"], b"");
    assert!(text(&output.stderr).contains("HOST:PORT"), "{}", text(&output.stderr));
}

/// Peers cannot fill a disk with log lines.
#[test]
fn log_lines_are_limited_and_counted() {
    const CLIENTS: usize = 3000;
    let log = tempfile::NamedTempFile::new().expect("a file");
    let stderr = Stdio::from(log.reopen().expect("a file"));
    let server = Server::start_with(&["smtp"], stderr);
    let start = Instant::now();
    for _ in 0..CLIENTS {
        let stream = TcpStream::connect(format!("127.0.0.1:{}", server.port)).expect("connected");
        let mut greeting = [0; 4];
        (&stream).read_exact(&mut greeting).expect("a greeting");
    }
    let seconds = usize::try_from(start.elapsed().as_secs()).expect("few") + 2;
    // The count of dropped lines comes with the next line.
    thread::sleep(Duration::from_millis(1100));
    drop(client(&server));
    server.signal("TERM");
    let until = Instant::now() + Duration::from_secs(20);
    let said = loop {
        let said = fs::read_to_string(log.path()).expect("text");
        if said.contains("ending") || Instant::now() > until {
            break said;
        }
        thread::sleep(Duration::from_millis(20));
    };
    let lines = said.lines().filter(|line| line.contains("ended too early")).count();
    assert!(lines > 0 && lines <= 1000 * seconds, "{lines} in {seconds} s");
    let dropped: usize = said
        .lines()
        .filter(|line| line.contains("lines were dropped"))
        .filter_map(|line| line.split(' ').nth(1)?.parse::<usize>().ok())
        .sum();
    assert!(lines + dropped >= CLIENTS, "{lines} lines, {dropped} dropped");
}

/// A file that is not a socket refuses connections like the socket of a killed server.
#[test]
fn a_socket_replaces_no_file_of_the_user() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("notes.txt");
    fs::write(&path, "mine").expect("written");
    let place = path.to_str().expect("UTF-8");
    for arguments in [
        &["serve", "lmtp", "--listen", place][..],
        &["connect", "smtp://127.0.0.1:1", "--listen", place],
    ] {
        let output = starttls(arguments, b"");
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains(place), "{error}");
        assert_eq!(fs::read(&path).expect("a file"), b"mine");
    }
}
