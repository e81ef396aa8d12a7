//! The LMTP server.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use starttls::lmtp::Lmtp;
use starttls::mail::{Address, Envelope};
use starttls::{Introduction, Policy, Roles as _};
use starttls_std::{Mailer, Receipt, Route, Settings, Silent, upgrade};

use crate::common::{Files, PATIENCE, Running, until};

struct Delivery {
    files: Files,
    running: Running,
}

impl Delivery {
    fn start() -> Self {
        let files = Files::new();
        for mailbox in ["mail/alice", "mail/bob"] {
            fs::create_dir_all(files.path(mailbox)).expect("a directory");
        }
        // Nothing can be delivered to bob.
        files.write("mail/bob/tmp", "");
        let mut command = Command::new(env!("CARGO_BIN_EXE_lmtp"));
        command.args(["lmtp.sock", "mail", "chain.pem", "key.pem"].map(|name| files.path(name)));
        let running = Running::start(&mut command);
        let delivery = Self { files, running };
        until("the socket", || delivery.connect().ok());
        delivery
    }

    fn connect(&self) -> std::io::Result<UnixStream> {
        let stream = UnixStream::connect(self.files.path("lmtp.sock"))?;
        stream.set_read_timeout(Some(PATIENCE)).map(|()| stream)
    }

    fn send(&self, to: &[&str], message: &[u8]) -> Receipt {
        let to: Vec<_> = to.iter().map(|to| Address::new(to).expect("an address")).collect();
        let from = Some(Address::new("me@example.org").expect("an address"));
        let settings = Settings::new("localhost", self.files.client());
        let mailer = Mailer::new(settings.with_route(Route::Unix(self.files.path("lmtp.sock"))));
        let envelope = Envelope::new(from, &to).expect("recipients");
        mailer.send_as::<Lmtp>(&envelope, message, Silent).expect("a receipt")
    }

    /// The certificate that the server shows.
    fn certificate(&self) -> Vec<u8> {
        let names = Introduction::new("localhost", [0; 20]);
        let client = Lmtp::client(&names, Policy::Required).expect("names");
        let stream = self.connect().expect("connected");
        let stream = upgrade(stream, client, &self.files.client(), "localhost").expect("TLS");
        stream.conn.peer_certificates().expect("a certificate")[0].to_vec()
    }
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
    entries.map(|entry| name(entry).into_string().expect("UTF-8")).collect()
}

#[test]
fn each_recipient_has_a_reply() {
    let delivery = Delivery::start();
    let message = b"Subject: x\r\n\r\n.y\r\n";
    let to = ["alice@example.org", "nobody@example.org", "bob@example.org"];
    let receipt = delivery.send(&to, message);
    let codes: Vec<_> = receipt.recipients.iter().map(|answer| answer.code).collect();
    assert_eq!(codes, [250, 550, 451]);
    let mailbox = delivery.files.path("mail/alice");
    let new = names(&mailbox.join("new"));
    assert_eq!((new.len(), names(&mailbox.join("tmp")).len()), (1, 0));
    let stored = fs::read_to_string(mailbox.join("new").join(&new[0])).expect("a mail");
    let (trace, rest) = stored.split_once("Received: ").expect("a trace");
    let expected = "Return-Path: <me@example.org>\r\nDelivered-To: alice@example.org\r\n";
    assert_eq!(trace, expected);
    assert!(rest.contains("with LMTPS") && rest.ends_with("Subject: x\r\n\r\n.y\r\n"), "{rest}");

    // No address leads out of the directory.
    for to in ["/etc@example.org", "alice/new@example.org", "\"..\"@example.org"] {
        let mut stream = inside(&delivery);
        let replies = [
            ask(&mut stream, "LHLO me"),
            ask(&mut stream, "MAIL FROM:<>"),
            ask(&mut stream, &format!("RCPT TO:<{to}>")),
        ];
        assert!(replies[1].starts_with("250 ") && replies[2].starts_with('5'), "{replies:?}");
    }
}

type Inside = BufReader<starttls_std::ClientStream<UnixStream>>;

/// A connection that uses TLS.
fn inside(delivery: &Delivery) -> Inside {
    let names = Introduction::new("localhost", [0; 20]);
    let client = Lmtp::client(&names, Policy::Required).expect("names");
    let stream = delivery.connect().expect("connected");
    let tls = delivery.files.client();
    BufReader::new(upgrade(stream, client, &tls, "localhost").expect("TLS"))
}

/// The last line of the reply to a command.
fn ask(stream: &mut Inside, command: &str) -> String {
    let inner = stream.get_mut();
    write!(inner, "{command}\r\n").and_then(|()| inner.flush()).expect("written");
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).expect("a reply");
        if line.as_bytes().get(3) != Some(&b'-') {
            return line;
        }
    }
}

#[test]
fn a_renewed_certificate_needs_no_restart() {
    let delivery = Delivery::start();
    let files = &delivery.files;
    assert_eq!(delivery.certificate(), files.server.der().to_vec());
    // Between the renewal of the two files they do not match.
    let renewed = files.ca.localhost();
    files.write("chain.pem", &renewed.pem());
    delivery.running.signal("-HUP");
    delivery.running.says("the private key of the certificate in");
    assert_eq!(delivery.certificate(), files.server.der().to_vec());
    files.install(&renewed);
    delivery.running.signal("-HUP");
    until("the certificate", || (delivery.certificate() == renewed.der().to_vec()).then_some(()));
    delivery.running.signal("-TERM");
    assert!(delivery.running.wait().0.success());
}

#[test]
fn it_ends_in_order() {
    let delivery = Delivery::start();
    let (mut idle, mut busy) = (inside(&delivery), inside(&delivery));
    for command in ["LHLO me", "MAIL FROM:<>", "RCPT TO:<alice@example.org>"] {
        assert!(ask(&mut busy, command).starts_with("250 "), "{command}");
    }
    assert!(ask(&mut busy, "DATA").starts_with("354 "));
    delivery.running.signal("-TERM");
    let mut last = String::new();
    idle.read_to_string(&mut last).expect("an end");
    assert!(last.starts_with("421 "), "{last}");
    // The mail that has begun is delivered.
    assert!(ask(&mut busy, "Subject: x\r\n\r\n.").starts_with("250 "));
    last.clear();
    busy.read_to_string(&mut last).expect("an end");
    assert!(last.starts_with("421 "), "{last}");
    assert_eq!(names(&delivery.files.path("mail/alice/new")).len(), 1);
    let Delivery { files, running } = delivery;
    assert!(running.wait().0.success());
    assert!(!files.path("lmtp.sock").exists());
}
