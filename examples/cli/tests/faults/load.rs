//! Stalled clients, and clients that never stop: others are still served, and all resources are released.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use crate::mail::Mails;
use crate::process::{PATIENCE, Server, end};

/// Connections at each stage.
const STALLED: usize = 2000;

/// The server's limit for a connection, in seconds.
const MAX_TIME: u64 = 5;

/// The bytes of a message that each client has sent at the message stage.
const BODY: usize = 64 * 1024;

/// The allowed growth of memory for each connection within a message.
const MEMORY: usize = 48 * 1024;

/// The stages at which a client stops: its lines with replies, and its last bytes.
const STAGES: [(&str, &[&str], &str); 6] = [
    ("silent", &[], ""),
    ("half a command", &[], "EHLO me"),
    ("after a command", &["EHLO me.test"], ""),
    ("before the handshake", &["EHLO me.test", "STARTTLS"], ""),
    ("in the handshake", &["EHLO me.test", "STARTTLS"], "\x16\x03\x01\x02"),
    (
        "in a message",
        &["EHLO me.test", "MAIL FROM:<a@b.test>", "RCPT TO:<c@d.test>", "DATA"],
        "Subject: x\r\n\r\n",
    ),
];

fn talk(stream: &TcpStream, lines: &[&str], last: &str) {
    let mut reader = BufReader::new(stream);
    let mut answer = || {
        let mut line = String::new();
        while line.as_bytes().get(3) != Some(&b' ') {
            line.clear();
            assert_ne!(reader.read_line(&mut line).expect("an answer"), 0, "{lines:?}");
        }
    };
    answer();
    for line in lines {
        let mut stream = stream;
        stream.write_all(format!("{line}\r\n").as_bytes()).expect("written");
        answer();
    }
    let mut stream = stream;
    stream.write_all(last.as_bytes()).expect("written");
    if lines.last() == Some(&"DATA") {
        let line = "a line of a message that never ends\r\n".repeat(BODY / 37);
        stream.write_all(line.as_bytes()).expect("written");
    }
}

fn descriptors(server: &Server) -> usize {
    fs::read_dir(format!("/proc/{}/fd", server.id())).expect("a process").count()
}

/// Resident memory, in bytes.
fn memory(server: &Server) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", server.id())).expect("a process");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a line");
    let kilobytes: usize = line.split_whitespace().nth(1).expect("a number").parse().expect("one");
    kilobytes * 1024
}

fn serve(place: &Mails, max_time: u64) -> Server {
    // A descriptor for each side of each connection, and a file for each message.
    rlimit::increase_nofile_limit(u64::MAX).expect("a limit");
    let mut command = place.serve();
    // Memory kept by one thread's allocator arena is not available to other threads.
    command.env("MALLOC_ARENA_MAX", "1").stderr(Stdio::null());
    command.args(["--max-per-peer", "100000", "--max-time", &max_time.to_string()]);
    Server::start(command).expect("it listens")
}

fn a_mail_arrives(place: &Mails, server: &Server) -> Duration {
    let token = place.write("mail.eml");
    let start = Instant::now();
    let ended = end(place.send(&server.port, "mail.eml").spawn().expect("it starts"));
    let took = start.elapsed();
    assert!(ended.code() == 0 && place.has(&token), "{ended:?}");
    took
}

#[test]
fn stalled_clients_are_disconnected_and_do_not_delay_others() {
    let place = Mails::new();
    let server = serve(&place, MAX_TIME);
    a_mail_arrives(&place, &server);
    let (few, mut rest) = (descriptors(&server), Vec::new());
    for (stage, lines, last) in STAGES {
        let before = memory(&server);
        let streams: Vec<_> = (0..STALLED)
            .map(|_| {
                let stream = TcpStream::connect(format!("127.0.0.1:{}", server.port));
                let stream = stream.expect("connected");
                stream.set_read_timeout(Some(PATIENCE)).expect("set");
                talk(&stream, lines, last);
                stream
            })
            .collect();
        let (held, open) = (memory(&server).saturating_sub(before), descriptors(&server));
        assert!(open > few, "{stage}: {open} descriptors");
        assert!(held < STALLED * MEMORY, "{stage}: {held} bytes for {STALLED} connections");
        a_mail_arrives(&place, &server);
        let until = Instant::now() + PATIENCE;
        while descriptors(&server) > few {
            assert!(Instant::now() < until, "{stage}: {} descriptors", descriptors(&server));
            sleep(Duration::from_millis(50));
        }
        drop(streams);
        assert_eq!(fs::read_dir(place.path("inbox/tmp")).expect("a directory").count(), 0);
        println!("{stage}: {} bytes a connection", held / STALLED);
        rest.push(memory(&server));
    }
    // The handshake needs the most memory, which the next two stages reuse. Two stages that do not release theirs, 10 KiB
    // each or more, would add 40 MB.
    let (handshake, last) = (rest[3], rest[5]);
    assert!(last < handshake + (24 << 20), "{rest:?}");
    assert_eq!(server.stop().code(), 0);
}

/// Clients that send as fast as they can, and reconnect when they are disconnected.
#[test]
fn greedy_clients_do_not_delay_others() {
    let place = Mails::new();
    let server = serve(&place, 600);
    let quiet: Vec<_> = (0..30).map(|_| a_mail_arrives(&place, &server)).collect();
    let stop = Arc::new(AtomicBool::new(false));
    let greedy: Vec<_> = ["NOOP\r\n", "\r\n", "X\r\n", "EHLO a.test\r\nRSET\r\n"]
        .into_iter()
        .map(|says| {
            let (stop, port) = (Arc::clone(&stop), server.port.clone());
            thread::spawn(move || {
                let mut connections = 0;
                while !stop.load(Ordering::Relaxed) {
                    let Ok(mut stream) = TcpStream::connect(format!("127.0.0.1:{port}")) else {
                        continue;
                    };
                    connections += 1;
                    stream.set_write_timeout(Some(Duration::from_secs(1))).expect("set");
                    // This client never reads.
                    while !stop.load(Ordering::Relaxed) && stream.write_all(says.as_bytes()).is_ok()
                    {
                    }
                }
                connections
            })
        })
        .collect();
    let busy: Vec<_> = (0..30).map(|_| a_mail_arrives(&place, &server)).collect();
    stop.store(true, Ordering::Relaxed);
    let connections: Vec<usize> =
        greedy.into_iter().map(|greedy| greedy.join().expect("no panic")).collect();
    // Each was disconnected by the limit of commands, and reconnected.
    assert!(connections.iter().all(|count| *count > 1), "{connections:?}");
    let last = |mut times: Vec<Duration>| {
        times.sort();
        times.pop().expect("mails")
    };
    let (quiet, busy) = (last(quiet), last(busy));
    println!("slowest of 30 mails: {busy:?} beside greedy clients, {quiet:?} without");
    assert_eq!(server.stop().code(), 0);
}
