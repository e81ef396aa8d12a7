//! Several mails on one connection, and their fates.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use crate::common::{Identity, limited, listen, read_to, serve, upgrade};
use starttls::lmtp::Lmtp;
use starttls::mail::session::{Command, Fate};
use starttls::mail::{Address, Envelope};
use starttls::smtp::{Domain, Smtp};
use starttls::{Error as Rule, Policy, server, smtp};
use starttls_std::{Error, Mailer, Observer, ServerStream, Silent, accept};

/// Counts how often the client sends after it has received.
#[derive(Default)]
struct Flights {
    count: Arc<AtomicUsize>,
    speaking: bool,
}

impl Observer for Flights {
    fn sent(&mut self, _: &[u8]) {
        if !std::mem::replace(&mut self.speaking, true) {
            self.count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn received(&mut self, _: &[u8]) {
        self.speaking = false;
    }
}

#[test]
fn a_mail_takes_two_round_trips() {
    let identity = Identity::new();
    let (port, server) = serve::<Smtp>(identity.inbox());
    let mailer = identity.mailer(port);
    let to = ["a@b.test", "no@b.test", "c@d.test"].map(|to| Address::new(to).expect("an address"));
    let envelope = Envelope::new(None, &to).expect("recipients");
    let mut flights = Flights::default();
    let count = Arc::clone(&flights.count);
    let mut connection = mailer.connect_as::<Smtp>(&mut flights).expect("connected");
    for lines in [0, 1, 100, 10_000] {
        let before = count.load(Ordering::Relaxed);
        let message = b"0123456789\r\n".repeat(lines);
        let receipt = connection.send(&envelope, message.as_slice()).expect("delivered");
        assert!(receipt.recipients[0].is_yes() && !receipt.recipients[1].is_yes());
        assert_eq!(count.load(Ordering::Relaxed) - before, 2, "round trips for {lines} lines");
    }
    connection.quit().expect("a goodbye");
    let (mails, end) = server.join().expect("no panic");
    end.expect("a clean end");
    assert_eq!(mails.len(), 4);
}

#[test]
fn a_refused_mail_keeps_the_connection_open() {
    let identity = Identity::new();
    let inbox = identity.inbox().with_receiver(limited(10));
    let (port, server) = serve::<Smtp>(inbox);
    let mailer = identity.mailer(port);
    let good = [Address::new("a@b.test").expect("an address")];
    let good = Envelope::new(None, &good).expect("recipients");
    let bad = [Address::new("no@b.test").expect("an address")];
    let bad = Envelope::new(None, &bad).expect("recipients");
    let mut connection = mailer.connect().expect("connected");

    let refused = connection.send(&bad, &b"x"[..]).expect_err("no recipient is accepted");
    assert!(matches!(refused, Error::Rejected { command: Command::Recipient, .. }), "{refused}");
    assert_eq!(refused.fate(), Fate::NotSent);
    let refused = connection.send(&good, &b"far too much"[..]).expect_err("too large");
    assert!(matches!(refused, Error::Rejected { command: Command::Message, .. }), "{refused}");
    assert_eq!(refused.fate(), Fate::NotAccepted);
    let refused = connection.send(&good.with_size(11), &b""[..]).expect_err("too large");
    assert_eq!(refused.protocol(), Some(Rule::MessageTooLarge));
    assert_eq!(refused.fate(), Fate::NotSent);

    assert!(connection.is_open());
    connection.send(&good, &b"x"[..]).expect("delivered");
    connection.quit().expect("a goodbye");
    let (mails, end) = server.join().expect("no panic");
    end.expect("a clean end");
    assert_eq!(mails.len(), 1);
}

#[test]
fn lmtp_and_plaintext_have_connections_too() {
    let identity = Identity::new();
    let to = ["a@b.test", "no@b.test", "c@d.test"].map(|to| Address::new(to).expect("an address"));
    let envelope = Envelope::new(None, &to).expect("recipients");

    let (port, server) = serve::<Lmtp>(identity.inbox());
    let mailer = identity.mailer(port);
    let mut connection = mailer.connect_as::<Lmtp>(Silent).expect("connected");
    for n in [1, 3] {
        let receipt = connection.send(&envelope, &b"x"[..]).expect("delivered");
        let said: Vec<_> = receipt.recipients.iter().map(|answer| answer.text.as_str()).collect();
        let [first, last] = [n, n + 1].map(|n| format!("2.0.0 Mail {n}"));
        assert_eq!(said, [&first, "5.1.1 No such user", &last]);
    }
    connection.quit().expect("a goodbye");
    assert_eq!(server.join().expect("no panic").0.len(), 4);

    let inbox = identity.inbox().with_upgrade(upgrade(Policy::Opportunistic, false));
    let (port, server) = serve::<Smtp>(inbox);
    let mailer = Mailer::new(identity.settings(port).with_policy(Policy::Opportunistic));
    let mut connection = mailer.connect().expect("connected");
    for _ in 0..2 {
        connection.send(&envelope, &b"x"[..]).expect("delivered");
    }
    connection.quit().expect("a goodbye");
    assert!(server.join().expect("no panic").0.iter().all(|mail| !mail.peer.is_encrypted()));
}

/// A server that replies to each line, or to a lone dot, with the next of its replies, and leaves when they
/// run out.
fn scripted(identity: &Identity, answers: &'static [&'static str]) -> (u16, JoinHandle<Vec<u8>>) {
    let tls = Arc::clone(&identity.server);
    listen(move |stream| {
        let server = smtp::Server::new(Domain::LOCALHOST, server::Config::default());
        let mut stream: ServerStream = accept(stream, server, &tls).expect("upgraded");
        let mut end = &b"\r\n"[..];
        let mut last = Vec::new();
        for answer in ["250 localhost\r\n"].iter().chain(answers) {
            last = read_to(&mut stream, end).expect("a line");
            stream.write_all(answer.as_bytes()).expect("written");
            end = if answer.starts_with("354") { b"\r\n.\r\n" } else { b"\r\n" };
        }
        if !answers.is_empty() {
            last = read_to(&mut stream, end).unwrap_or(last);
        }
        last
    })
}

/// Returns a line, then an error.
struct Torn(bool);

impl Read for Torn {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !std::mem::replace(&mut self.0, true) {
            buffer[..3].copy_from_slice(b"x\r\n");
            return Ok(3);
        }
        Err(io::Error::other("torn"))
    }
}

#[test]
fn an_error_that_ends_a_connection_has_a_fate() {
    const TO_DATA: [&str; 3] = ["250 ok\r\n", "250 ok\r\n", "354 go\r\n"];
    let identity = Identity::new();
    let to = [Address::new("a@b.test").expect("an address")];
    let envelope = Envelope::new(None, &to).expect("recipients");
    for (answers, fate, error) in [
        (&["250 ok\r\n"][..], Fate::NotSent, Rule::Closed),
        (&["250 ok\r\n", "421 leaving\r\n"], Fate::NotSent, Rule::Closing),
        (&TO_DATA, Fate::Unknown, Rule::Closed),
        (
            &["250 ok\r\n", "250 ok\r\n", "354 go\r\n", "421 no\r\n"],
            Fate::NotAccepted,
            Rule::Closing,
        ),
        (&["250 ok\r\n", "250 ok\r\n", "354 go\r\n", "nonsense\r\n"], Fate::Unknown, Rule::Syntax),
    ] {
        let (port, server) = scripted(&identity, answers);
        let mailer = identity.mailer(port);
        let mut connection = mailer.connect().expect("connected");
        let failed = connection.send(&envelope, &b"x"[..]).expect_err("it ends");
        assert_eq!((failed.fate(), failed.protocol()), (fate, Some(error)), "{answers:?}");
        assert_eq!(failed.fate().is_safe_to_retry(), fate != Fate::Unknown);
        let told = failed.to_string().ends_with("; the server may have the mail");
        assert_eq!(told, fate == Fate::Unknown, "{failed}");

        // Nothing more is sent, and the next mail has its own fate.
        assert!(!connection.is_open());
        let failed = connection.send(&envelope, &b"x"[..]).expect_err("it has ended");
        assert_eq!((failed.fate(), failed.protocol()), (Fate::NotSent, Some(Rule::Closed)));
        assert_eq!(connection.quit().expect_err("ended").protocol(), Some(Rule::Closed));
        server.join().expect("no panic");
    }
}

#[test]
fn replies_of_earlier_transactions_are_kept() {
    const ANSWERS: [&str; 7] = [
        "250 ok\r\n",
        "250 ok\r\n",
        "452 4.5.3 too many\r\n",
        "354 go\r\n",
        "250 2.0.0 the first has it\r\n",
        "250 ok\r\n",
        "250 ok\r\n",
    ];
    let to = ["a@b.test", "c@d.test"].map(|to| Address::new(to).expect("an address"));
    let envelope = Envelope::new(None, &to).expect("recipients");
    let identity = Identity::new();
    for is_known in [true, false] {
        let mut answers = ANSWERS.to_vec();
        // The second message gets no reply, or is not started.
        answers.extend((!is_known).then_some("354 go\r\n"));
        let (port, server) = scripted(&identity, answers.leak());
        let mut connection = identity.mailer(port).connect().expect("connected");
        let outcome = connection.send_to_all(&envelope, || &b"x"[..]);
        let texts: Vec<Option<String>> = match outcome {
            Ok(receipt) if is_known => {
                receipt.recipients.into_iter().map(|answer| Some(answer.text)).collect()
            }
            Err(Error::Unfinished { fate: Fate::Unknown, recipients, .. }) if !is_known => {
                recipients.into_iter().map(|answer| Some(answer?.text)).collect()
            }
            outcome => panic!("{outcome:?}"),
        };
        let second = is_known.then(|| "4.5.3 too many".to_owned());
        assert_eq!(texts, [Some("2.0.0 the first has it".to_owned()), second]);
        server.join().expect("no panic");
    }
}

#[test]
fn a_message_whose_reader_fails_reaches_no_recipient() {
    let identity = Identity::new();
    let (port, server) = serve::<Smtp>(identity.inbox());
    let mailer = identity.mailer(port);
    let to = [Address::new("a@b.test").expect("an address")];
    let envelope = Envelope::new(None, &to).expect("recipients");
    let mut connection = mailer.connect().expect("connected");
    connection.send(&envelope, &b"whole"[..]).expect("delivered");
    let failed = connection.send(&envelope, Torn(false)).expect_err("torn");
    assert_eq!(failed.fate(), Fate::NotAccepted);
    assert_eq!(failed.to_string(), "reading the message: torn; no recipient got the mail");
    assert!(!connection.is_open());
    drop(connection);
    let (mails, end) = server.join().expect("no panic");
    assert_eq!(end.expect_err("no goodbye").protocol(), Some(Rule::Closed));
    assert_eq!(mails.len(), 1);
}

/// A pool stores connections and moves them between threads.
const _: () = {
    const fn is_owned<T: Send + 'static>() {}
    is_owned::<starttls_std::Connection<'static>>();
};
