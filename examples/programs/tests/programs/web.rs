//! The web service that sends mail.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;

use mail_parser::{MessageParser, MimeHeaders as _};
use test_identity::rcgen::{KeyPair, PKCS_ED25519};

use crate::common::{Files, PATIENCE, Running, until};
use crate::server::{Kept, Server};

const PROGRAM: &str = env!("CARGO_BIN_EXE_web");

fn start(files: &Files, server: &Server) -> (Running, SocketAddr) {
    let key = KeyPair::generate_for(&PKCS_ED25519).expect("a key");
    files.write("dkim.pem", &key.serialize_pem());
    let mut command = files.command(PROGRAM);
    command.args(["127.0.0.1:0", "shop@example.org", "web"]).arg(files.path("dkim.pem"));
    let url = format!("smtp://localhost:{}?ehlo=shop.example.org", server.port);
    Running::listening(command.env("MAIL_URL", url))
}

/// Posts an order. Returns the status of the answer.
fn post(address: SocketAddr, number: u64, customer: &str) -> u16 {
    let order = format!("{{\"number\": {number}, \"customer\": \"{customer}\"}}");
    let mut stream = TcpStream::connect(address).expect("connected");
    stream.set_read_timeout(Some(PATIENCE)).expect("an option");
    write!(
        stream,
        "POST /order HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{order}",
        order.len()
    )
    .expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.unwrap_or_else(|| panic!("a status: {answer:?}"))
}

#[test]
fn one_mail_for_each_order() {
    let files = Files::new();
    let server = Server::new(&files);
    let kept = &server.kept;
    let (running, address) = start(&files, &server);
    assert_eq!(post(address, 7, "you@example.net"), 202);
    assert_eq!(kept.mails().len(), 1);

    // The server closes the connection. The next mail arrives over a new one, once.
    server.close_idle();
    assert_eq!(post(address, 8, "you@example.net"), 202);
    let mails = kept.mails();
    assert_eq!((mails.len(), Kept::count(&kept.connections)), (2, 2));

    // A temporary refusal is tried again on the same connection.
    kept.refusals.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(post(address, 9, "you@example.net"), 202);
    assert_eq!((kept.mails().len(), Kept::count(&kept.begun)), (3, 4));
    assert_eq!(Kept::count(&kept.connections), 2);

    // The customer can mend these.
    assert_eq!(post(address, 10, "you@example.net\\r\\nRCPT TO:<me@example.net>"), 422);
    assert_eq!(post(address, 11, "nobody@example.net"), 422);
    assert_eq!((kept.mails().len(), Kept::count(&kept.begun)), (3, 4));

    running.signal("-TERM");
    let (status, _) = running.wait();
    assert!(status.success());
    until("QUIT", || (Kept::count(&kept.goodbyes) == 1).then_some(()));

    let mail = &mails[1];
    assert!(mail.peer.is_encrypted());
    assert_eq!(mail.peer.hello.as_deref(), Some("shop.example.org"));
    assert_eq!((&mail.from[..], &mail.to[0].path[..]), ("shop@example.org", "you@example.net"));
    let parsed = MessageParser::new().parse(&mail.message).expect("a message");
    assert_eq!(parsed.subject(), Some("Your order"));
    assert_eq!(parsed.message_id(), Some("8.shop@example.org"));
    assert_eq!(parsed.body_text(0).expect("a text").trim_end(), "We have your order 8.");
    let html = parsed.body_html(0).expect("HTML");
    assert!(html.contains("cid:logo@shop") && html.contains("<b>8</b>"), "{html}");
    let picture = parsed.attachments().next().expect("a picture");
    assert_eq!(picture.content_id(), Some("logo@shop"));
    assert!(picture.contents().starts_with(b"GIF89a"));
    assert_eq!(parsed.attachment_count(), 1);
    let message = str::from_utf8(&mail.message).expect("ASCII");
    let signature = message.strip_prefix("DKIM-Signature: ").expect("a signature first");
    let (signature, _) = signature.split_once("\r\nFrom:").expect("the message after it");
    for tag in ["d=example.org;", "s=web;", "a=ed25519-sha256;", "bh=", "b="] {
        assert!(signature.contains(tag), "no {tag} in {signature}");
    }
}

#[test]
fn the_end_waits_for_the_mail_that_is_under_way() {
    let files = Files::new();
    let server = Server::new(&files);
    server.kept.milliseconds.store(500, std::sync::atomic::Ordering::SeqCst);
    let (running, address) = start(&files, &server);
    let order = thread::spawn(move || post(address, 1, "you@example.net"));
    until("the message", || (Kept::count(&server.kept.begun) == 1).then_some(()));
    running.signal("-TERM");
    assert_eq!(order.join().expect("no panic"), 202);
    assert!(running.wait().0.success());
    assert_eq!(server.kept.mails().len(), 1);
}

#[test]
fn a_server_that_is_gone() {
    let files = Files::new();
    let server = Server::new(&files);
    let (running, address) = start(&files, &server);
    drop(server);
    assert_eq!(post(address, 1, "you@example.net"), 503);
    running.signal("-TERM");
    let (status, said) = running.wait();
    assert!(status.success());
    assert!(said.contains("order 1: ") && said.contains("(CheckServer)"), "{said}");
}
