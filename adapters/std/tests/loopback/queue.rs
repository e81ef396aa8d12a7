//! The queue and a server: what the sender asks of reports.

use std::net::TcpListener;
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use crate::common::{Identity, Kept};
use starttls::mail::dsn::{Notify, OriginalRecipient, Recipient, Request, Return, Xtext};
use starttls::mail::{Address, Envelope, receiver};
use starttls::smtp::Smtp;
use starttls_std::queue::{Queue, QueueSettings};
use starttls_std::{Inbox, Mail, Pool, PoolSettings, Silent, Transport};

/// Serves connections until two mails have arrived.
fn two_mails(identity: &Identity, has_dsn: bool) -> (u16, JoinHandle<Vec<Mail>>) {
    let config = receiver::Config::default().with_dsn(has_dsn);
    let inbox = Inbox::new(identity.inbox().with_receiver(config));
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let serve = move || {
        let mut kept = Kept::default();
        while kept.0.len() < 2 {
            let stream = listener.accept().expect("a connection").0;
            // A client that misses DSN, or whose pool is dropped, leaves without QUIT.
            let _ = inbox.receive::<Smtp>(stream, &mut kept, Silent);
        }
        kept.0
    };
    (port, thread::spawn(serve))
}

/// What a server gets from a queue: a mail that asks for reports, for one recipient that is accepted and one that is
/// not, and the queue's report.
fn sent(has_dsn: bool, transport: impl Fn(&Identity, u16) -> Box<dyn Transport>) -> Vec<Mail> {
    let directory = tempfile::tempdir().expect("a directory");
    let queue = Queue::open(directory.path(), QueueSettings::new("mx.example.test"));
    let queue = queue.expect("a queue");
    let identity = Identity::new();
    let (port, server) = two_mails(&identity, has_dsn);
    let to = ["a@b.test", "no@b.test"].map(|to| Address::new(to).expect("an address"));
    let xtext = |text| Xtext::new(text).expect("xtext");
    let original = OriginalRecipient::new("rfc822", xtext("x@b.test")).expect("valid");
    let each = [
        Recipient::NOTHING.with_notify(Notify::SUCCESS).with_original(original).expect("short"),
        Recipient::NOTHING.with_notify(Notify::FAILURE),
    ];
    let request = Request::NOTHING.with_returns(Return::Headers).with_id(xtext("7"));
    let request = request.expect("short").with_each(&each);
    let from = Some(Address::new("me@b.test").expect("an address"));
    let envelope = Envelope::new(from, &to).expect("recipients").with_dsn(request);
    let now = SystemTime::now();
    queue.push(&envelope, b"Subject: x\r\n\r\nbody\r\n", now).expect("stored");
    let transport = transport(&identity, port);
    let run = queue.run(&*transport, now).expect("a run");
    assert_eq!((run.delivered, run.failed, run.waiting), (1, 1, 1), "the report waits");
    let run = queue.run(&*transport, now + Duration::from_secs(1)).expect("a run");
    assert_eq!((run.delivered, run.waiting), (1, 0));
    drop(transport);
    server.join().expect("no panic")
}

fn by_mailer(identity: &Identity, port: u16) -> Box<dyn Transport> {
    Box::new(identity.mailer(port))
}

fn by_pool(identity: &Identity, port: u16) -> Box<dyn Transport> {
    Box::new(Pool::<Smtp>::new(identity.settings(port), PoolSettings::new()))
}

#[test]
fn a_server_with_dsn_gets_the_requests() {
    for transport in [by_mailer, by_pool] {
        let mails = sent(true, transport);
        let [mail, report] = &mails[..] else { panic!("{} mails", mails.len()) };
        assert_eq!((mail.returns, mail.envelope_id.as_deref()), (Some(Return::Headers), Some("7")));
        let to = &mail.to[0];
        let (notify, original) = (to.notify, to.original.as_deref());
        assert_eq!((notify, original), (Some(Notify::SUCCESS), Some("rfc822;x@b.test")));
        // The delivery to the other recipient is the server's to report.
        let report = String::from_utf8_lossy(&report.message);
        assert!(
            report.contains("Action: failed") && !report.contains("Action: relayed"),
            "{report}"
        );
    }
}

#[test]
fn a_server_without_dsn_gets_the_mail() {
    for transport in [by_mailer, by_pool] {
        let mails = sent(false, transport);
        let [mail, report] = &mails[..] else { panic!("{} mails", mails.len()) };
        assert_eq!((mail.returns, mail.envelope_id.as_deref()), (None, None));
        assert_eq!((mail.to[0].notify, mail.to[0].original.as_deref()), (None, None));
        let report = String::from_utf8_lossy(&report.message);
        for part in [
            "Original-Envelope-Id: 7\r\n",
            "Original-Recipient: rfc822; x@b.test\r\nFinal-Recipient: rfc822; a@b.test\r\nAction: relayed\r\n",
            "Final-Recipient: rfc822; no@b.test\r\nAction: failed\r\nStatus: 5.1.1\r\n",
        ] {
            assert!(report.contains(part), "{part}: {report}");
        }
    }
}
