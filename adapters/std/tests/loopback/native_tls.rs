//! The system's TLS in the place of rustls.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use starttls::mail::session::Command;
use starttls::mail::{Address, Envelope};
use starttls::smtp::Smtp;
use starttls::{Error as Rule, Policy, pop3};
use starttls_std::{Error, Mailer, NativeTls, Receipt, Settings, accept, upgrade};

use crate::common::{Identity, listen, quick, read_to, serve, until_starttls};

fn settings(identity: &Identity, port: u16) -> Settings<NativeTls> {
    let tls = NativeTls::with_ca_pem(identity.pem.as_bytes()).expect("a CA");
    Settings::new("localhost", tls).with_port(port).with_timeouts(quick())
}

fn send(settings: Settings<NativeTls>, message: &[u8]) -> Result<Receipt, Error> {
    let to = [Address::new("a@b.test").expect("an address")];
    let envelope = Envelope::new(None, &to).expect("recipients");
    Mailer::new(settings).send(&envelope, message)
}

#[test]
fn a_mail_of_any_size() {
    let identity = Identity::new();
    for length in [0, 1, 10_000] {
        let (port, server) = serve::<Smtp>(identity.inbox());
        let message = b"0123456789\r\n".repeat(length);
        let receipt = send(settings(&identity, port), &message).expect("delivered");
        assert!(receipt.is_complete());
        let (mails, end) = server.join().expect("no panic");
        end.expect("a clean end");
        assert!(mails[0].encrypted);
        assert_eq!(mails[0].message, message);
    }
}

#[test]
fn only_to_a_server_that_is_verified() {
    let (identity, stranger) = (Identity::new(), Identity::new());
    let (port, server) = serve::<Smtp>(stranger.inbox());
    assert!(matches!(send(settings(&identity, port), b"x"), Err(Error::Tls(_))));
    assert!(server.join().expect("no panic").0.is_empty());

    let (port, server) = serve::<Smtp>(identity.inbox());
    let by_another_name = settings(&identity, port).with_host("127.0.0.1");
    assert!(matches!(send(by_another_name, b"x"), Err(Error::Tls(_))));
    assert!(server.join().expect("no panic").0.is_empty());
}

#[test]
fn opportunistic_is_never_verified() {
    let (identity, stranger) = (Identity::new(), Identity::new());
    for whose in [&identity, &stranger] {
        let (port, server) = serve::<Smtp>(whose.inbox());
        let lenient = settings(&identity, port).with_policy(Policy::Opportunistic);
        send(lenient.clone(), b"x").expect("delivered");
        assert!(server.join().expect("no panic").0[0].encrypted);

        // Not even where it would verify: the system does not say so.
        let (port, server) = serve::<Smtp>(whose.inbox());
        let failed = send(lenient.with_port(port).with_login(("user", "secret")), b"x");
        assert_eq!(failed.expect_err("no password").protocol(), Some(Rule::Unverified));
        assert!(server.join().expect("no panic").0.is_empty());
    }
}

#[test]
fn a_login() {
    let identity = Identity::new();
    let config = starttls::mail::receiver::Config::default()
        .with_authentication(starttls::mail::receiver::Authentication::Required);
    for (password, expected) in [("secret", None), ("wrong", Some((Command::Auth, 535)))] {
        let (port, server) = serve::<Smtp>(identity.inbox().with_receiver(config));
        let outcome = send(settings(&identity, port).with_login(("user", password)), b"x");
        let refused = match outcome {
            Ok(_) => None,
            Err(Error::Rejected { command, answer }) => Some((command, answer.code)),
            Err(error) => panic!("{error}"),
        };
        assert_eq!(refused, expected);
        assert_eq!(server.join().expect("no panic").0.len(), usize::from(expected.is_none()));
    }
}

#[test]
fn any_protocol_is_upgraded() {
    let identity = Identity::new();
    let tls = std::sync::Arc::clone(&identity.server);
    let (port, server) = listen(move |stream| {
        let machine = pop3::Server::new(starttls::server::Config::default());
        let mut stream = accept(stream, machine, &tls).expect("accepted");
        let mut said = [0; 6];
        stream.read_exact(&mut said).expect("received");
        said
    });
    let stream = TcpStream::connect(("localhost", port)).expect("connected");
    let tls = NativeTls::with_ca_pem(identity.pem.as_bytes()).expect("a CA");
    let client = pop3::Client::new(Policy::Required);
    let mut stream = upgrade(stream, client, &tls, "localhost").expect("upgraded");
    stream.write_all(b"NOOP\r\n").expect("written");
    assert_eq!(&server.join().expect("no panic"), b"NOOP\r\n");
}

#[test]
fn a_handshake_has_an_end() {
    let identity = Identity::new();
    let (port, server) = listen(|mut stream| {
        until_starttls(&mut stream).expect("asked");
        stream.write_all(b"220 go\r\n").expect("written");
        read_to(&mut stream, &[0x16]).expect("a ClientHello");
        // A record that never ends.
        for octet in [0x16, 3, 3, 0x3f].into_iter().chain([0; 100]) {
            if stream.write_all(&[octet]).is_err() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let timeouts = quick().with_handshake(Duration::from_millis(300));
    let failed = send(settings(&identity, port).with_timeouts(timeouts), b"x");
    assert_eq!(failed.expect_err("no TLS").protocol(), Some(Rule::TimedOut));
    server.join().expect("no panic");
}
