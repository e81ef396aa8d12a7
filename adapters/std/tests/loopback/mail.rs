//! Whole mails over loopback.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};

use crate::common::{Identity, limited, read_to, send, send_lmtp, serve, upgrade};
use starttls::lmtp::Lmtp;
use starttls::mail::message::{Attachment, Mailbox};
use starttls::mail::receiver;
use starttls::mail::session::Command;
use starttls::mail::{Address, Checked, Envelope, Message};
use starttls::smtp::Smtp;
use starttls::{Error as Rule, Policy};
use starttls_std::{Composed, Error, Mail, Mailer, Mode};

fn paths(mail: &Mail) -> Vec<&str> {
    mail.to.iter().map(|to| to.path.as_str()).collect()
}

#[test]
fn a_mail_over_starttls() {
    let identity = Identity::new();
    let (port, server) = serve::<Smtp>(identity.inbox());
    let body = b"Subject: x\n\n.dots\n..\nend";
    let receipt = send(&identity.settings(port), &["a@b.test", "no@b.test", "c@d.test"], body)
        .expect("two of three are accepted");
    let codes: Vec<_> = receipt.recipients.iter().map(|answer| answer.code).collect();
    assert_eq!(codes, [250, 550, 250]);
    assert_eq!(receipt.recipients[0].text, "2.0.0 Mail 1");
    assert_eq!(receipt.recipients[1].status.map(|status| status.to_string()), Some("5.1.1".into()));
    assert!(!receipt.is_complete());
    let (mails, end) = server.join().expect("no panic");
    end.expect("a clean end");
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].from, "me@example.test");
    assert_eq!(paths(&mails[0]), ["a@b.test", "c@d.test"]);
    assert_eq!(mails[0].message, b"Subject: x\r\n\r\n.dots\r\n..\r\nend\r\n");
    assert!(mails[0].peer.is_encrypted());
}

#[test]
fn a_composed_message() {
    let identity = Identity::new();
    let (port, server) = serve::<Smtp>(identity.inbox());
    let from = Address::new("me@example.test").expect("an address");
    let to = [Address::new("a@b.test").expect("an address")];
    let mailboxes = to.map(Mailbox::from);
    let files = [Attachment::new("a/b", "c").expect("a file").with_size(3)];
    let message =
        Message::new(from.into(), &mailboxes).with_text(".dots\n.").with_attachments(&files);
    let envelope = Envelope::new(Some(from), &to).expect("recipients");
    let envelope = envelope.with_size(message.size().expect("all sizes"));
    let compose = || Composed::new(&message, vec![Box::new(&b"abc"[..])]).expect("one file");
    identity.mailer(port).send(&envelope, compose()).expect("delivered");
    let (mails, end) = server.join().expect("no panic");
    end.expect("a clean end");
    let mut expected = Vec::new();
    compose().read_to_end(&mut expected).expect("composed");
    assert_eq!(mails[0].message, expected);
    assert_eq!(Some(expected.len()), message.size());
}

#[test]
fn lmtp_replies_for_each_recipient() {
    let identity = Identity::new();
    let (port, server) = serve::<Lmtp>(identity.inbox());
    let to = ["a@b.test", "no@b.test", "c@d.test"];
    let receipt =
        send_lmtp(&identity.settings(port), &to, b"x\r\n").expect("two of three accepted");
    let said: Vec<_> = receipt.recipients.iter().map(|answer| answer.text.as_str()).collect();
    assert_eq!(said, ["2.0.0 Mail 1", "5.1.1 No such user", "2.0.0 Mail 2"]);
    let (mails, end) = server.join().expect("no panic");
    end.expect("a clean end");
    let to: Vec<_> = mails.iter().map(paths).collect();
    assert_eq!(to, [["a@b.test"], ["c@d.test"]]);
}

#[test]
fn tls_may_come_first() {
    let identity = Identity::new();
    let mut inbox = identity.inbox();
    inbox = inbox.with_mode(Mode::Implicit);
    let (port, server) = serve::<Smtp>(inbox);
    let mailer = identity.settings(port).with_mode(Mode::Implicit);
    send(&mailer, &["a@b.test"], b"x\r\n").expect("delivered");
    let (mails, end) = server.join().expect("no panic");
    end.expect("a clean end");
    assert_eq!(mails.len(), 1);
}

#[test]
fn a_checked_message_leaves_as_it_is() {
    let identity = Identity::new();
    let (port, server) = serve::<Smtp>(identity.inbox());
    let from = Address::new("me@example.test").expect("an address");
    let to = [Address::new("a@b.test").expect("an address")];
    let envelope = Envelope::new(Some(from), &to).expect("recipients");
    let file = b"Subject: x\r\n\r\n".iter().chain([b'x'; 76].iter().chain(b"\r\n").cycle());
    let file: Vec<u8> = file.take(300_000).copied().collect();
    let dots = [&file[..40_000], b"\r\n.\r\n..\r\n", &file[..70_000], b".\r\n.end"].concat();
    let messages = [&b".dots\r\n.\r\n"[..], &file, &dots, b"", b"short"];
    let mut connection = identity.mailer(port).connect().expect("a connection");
    for message in messages {
        let message = Checked::new(message).expect("good lines");
        connection.send_checked(&envelope, message).expect("delivered");
    }
    let promised = Checked::promised(b"a\r\n.\0");
    let broken = connection.send_checked(&envelope, promised).expect_err("a NUL");
    assert_eq!(broken.to_string(), "the message has a NUL byte; no recipient got the mail");
    assert!(broken.fate().is_safe_to_retry() && !connection.is_open());
    drop(connection);
    let (mails, _) = server.join().expect("no panic");
    assert_eq!(mails.len(), messages.len());
    for (mail, message) in mails.iter().zip(messages) {
        let end = if message.is_empty() || message.ends_with(b"\r\n") { "" } else { "\r\n" };
        assert!(mail.message == [message, end.as_bytes()].concat(), "{} bytes", message.len());
    }
}

#[test]
fn a_large_message_arrives_or_is_refused() {
    let identity = Identity::new();
    let line = [b'.'; 75].into_iter().chain(*b"\r\n").collect::<Vec<_>>();
    let message = line.repeat(10_000);
    let (port, server) = serve::<Smtp>(identity.inbox());
    send(&identity.settings(port), &["a@b.test"], &message).expect("delivered");
    let (mails, _) = server.join().expect("no panic");
    assert!(mails[0].message == message);

    let inbox = identity.inbox().with_receiver(limited(message.len() - 1));
    let (port, server) = serve::<Smtp>(inbox);
    let refused = send(&identity.settings(port), &["a@b.test"], &message);
    assert!(matches!(
        refused,
        Err(Error::Rejected { command: Command::Message, answer, .. }) if answer.code == 552
    ));
    assert!(server.join().expect("no panic").0.is_empty());
}

#[test]
fn a_message_with_too_large_a_size_is_not_sent() {
    let identity = Identity::new();
    let inbox = identity.inbox().with_receiver(limited(10));
    let (port, server) = serve::<Smtp>(inbox);
    let to = [Address::new("a@b.test").expect("an address")];
    let envelope = Envelope::new(None, &to).expect("recipients").with_size(11);
    let refused = identity.mailer(port).send(&envelope, std::io::empty());
    assert_eq!(refused.expect_err("too large").protocol(), Some(Rule::MessageTooLarge));
    let (mails, end) = server.join().expect("no panic");
    end.expect("the client says goodbye");
    assert!(mails.is_empty());
}

#[test]
fn all_recipients_refused() {
    let identity = Identity::new();
    let (port, server) = serve::<Smtp>(identity.inbox());
    let refused = send(&identity.settings(port), &["no@b.test"], b"x\r\n");
    assert!(matches!(
        refused,
        Err(Error::Rejected { command: Command::Recipient, answer, .. }) if answer.code == 550
    ));
    let (mails, end) = server.join().expect("no panic");
    end.expect("the client says goodbye");
    assert!(mails.is_empty());
}

#[test]
fn without_tls_only_if_the_policy_says_so() {
    let identity = Identity::new();
    let mut inbox = identity.inbox();
    inbox = inbox.with_upgrade(upgrade(Policy::Opportunistic, false));

    let (port, server) = serve::<Smtp>(inbox.clone());
    let failed = send(&identity.settings(port), &["a@b.test"], b"x\r\n");
    assert_eq!(failed.expect_err("TLS is required").protocol(), Some(Rule::NotOffered));
    assert!(server.join().expect("no panic").0.is_empty());

    let (port, server) = serve::<Smtp>(inbox.clone());
    let mut mailer = identity.settings(port).with_policy(Policy::Opportunistic);
    send(&mailer, &["a@b.test"], b"x\r\n").expect("delivered");
    assert!(!server.join().expect("no panic").0[0].peer.is_encrypted());

    let (port, server) = serve::<Smtp>(inbox);
    mailer = mailer.with_port(port);
    mailer = mailer.with_login(("user", "secret"));
    let failed = send(&mailer, &["a@b.test"], b"x\r\n");
    assert_eq!(failed.expect_err("no password").protocol(), Some(Rule::NotOffered));
    assert!(server.join().expect("no panic").0.is_empty());
}

#[test]
fn an_unverified_server_gets_no_mail_and_never_a_password() {
    let (identity, stranger) = (Identity::new(), Identity::new());

    let (port, server) = serve::<Smtp>(stranger.inbox());
    let mut mailer = identity.settings(port);
    assert!(matches!(send(&mailer, &["a@b.test"], b"x\r\n"), Err(Error::Tls(_))));
    assert!(server.join().expect("no panic").0.is_empty());

    let (port, server) = serve::<Smtp>(stranger.inbox());
    mailer = mailer.with_port(port);
    mailer = mailer.with_tls(identity.client.clone().inspecting());
    assert!(matches!(send(&mailer, &["a@b.test"], b"x\r\n"), Err(Error::Tls(_))));
    assert!(server.join().expect("no panic").0.is_empty());

    let (port, server) = serve::<Smtp>(stranger.inbox());
    mailer = mailer.with_port(port);
    mailer = mailer.with_policy(Policy::Opportunistic);
    mailer = mailer.with_login(("user", "secret"));
    let failed = send(&mailer, &["a@b.test"], b"x\r\n");
    assert_eq!(failed.expect_err("no password").protocol(), Some(Rule::Unverified));
    assert!(server.join().expect("no panic").0.is_empty());

    let (port, server) = serve::<Smtp>(stranger.inbox());
    let lenient = identity.settings(port).with_policy(Policy::Opportunistic);
    send(&lenient, &["a@b.test"], b"x\r\n").expect("opportunistic");
    assert!(server.join().expect("no panic").0[0].peer.is_encrypted());

    // A strict connection must not resume the session of a lenient one.
    let (port, server) = serve::<Smtp>(stranger.inbox());
    let strict = identity.settings(port);
    assert!(matches!(send(&strict, &["a@b.test"], b"x\r\n"), Err(Error::Tls(_))));
    assert!(server.join().expect("no panic").0.is_empty());
}

#[test]
fn a_client_s_password_is_in_no_error() {
    let identity = Identity::new();
    for policy in [Policy::Required, Policy::Opportunistic] {
        let inbox = identity.inbox().with_upgrade(upgrade(policy, true));
        let (port, server) = serve::<Smtp>(inbox);
        let mut stream = TcpStream::connect(("localhost", port)).expect("connected");
        stream.write_all(b"EHLO x\r\nAUTH PLAIN AHRpbQBzZWNyZXQ=\r\n").expect("written");
        stream.shutdown(Shutdown::Write).expect("closed");
        read_to(&mut stream, b"nothing more").expect("answers");
        let error = server.join().expect("no panic").1.expect_err("no goodbye");
        assert!(!error.to_string().contains("AHRp"), "{error}");
    }
}

#[test]
fn the_requested_name_is_checked() {
    let identity = Identity::new();
    let (port, server) = serve::<Smtp>(identity.inbox());
    let mut mailer = identity.settings(port);
    mailer = mailer.with_host("127.0.0.1");
    assert!(matches!(send(&mailer, &["a@b.test"], b"x\r\n"), Err(Error::Tls(_))));
    assert!(server.join().expect("no panic").0.is_empty());
}

#[test]
fn bad_arguments_are_reported_before_anything_is_sent() {
    let identity = Identity::new();
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    listener.set_nonblocking(true).expect("nonblocking");
    let mailer =
        identity.settings(listener.local_addr().expect("an address").port()).with_domain("a\r\nb");
    let error = send(&mailer, &["a@b.test"], b"").expect_err("not a name").to_string();
    assert_eq!(error, "the client's name contains a control character or another forbidden byte");
    assert!(listener.accept().is_err(), "no connection was opened");
}

#[test]
fn more_recipients_than_a_server_accepts_at_once() {
    let identity = Identity::new();
    let limits = receiver::Limits::default().with_recipients(3);
    let config = receiver::Config::default().with_limits(limits);
    let (port, server) = serve::<Smtp>(identity.inbox().with_receiver(config));
    let names: Vec<String> = (0..8).map(|n| format!("{n}@b.test")).collect();
    let to: Vec<_> = names.iter().map(|name| Address::new(name).expect("an address")).collect();
    let envelope = Envelope::new(None, &to).expect("recipients");
    let mut connection = identity.mailer(port).connect().expect("open");
    let message = || &b"Subject: x\r\n\r\n"[..];
    let receipt = connection.send(&envelope, message()).expect("three of eight");
    assert_eq!(receipt.left_out(), [3, 4, 5, 6, 7]);
    let receipt = connection.send_to_all(&envelope, message).expect("sent");
    assert!(receipt.is_complete() && receipt.left_out().is_empty());
    assert_eq!(receipt.recipients[7].text, "2.0.0 Mail 4", "of the last transaction");
    connection.quit().expect("left");
    let (mails, end) = server.join().expect("no panic");
    end.expect("a clean end");
    let arrived: Vec<_> = mails[1..].iter().flat_map(paths).collect();
    assert_eq!(arrived, names);
}

#[test]
fn no_debug_shows_a_password() {
    let identity = Identity::new();
    let config = receiver::Config::default().with_authentication(receiver::Authentication::Offered);
    let (port, server) = serve::<Smtp>(identity.inbox().with_receiver(config));
    let settings = identity.settings(port).with_login(("user", "secret"));
    let mailer = Mailer::new(settings.clone());
    let connection = mailer.connect().expect("open");
    let shown = format!("{settings:?} {mailer:?} {connection:?} {:?}", identity.inbox());
    // The name of a rustls setting.
    let shown = shown.replace("enable_secret_extraction", "");
    assert!(!shown.contains("secret") && shown.contains("Login(..)"), "{shown}");
    connection.quit().expect("left");
    server.join().expect("no panic").1.expect("a clean end");
}
