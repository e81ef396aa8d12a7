//! A mail from `send` to `serve`, with a fault in one of them: the report of `send`, and the files in the directory.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, sleep};
use std::time::Duration;

use crate::inject::{Fault, Page, walk};
use crate::place::Place;
use crate::process::{Ended, Server, end, signal, starttls};
use serde_json::Value;

/// The end of a complete mail.
const END: &str = "the end\r\n";

/// A place with mails and their destination.
pub(crate) struct Mails {
    place: Place,
    runs: AtomicUsize,
}

impl Mails {
    pub(crate) fn new() -> Self {
        let place = Place::new();
        for part in ["inbox", "inbox/tmp", "inbox/new", "inbox/cur"] {
            fs::create_dir(place.path(part)).expect("made");
        }
        Self { place, runs: AtomicUsize::new(0) }
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.place.path(name)
    }

    fn page(&self) -> Page {
        self.place.page()
    }

    /// Writes a unique mail.
    pub(crate) fn write(&self, name: &str) -> String {
        let token = format!("token-{}-", self.runs.fetch_add(1, Ordering::Relaxed));
        let line = "a line of many that take more than one packet and more than one record\n";
        let text = format!(
            "From: a@b.test\nTo: c@d.test\nSubject: {token}\n\n{}the end\n",
            line.repeat(300)
        );
        fs::write(self.path(name), text).expect("written");
        token
    }

    pub(crate) fn serve(&self) -> Command {
        let [cert, key, inbox] = ["cert.pem", "key.pem", "inbox"].map(|name| self.path(name));
        starttls(&[
            "serve",
            "smtp",
            "--cert",
            &cert,
            "--key",
            &key,
            "--deliver",
            &inbox,
            "--no-trace",
            "--drain",
            "5",
        ])
    }

    pub(crate) fn send(&self, port: &str, what: &str) -> Command {
        let [ca, what] = ["ca.pem", what].map(|name| self.path(name));
        let url = format!("smtp://localhost:{port}");
        let to = ["--from", "a@b.test", "--to", "c@d.test", "--timeout", "20", "--json", &what];
        let mut command = starttls(&["send", "--server", &url, "--ca", &ca]);
        command.args(to);
        command
    }

    /// The mails in the directory, each checked to be complete.
    fn inbox(&self) -> Vec<String> {
        let files = fs::read_dir(self.path("inbox/new")).expect("a directory");
        let files: Vec<PathBuf> = files.map(|file| file.expect("a file").path()).collect();
        let read = |path: PathBuf| {
            let text = fs::read_to_string(path).expect("text");
            assert!(text.ends_with(END), "a mail was cut: {text}");
            text
        };
        files.into_iter().map(read).collect()
    }

    /// Whether the mail is stored exactly once.
    pub(crate) fn has(&self, token: &str) -> bool {
        let count = self.inbox().iter().filter(|text| text.contains(token)).count();
        assert!(count < 2, "{token} is there {count} times");
        count == 1
    }

    /// Deletes the delivered mails, so that later checks are fast.
    fn clear(&self) {
        for file in fs::read_dir(self.path("inbox/new")).expect("a directory") {
            fs::remove_file(file.expect("a file").path()).expect("removed");
        }
    }
}

/// Whether the report about a mail is true.
fn judge(ended: &Ended, is_there: bool, about: impl std::fmt::Debug) {
    let code = ended.code();
    let report: Option<Value> = serde_json::from_slice(&ended.out).ok();
    let fate = report.as_ref().map(|report| report["fate"].as_str().expect("a fate"));
    let honest = match (fate, code) {
        (Some("accepted"), _) | (None, 0) => is_there,
        (Some("unknown"), _) | (None, 11) => true,
        (Some("not sent" | "not accepted"), code) => !is_there && code != 0,
        (None, _) => !is_there,
        _ => false,
    };
    assert!(honest, "{about:?}: there: {is_there}, {ended:?}");
}

#[test]
fn send_reports_the_truth_at_each_fault() {
    let place = Mails::new();
    let server = Server::start(place.serve()).expect("it listens");
    let run = |fault: Fault| {
        place.clear();
        let token = place.write("mail.eml");
        let page = place.page();
        let mut command = place.send(&server.port, "mail.eml");
        page.inject(&mut command, Some(fault));
        let ended = end(command.spawn().expect("it starts"));
        judge(&ended, place.has(&token), fault);
        page.faults() > 0
    };
    let walked = walk(
        &["receive", "send", "connect", "open", "read", "write", "sync", "name", "print"],
        run,
    );
    println!("send: {walked:?}");
    let faults: u64 = walked.iter().map(|(_, count)| count).sum();
    assert!(faults > 20, "{walked:?}");
    assert_eq!(server.stop().code(), 0);
}

#[test]
fn serve_keeps_its_word_at_each_fault() {
    let place = Mails::new();
    let run = |fault: Fault| {
        place.clear();
        let page = place.page();
        let mut command = place.serve();
        page.inject(&mut command, Some(fault));
        let server = match Server::start(command) {
            Ok(server) => server,
            Err(ended) => {
                // It reports the reason, or could not print where it listens, and continued.
                let is_told = !ended.err.is_empty() || fault.is_of("print");
                assert!(ended.code() == 0 || is_told, "{fault:?}: {ended:?}");
                assert!(page.faults() > 0, "{ended:?}");
                return true;
            }
        };
        for _ in 0..2 {
            let token = place.write("mail.eml");
            let ended = end(place.send(&server.port, "mail.eml").spawn().expect("it starts"));
            judge(&ended, place.has(&token), fault);
        }
        let ended = server.stop();
        assert_eq!(ended.code(), 0, "{fault:?}: {ended:?}");
        let left = fs::read_dir(place.path("inbox/tmp")).expect("a directory").count();
        assert_eq!(left, 0, "{fault:?}: {left} files are left");
        page.faults() > 0
    };
    let walked =
        walk(&["receive", "send", "accept", "open", "read", "write", "sync", "name", "print"], run);
    println!("serve: {walked:?}");
    let faults: u64 = walked.iter().map(|(_, count)| count).sum();
    assert!(faults > 20, "{walked:?}");
}

/// A batch with its record and a fault, then the same again: no mail is lost, and none is duplicated silently.
#[test]
fn a_batch_with_a_fault_is_finished_by_the_next_run() {
    let place = Mails::new();
    let server = Server::start(place.serve()).expect("it listens");
    let run = |fault: Fault| {
        place.clear();
        let _ = fs::remove_dir_all(place.path("batch"));
        fs::create_dir(place.path("batch")).expect("made");
        let tokens = ["batch/1.eml", "batch/2.eml"].map(|name| place.write(name));
        let page = place.page();
        let mut command = place.send(&server.port, "batch");
        page.inject(&mut command, Some(fault));
        let first = end(command.spawn().expect("it starts"));
        first.code();
        for _ in 0..2 {
            end(place.send(&server.port, "batch").spawn().expect("it starts")).code();
        }
        for token in &tokens {
            let count = place.inbox().iter().filter(|text| text.contains(token)).count();
            let said = String::from_utf8_lossy(&first.out).contains("unknown")
                || first.err.contains("could not be recorded")
                || first.err.contains("sent mails are not recorded");
            assert!(count == 1 || (count == 2 && said), "{fault:?}: {count} {first:?}");
        }
        page.faults() > 0
    };
    let walked = walk(&["receive", "send", "open", "read", "write", "sync", "print"], run);
    println!("batch: {walked:?}");
    let faults: u64 = walked.iter().map(|(_, count)| count).sum();
    assert!(faults > 20, "{walked:?}");
    assert_eq!(server.stop().code(), 0);
}

/// The server is killed while clients send: every accepted mail is stored, and none twice or incomplete.
#[test]
fn a_killed_server_has_every_accepted_mail() {
    let place = Mails::new();
    for round in 0..rounds() {
        let server = Server::start(place.serve()).expect("it listens");
        let tokens: Vec<_> = (0..4).map(|n| place.write(&format!("{n}.eml"))).collect();
        let clients: Vec<_> = (0..4)
            .map(|n| place.send(&server.port, &format!("{n}.eml")).spawn().expect("it starts"))
            .collect();
        sleep(Duration::from_millis(7 * (round % 40)));
        server.kill();
        for (token, client) in tokens.iter().zip(clients) {
            judge(&end(client), place.has(token), round);
        }
        place.clear();
    }
    // Another start removes incomplete files.
    assert_eq!(Server::start(place.serve()).expect("it listens").stop().code(), 0);
    assert_eq!(fs::read_dir(place.path("inbox/tmp")).expect("a directory").count(), 0);
}

/// A batch is killed repeatedly: every mail arrives, and one that arrives twice was reported as unknown before.
#[test]
fn a_killed_batch_continues() {
    let place = Mails::new();
    let server = Server::start(place.serve()).expect("it listens");
    fs::create_dir(place.path("batch")).expect("made");
    let tokens: Vec<_> = (0..60).map(|n| place.write(&format!("batch/{n}.eml"))).collect();
    let mut unknown = 0;
    for round in 0..rounds() {
        let mut child = place.send(&server.port, "batch").spawn().expect("it starts");
        sleep(Duration::from_millis(60 + 3 * (round % 40)));
        let _ = child.try_wait().expect("a child").is_none().then(|| signal(&child, "KILL"));
        // The kill may have cut the last line.
        let ended = end(child);
        let text = String::from_utf8_lossy(&ended.out).into_owned();
        unknown += text.matches("\"earlier\":\"unknown\"").count();
    }
    let last = end(place.send(&server.port, "batch").spawn().expect("it starts"));
    assert_eq!(last.code(), 0, "{last:?}");
    unknown += String::from_utf8_lossy(&last.out).matches("\"earlier\":\"unknown\"").count();
    let inbox = place.inbox();
    for token in &tokens {
        let count = inbox.iter().filter(|text| text.contains(token)).count();
        assert!(count >= 1, "{token} is lost");
    }
    // A kill may also hide that a mail was sent again.
    let doubled = inbox.len() - tokens.len();
    assert!(doubled as u64 <= rounds(), "{doubled} arrived twice");
    println!("batch: {} mails, {doubled} twice, {unknown} said to be sent again", tokens.len());
    assert_eq!(server.stop().code(), 0);
}

/// The number of kills: `KILLS`, or 30.
fn rounds() -> u64 {
    std::env::var("KILLS").map_or(30, |kills| kills.parse().expect("KILLS: a number"))
}

/// Two servers on one directory: each mail is stored once, and neither removes the other's files.
#[test]
fn two_processes_on_one_directory() {
    let place = Mails::new();
    let servers = [0, 1].map(|_| Server::start(place.serve()).expect("it listens"));
    let tokens: Vec<_> = (0..20).map(|n| place.write(&format!("{n}.eml"))).collect();
    let clients: Vec<_> = (0..20)
        .map(|n| {
            let command = place.send(&servers[n % 2].port, &format!("{n}.eml")).spawn();
            (command.expect("it starts"), n)
        })
        .collect();
    // A third one starts and removes incomplete files while they write.
    let third = thread::spawn({
        let command = place.serve();
        move || Server::start(command).expect("it listens").stop().code()
    });
    for (client, n) in clients {
        let ended = end(client);
        assert_eq!(ended.code(), 0, "{ended:?}");
        assert!(place.has(&tokens[n]));
    }
    assert_eq!(third.join().expect("no panic"), 0);
    for server in servers {
        assert_eq!(server.stop().code(), 0);
    }
}
