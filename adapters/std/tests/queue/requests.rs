//! What a sender asks of reports about its mail: what the queue passes on, and what it reports itself.

use std::fs;
use std::sync::Mutex;

use starttls::mail::dsn::{Notify, OriginalRecipient, Recipient, Request, Return, Xtext};
use starttls::mail::{Address, Envelope, EnvelopeBuf};
use starttls_std::queue::Queue;
use starttls_std::{Addresses, Error, Receipt, Recorder, Transport};

use crate::{DAY, at, by_name, counts, open};

/// A server, with or without DSN. The first three letters of a recipient are the reply's code.
#[derive(Default)]
struct Server {
    has_dsn: bool,
    /// The envelopes that it was asked to take.
    seen: Mutex<Vec<EnvelopeBuf>>,
    reports: Recorder,
}

impl Server {
    fn seen(&self) -> Vec<EnvelopeBuf> {
        std::mem::take(&mut self.seen.lock().expect("no panic"))
    }

    /// The reports that arrived.
    fn reports(&self) -> Vec<String> {
        let text = |message| String::from_utf8(message).expect("ASCII");
        self.reports.take().into_iter().map(|mail| text(mail.message)).collect()
    }
}

impl Transport for Server {
    fn send(&self, envelope: &Envelope<'_>, message: &[u8]) -> Result<Receipt, Error> {
        if envelope.from().is_none() {
            return Transport::send(&self.reports, envelope, message);
        }
        self.seen.lock().expect("no panic").push(EnvelopeBuf::from(envelope));
        if envelope.dsn() != Request::NOTHING && !self.has_dsn {
            return Err(starttls::Error::NoDsn.into());
        }
        by_name(&Addresses::from(envelope))
    }
}

fn address(text: &str) -> Address<'_> {
    Address::new(text).expect("an address")
}

fn push(queue: &Queue, to: &[&str], request: Request<'_>) {
    let to: Vec<_> = to.iter().map(|to| address(to)).collect();
    let envelope = Envelope::new(Some(address("me@b.test")), &to).expect("recipients");
    let message = b"Subject: x\r\n\r\nbody\r\n";
    queue.push(&envelope.with_dsn(request), message, at(0)).expect("stored");
}

/// The reports that arrive by two runs, the first of which may make them.
fn reports(queue: &Queue, server: &Server) -> Vec<String> {
    queue.run(server, at(0)).expect("a run");
    queue.run(server, at(1)).expect("a run");
    server.reports()
}

#[test]
fn requests_are_passed_on_with_each_attempt() {
    let directory = tempfile::tempdir().expect("a directory");
    let queue = open(directory.path());
    let xtext = |text| Xtext::new(text).expect("xtext");
    let original = OriginalRecipient::new("rfc822", xtext("sales+2B1@b.test")).expect("valid");
    let nothing = Recipient::NOTHING;
    let each = [
        nothing.with_notify(Notify::NEVER),
        nothing
            .with_notify(Notify::SUCCESS.and(Notify::DELAY))
            .with_original(original)
            .expect("short"),
        nothing,
    ];
    let request = Request::NOTHING.with_returns(Return::Full).with_id(xtext("order-7"));
    let request = request.expect("short");
    push(&queue, &["a@b.test", "450@b.test", "451@b.test"], request.with_each(&each));
    let server = Server { has_dsn: true, ..Server::default() };
    assert_eq!(counts(queue.run(&server, at(0)).expect("a run")), [1, 0, 1]);
    assert_eq!(counts(queue.run(&server, at(DAY)).expect("a run")), [0, 0, 1]);
    let seen = server.seen();
    let views: Vec<_> = seen.iter().map(EnvelopeBuf::view).collect();
    let requests: Vec<_> = views.iter().map(|view| view.envelope().dsn()).collect();
    // The second attempt is for the other two recipients.
    assert_eq!(requests, [request.with_each(&each), request.with_each(&each[1..])]);
    assert!(server.reports().is_empty());
}

#[test]
fn a_mail_without_requests_asks_for_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let queue = open(directory.path());
    push(&queue, &["a@b.test"], Request::NOTHING);
    let server = Server::default();
    assert_eq!(counts(queue.run(&server, at(0)).expect("a run")), [1, 0, 0]);
    let seen = server.seen();
    let to = [address("a@b.test")];
    let expected = Envelope::new(Some(address("me@b.test")), &to).expect("a recipient");
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].view().envelope(), expected.with_size(20), "not even DSN is demanded");
}

#[test]
fn failures_are_reported_as_the_sender_asks() {
    let directory = tempfile::tempdir().expect("a directory");
    let queue = open(directory.path());
    let ask = |notify| Recipient::NOTHING.with_notify(notify);
    let each = [
        ask(Notify::NEVER),
        ask(Notify::SUCCESS.and(Notify::DELAY)),
        ask(Notify::FAILURE),
        Recipient::NOTHING,
    ];
    let to = ["550never@b.test", "551success@b.test", "552failure@b.test", "553unsaid@b.test"];
    let id = Xtext::new("order+2B7").expect("xtext");
    let request = Request::NOTHING.with_each(&each).with_id(id).expect("short");
    push(&queue, &to, request.with_returns(Return::Headers));
    let server = Server { has_dsn: true, ..Server::default() };
    assert_eq!(queue.run(&server, at(0)).expect("a run").failed, 4);
    let arrived = reports(&queue, &server);
    let [report] = &arrived[..] else { panic!("{} reports", arrived.len()) };
    let told: Vec<_> = report.lines().filter(|line| line.starts_with("Final-Recipient")).collect();
    assert_eq!(told, [to[2], to[3]].map(|to| format!("Final-Recipient: rfc822; {to}")));
    // A report does not name the others (RFC 3461 §5.2.8).
    assert!(!report.contains(to[0]) && !report.contains(to[1]), "{report}");
    assert!(report.contains("Original-Envelope-Id: order+7\r\n"), "{report}");
    assert!(!report.contains("body"), "{report}");

    push(&queue, &["550@b.test"], Request::NOTHING.with_notify(Notify::NEVER));
    assert!(reports(&queue, &server).is_empty());
    assert!(queue.list().expect("readable").waiting.is_empty());

    push(&queue, &["550@b.test"], Request::NOTHING.with_returns(Return::Full));
    let reports = reports(&queue, &server);
    assert!(
        reports[0].contains("message/rfc822\r\n\r\nSubject: x\r\n\r\nbody\r\n"),
        "{}",
        reports[0]
    );
}

/// RFC 3461 §5.2.2.
#[test]
fn a_server_without_dsn_gets_the_mail_without_requests() {
    let directory = tempfile::tempdir().expect("a directory");
    let queue = open(directory.path());
    let success = Recipient::NOTHING.with_notify(Notify::SUCCESS);
    let each = [success, Recipient::NOTHING, success];
    push(&queue, &["a@b.test", "c@b.test", "450@b.test"], Request::NOTHING.with_each(&each));
    let server = Server::default();
    assert_eq!(counts(queue.run(&server, at(0)).expect("a run")), [2, 0, 2]);
    let asked: Vec<_> = server
        .seen()
        .iter()
        .map(|envelope| envelope.view().envelope().dsn() != Request::NOTHING)
        .collect();
    assert_eq!(asked, [true, false]);
    let arrived = reports(&queue, &server);
    let [report] = &arrived[..] else { panic!("{} reports", arrived.len()) };
    let entry = "Final-Recipient: rfc822; a@b.test\r\nAction: relayed\r\nStatus: 2.1.1\r\n";
    assert!(report.contains(entry), "{report}");
    assert!(!report.contains("c@b.test") && !report.contains("450@b.test"), "{report}");
}

/// The first version of the format had no requests.
#[test]
fn a_mail_of_the_first_version_is_sent() {
    let directory = tempfile::tempdir().expect("a directory");
    let queue = open(directory.path());
    let head = "starttls-queue 1\nsince 1795262400\nneeds\nfrom me@b.test\nto 550@b.test\n\n";
    let file = directory.path().join("mails/1-2-3.mail");
    fs::write(file, format!("{head}Subject: x\r\n\r\nbody\r\n")).expect("a file");
    let server = Server::default();
    let reports = reports(&queue, &server);
    assert_eq!(server.seen().len(), 1);
    assert!(
        reports[0].contains("Action: failed\r\n") && !reports[0].contains("body"),
        "{}",
        reports[0]
    );

    push(&queue, &["450@b.test"], Request::NOTHING);
    push(&queue, &["450@b.test"], Request::NOTHING.with_notify(Notify::NEVER));
    let versions = queue.list().expect("readable").waiting.into_iter().map(|mail| {
        let file = directory.path().join(format!("mails/{}.mail", mail.id));
        let text = fs::read_to_string(file).expect("a file");
        text.lines().next().map(str::to_owned)
    });
    let versions: Vec<_> = versions.collect();
    assert_eq!(versions, [1, 2].map(|version| Some(format!("starttls-queue {version}"))));
    // Both are known while they wait.
    queue.run(&server, at(0)).expect("a run");
    assert_eq!(queue.run(&server, at(1)).expect("a run").unreadable, 0);
}
