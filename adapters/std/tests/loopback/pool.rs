//! A pool of connections, against our own server and servers that follow a script.

use std::io::Write as _;
use std::net::TcpListener;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use starttls::Policy;
use starttls::lmtp::Lmtp;
use starttls::mail::dsn::{OriginalRecipient, Recipient, Request, Xtext};
use starttls::mail::session::{Command, Fate};
use starttls::mail::{Address, Envelope, receiver};
use starttls::smtp::Smtp;
use starttls_std::{Answer, Doing, Error, Pool, PoolSettings, Receipt, Settings};

use crate::common::{Identity, read_to, serve};

/// The replies to EHLO, which the client repeats when it continues in plaintext, and to one mail for one
/// recipient.
const MAIL: [&str; 6] =
    ["250 mx\r\n", "250 mx\r\n", "250 ok\r\n", "250 ok\r\n", "354 go\r\n", "250 taken\r\n"];
const BYE: &str = "221 bye\r\n";

/// Serves these connections, one after the other is accepted. Each one replies to the client's lines in turn
/// and then leaves. Returns the lines of each connection; a message is one line.
fn scripted(scripts: Vec<Vec<&'static str>>) -> (u16, JoinHandle<Vec<Vec<String>>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let server = thread::spawn(move || {
        let talks: Vec<_> = scripts
            .into_iter()
            .map(|script| {
                let mut stream = listener.accept().expect("a connection").0;
                thread::spawn(move || {
                    let (mut heard, mut end) = (Vec::new(), &b"\r\n"[..]);
                    stream.write_all(b"220 mx\r\n").expect("written");
                    for reply in script {
                        let line = read_to(&mut stream, end).expect("a line");
                        heard.push(String::from_utf8(line).expect("text").trim_end().to_owned());
                        if stream.write_all(reply.as_bytes()).is_err() {
                            break;
                        }
                        end = if reply.starts_with("354") { b".\r\n" } else { b"\r\n" };
                    }
                    heard
                })
            })
            .collect();
        talks.into_iter().map(|talk| talk.join().expect("no panic")).collect()
    });
    (port, server)
}

/// Fast pauses, for tests.
fn quick() -> PoolSettings {
    PoolSettings::new().with_backoff(Duration::from_millis(1))
}

/// A pool for a server without TLS.
fn pool(port: u16, settings: PoolSettings) -> Pool {
    let identity = Identity::new();
    Pool::new(
        identity.settings(port).with_policy(Policy::Opportunistic).with_domain("me.test"),
        settings,
    )
}

fn send(pool: &Pool, to: &[&str]) -> Result<Receipt, Error> {
    let to: Vec<_> = to.iter().map(|to| Address::new(to).expect("an address")).collect();
    pool.send(&Envelope::new(None, &to).expect("recipients"), b"x\r\n")
}

fn codes(receipt: &[Answer]) -> Vec<u16> {
    receipt.iter().map(|answer| answer.code).collect()
}

#[test]
fn one_connection_carries_many_mails() {
    let identity = Identity::new();
    let (port, server) = serve::<Smtp>(identity.inbox());
    let pool = Pool::new(identity.settings(port), quick());
    let other = pool.clone();
    for _ in 0..2 {
        send(&pool, &["a@b.test"]).expect("sent");
        send(&other, &["a@b.test"]).expect("sent");
    }
    pool.shutdown();
    let (mails, end) = server.join().expect("no panic");
    end.expect("the client says goodbye");
    assert_eq!(mails.len(), 4);
    let refused = send(&other, &["a@b.test"]).expect_err("it is shut down");
    assert_eq!(refused.to_string(), "waiting for a connection: the pool is shut down");
    assert!(matches!(refused, Error::Io { doing: Doing::Waiting, .. }));
}

#[test]
fn a_server_may_leave_an_idle_connection() {
    for (check_after, after_it) in
        [(Duration::ZERO, "RSET"), (Duration::from_secs(60), "MAIL FROM:<>")]
    {
        for last in [None, Some("421 idle for too long\r\n")] {
            let mut first = MAIL.to_vec();
            first.extend(last);
            let (port, server) = scripted(vec![first, [&MAIL[..], &[BYE]].concat()]);
            let settings = quick().with_retries(0).with_check_after(check_after);
            let pool = pool(port, settings);
            send(&pool, &["a@b.test"]).expect("sent");
            let receipt = send(&pool, &["b@b.test"]).expect("sent on a new connection");
            assert_eq!(receipt.recipients[0].text, "taken");
            pool.shutdown();
            let heard = server.join().expect("no panic");
            let mail = [
                "EHLO me.test",
                "EHLO me.test",
                "MAIL FROM:<>",
                "RCPT TO:<a@b.test>",
                "DATA",
                "x\r\n.",
            ];
            assert_eq!(heard[0][..6], mail);
            if last.is_some() {
                assert_eq!(heard[0][6..], [after_it]);
            }
            assert_eq!(heard[1][3..], ["RCPT TO:<b@b.test>", "DATA", "x\r\n.", "QUIT"]);
        }
    }
}

#[test]
fn a_connection_that_passes_the_check_is_used() {
    let mut script = MAIL.to_vec();
    script.push("250 reset\r\n");
    script.extend(&MAIL[2..]);
    script.push(BYE);
    let (port, server) = scripted(vec![script]);
    let pool = pool(port, quick().with_check_after(Duration::ZERO));
    for _ in 0..2 {
        send(&pool, &["a@b.test"]).expect("sent");
    }
    pool.shutdown();
    let heard = server.join().expect("no panic");
    assert_eq!(heard[0][6..8], ["RSET", "MAIL FROM:<>"]);
    assert_eq!(heard[0].last().map(String::as_str), Some("QUIT"));
}

#[test]
fn a_mail_that_may_have_arrived_is_not_sent_again() {
    // The server takes the message and leaves without a reply.
    let (port, server) = scripted(vec![[&MAIL[..5], &[""]].concat()]);
    let pool = pool(port, quick());
    let error = send(&pool, &["a@b.test"]).expect_err("no reply");
    assert_eq!(error.fate(), Fate::Unknown, "{error}");
    let heard = server.join().expect("no panic");
    assert_eq!(heard[0].last().map(String::as_str), Some("x\r\n."));
}

#[test]
fn a_server_that_is_closing_is_tried_again() {
    let (port, server) = scripted(vec![
        vec!["250 mx\r\n", "250 mx\r\n", "421 full, try later\r\n"],
        vec!["421 not now\r\n"],
        // The message is refused for a time, and the connection stays open.
        [&MAIL[..5], &["451 later\r\n"], &MAIL[2..], &[BYE]].concat(),
    ]);
    let pool = pool(port, quick());
    send(&pool, &["a@b.test"]).expect("sent on the last connection");
    pool.shutdown();
    let heard = server.join().expect("no panic");
    assert_eq!(heard[2].iter().filter(|line| *line == "DATA").count(), 2);
}

#[test]
fn only_recipients_that_were_refused_for_a_time_are_tried_again() {
    let (port, server) = scripted(vec![
        [&MAIL[..4], &["450 busy\r\n", "550 no\r\n"], &MAIL[4..]]
            .concat()
            .into_iter()
            .chain(["250 ok\r\n", "451 busy\r\n", "250 reset\r\n", "250 ok\r\n", "250 ok\r\n"])
            .chain(["354 go\r\n", "250 later\r\n", BYE])
            .collect(),
    ]);
    let pool = pool(port, quick());
    let receipt = send(&pool, &["a@b.test", "b@b.test", "c@b.test"]).expect("two have it");
    assert_eq!(codes(&receipt.recipients), [250, 250, 550]);
    assert_eq!(receipt.recipients[1].text, "later");
    pool.shutdown();
    let heard = server.join().expect("no panic");
    let later: Vec<_> = heard[0][7..].iter().filter(|line| line.starts_with("RCPT")).collect();
    assert_eq!(later, ["RCPT TO:<b@b.test>"; 2]);
}

#[test]
fn retries_end_with_the_last_replies() {
    let refused = ["250 ok\r\n", "450 busy\r\n", "250 reset\r\n", "250 ok\r\n", "451 busy\r\n"];
    let script = [&MAIL[..2], &refused, &[BYE]].concat();
    let (port, server) = scripted(vec![script]);
    let pool = pool(port, quick().with_retries(1));
    let error = send(&pool, &["a@b.test"]).expect_err("it stays busy");
    let Error::Rejected { command: Command::Recipient, recipients, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(codes(recipients), [451]);
    pool.shutdown();
    server.join().expect("no panic");
}

#[test]
fn no_retry_starts_after_the_deadline() {
    let (port, server) =
        scripted(vec![vec!["250 mx\r\n", "250 mx\r\n", "250 ok\r\n", "450 busy\r\n", BYE]]);
    let settings = PoolSettings::new().with_backoff(Duration::from_secs(600));
    let pool = pool(port, settings.with_max_backoff(Duration::from_secs(600)));
    let start = Instant::now();
    send(&pool, &["a@b.test"]).expect_err("busy");
    assert!(start.elapsed() < Duration::from_secs(300), "it did not wait for the retry");
    pool.shutdown();
    server.join().expect("no panic");
}

#[test]
fn a_mail_waits_for_a_place_until_its_deadline() {
    // The server does not reply to the first mail until the second one has given up.
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let settings = quick().with_connections(1).with_deadline(Duration::from_millis(50));
    let pool = pool(port, settings);
    thread::scope(|scope| {
        let first = scope.spawn(|| send(&pool, &["a@b.test"]));
        let (stream, _) = listener.accept().expect("a connection");
        let error = send(&pool, &["a@b.test"]).expect_err("the only place is taken");
        assert_eq!(error.to_string(), "waiting for a connection: all are in use");
        assert_eq!(error.fate(), Fate::NotSent);
        drop(stream);
        first.join().expect("no panic").expect_err("the server left");
    });
}

#[test]
fn a_connection_ends_after_its_mails_and_after_its_time() {
    for settings in [quick().with_mails_per_connection(1), quick().with_idle(Duration::ZERO)] {
        let script = [&MAIL[..], &[BYE]].concat();
        let (port, server) = scripted(vec![script.clone(), script]);
        let pool = pool(port, settings);
        for _ in 0..2 {
            send(&pool, &["a@b.test"]).expect("sent");
        }
        for heard in server.join().expect("no panic") {
            assert_eq!(heard.last().map(String::as_str), Some("QUIT"));
        }
    }
}

#[test]
fn recipients_beyond_the_server_s_limit_follow_in_further_transactions() {
    let identity = Identity::new();
    let limits = receiver::Limits::default().with_recipients(100);
    let config = receiver::Config::default().with_limits(limits).with_dsn(true);
    let (port, server) = serve::<Smtp>(identity.inbox().with_receiver(config));
    let names: Vec<String> = (0..250).map(|n| format!("{n}@b.test")).collect();
    let to: Vec<_> = names.iter().map(|name| Address::new(name).expect("an address")).collect();
    // What the sender asks for on each recipient goes with it.
    let each: Vec<_> = names
        .iter()
        .map(|name| {
            let address = Xtext::new(name).expect("xtext");
            let original = OriginalRecipient::new("rfc822", address).expect("an address");
            Recipient::NOTHING.with_original(original).expect("short")
        })
        .collect();
    let envelope = Envelope::new(None, &to).expect("recipients");
    let envelope = envelope.with_dsn(Request::NOTHING.with_each(&each));
    let pool = Pool::new(identity.settings(port), quick().with_retries(0));
    let receipt = pool.send(&envelope, b"x\r\n").expect("sent");
    assert!(receipt.is_complete());
    pool.shutdown();
    let (mails, end) = server.join().expect("no panic");
    end.expect("a clean end");
    assert_eq!(mails.iter().map(|mail| mail.to.len()).collect::<Vec<_>>(), [100, 100, 50]);
    for (recipient, name) in mails.iter().flat_map(|mail| &mail.to).zip(&names) {
        assert_eq!(recipient.path, *name);
        assert_eq!(recipient.original, Some(format!("rfc822;{name}")));
    }
}

/// LMTP replies for each recipient after the message.
#[test]
fn a_pool_speaks_lmtp_too() {
    let identity = Identity::new();
    let (port, server) = serve::<Lmtp>(identity.inbox());
    let pool = Pool::<Lmtp>::new_as(identity.settings(port), quick());
    let to = ["a@b.test", "no@b.test"].map(|to| Address::new(to).expect("an address"));
    let envelope = Envelope::new(None, &to).expect("recipients");
    let receipt = pool.send_with(&envelope, || &b"x\r\n"[..]).expect("one has it");
    assert_eq!(codes(&receipt.recipients), [250, 550]);
    pool.shutdown();
    server.join().expect("no panic").1.expect("a clean end");
}

#[test]
fn a_server_that_is_down_is_tried_as_often_as_set() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let settings: Settings<_> = Identity::new().settings(port);
    let pool = Pool::new(settings, quick().with_retries(2).with_connections(0));
    let error = send(&pool, &["a@b.test"]).expect_err("no server");
    assert!(matches!(error, Error::Io { doing: Doing::Connecting, .. }), "{error}");
    assert!(error.is_temporary());
}
