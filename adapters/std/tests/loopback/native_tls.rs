//! The system's TLS instead of rustls.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection};
use starttls::mail::session::Command;
use starttls::mail::{Address, Envelope};
use starttls::smtp::Smtp;
use starttls::{Error as Rule, Policy, Protocol, pop3};
use starttls_std::{
    Driver, Error, InboxSettings, Mailer, NativeTls, Receipt, Settings, Silent, accept, connect,
    connect_implicit, upgrade,
};

use test_identity::Authority;

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
        assert!(mails[0].peer.is_encrypted());
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
        assert!(server.join().expect("no panic").0[0].peer.is_encrypted());

        // Not even a valid certificate counts, because the system does not report it.
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
            Err(Error::Rejected { command, answer, .. }) => Some((command, answer.code)),
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
fn a_handshake_times_out() {
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

#[test]
fn implicit_tls_checks_a_demanded_alpn_id() {
    let identity = Identity::new();
    let demanding = Protocol::ALL.iter().find(|protocol| protocol.demands_alpn()).expect("one");
    let other = Protocol::ALL.iter().find(|protocol| !protocol.demands_alpn()).expect("one");
    let alpn = demanding.alpn.expect("an id").to_vec();
    for (protocol, known, refused) in
        [(*demanding, vec![alpn], false), (*demanding, vec![], true), (*other, vec![], false)]
    {
        let mut config = ServerConfig::clone(&identity.server);
        config.alpn_protocols = known;
        let (port, server) = listen(move |mut stream| {
            let mut tls = ServerConnection::new(Arc::new(config)).expect("a server");
            let _ = tls.complete_io(&mut stream);
        });
        let stream = connect(("localhost", port), &quick()).expect("connected");
        let driver = Driver::new(stream, quick(), Silent);
        let tls = NativeTls::with_ca_pem(identity.pem.as_bytes()).expect("a CA");
        let begun = connect_implicit(driver, &tls, "localhost", protocol, Policy::Required);
        match begun {
            Ok((_, tls)) => assert!(!refused && tls.is_implicit()),
            Err(error) => assert!(
                refused && error.to_string().contains("did not choose the ALPN id"),
                "{error}"
            ),
        }
        server.join().expect("no panic");
    }
}

#[test]
fn a_client_certificate() {
    let (authority, clients) = (Authority::default(), Authority::new("an authority for clients"));
    let me = clients.identity(["me.example"]);
    let config = authority.localhost().server_demanding(&clients, rustls::ALL_VERSIONS);
    let tls = NativeTls::with_ca_pem(authority.pem().as_bytes()).expect("a CA");
    let inbox = InboxSettings::new("mail.example.test", config.into()).with_timeouts(quick());
    let (port, server) = serve::<Smtp>(inbox);
    let known = tls.with_client_cert_pem(me.pem().as_bytes(), me.key_pem().as_bytes());
    let settings = Settings::new("localhost", known.expect("a certificate")).with_port(port);
    send(settings.with_timeouts(quick()), b"x").expect("delivered");
    let (mails, end) = server.join().expect("no panic");
    end.expect("a clean end");
    let certificate = mails[0].peer.certificate().expect("a certificate");
    assert_eq!(certificate.names(), ["me.example"]);

    let tls = NativeTls::system().with_client_cert_pem(b"", me.key_pem().as_bytes());
    assert!(tls.expect_err("no certificate").to_string().contains("the client certificate"));
}
