//! Logins, chunks and the other requests of a client, over loopback.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Arc;

use crate::common::{Identity, provider, read_to, send, serve};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use starttls::mail::dsn::{Notify, Return};
use starttls::mail::receiver::{self, Authentication, Proof};
use starttls::mail::session::Command;
use starttls::smtp::Smtp;
use starttls_std::{ClientTls, Error, InboxSettings, Login, Mail, Mode, Settings};
use test_identity::Authority;

fn submission(identity: &Identity) -> InboxSettings {
    let receiver = receiver::Config::default().with_authentication(Authentication::Required);
    identity.inbox().with_receiver(receiver)
}

#[test]
fn mail_from_a_user() {
    let identity = Identity::new();
    let (port, server) = serve::<Smtp>(submission(&identity));
    let mailer = identity.settings(port).with_login(("user", "secret"));
    send(&mailer, &["a@b.test"], b"x\r\n").expect("delivered");
    let (mails, end) = server.join().expect("no panic");
    end.expect("a clean end");
    assert_eq!(mails[0].peer.user.as_deref(), Some("user"));
    assert!(!mails[0].chunked);
}

#[test]
fn mail_from_a_user_with_a_certificate() {
    let (ca, clients) = (Authority::default(), Authority::new("an authority for clients"));
    let server = Arc::new(ca.localhost().server_demanding(&clients, rustls::ALL_VERSIONS));
    let tls = ClientTls::trusting(ca.roots(), provider()).expect("roots");
    let shows = |names: [&str; 1]| {
        let me = clients.identity(names);
        let tls = tls.clone().with_client_cert_pem(me.pem().as_bytes(), me.key_pem().as_bytes());
        tls.expect("a certificate")
    };
    let send_by = |tls: ClientTls, login: Login, mode| {
        let receiver = receiver::Config::default()
            .with_authentication(Authentication::Required)
            .with_proof(Proof::Certificate);
        let inbox = InboxSettings::new("mail.example.test", Arc::clone(&server))
            .with_receiver(receiver)
            .with_mode(mode);
        let (port, server) = serve::<Smtp>(inbox);
        let settings = Settings::new("localhost", tls).with_port(port).with_mode(mode);
        let sent = send(&settings.with_login(login), &["a@b.test"], b"x\r\n");
        (sent, server.join().expect("no panic").0)
    };
    for mode in [Mode::StartTls, Mode::Implicit] {
        for name in ["", "me.example"] {
            let (sent, mails) = send_by(shows(["me.example"]), Login::external(name), mode);
            sent.expect("delivered");
            assert_eq!(mails[0].peer.user.as_deref(), Some("me.example"));
        }
    }
    for (tls, name) in [(shows(["me.example"]), "you.example"), (shows(["you.example"]), "")] {
        let (refused, mails) = send_by(tls, Login::external(name), Mode::StartTls);
        let Err(Error::Rejected { command, answer, .. }) = refused else { panic!("{refused:?}") };
        assert_eq!((command, answer.code, mails.len()), (Command::Auth, 535, 0));
    }
    // The server offers no password login there, and the client does not send the password.
    let (refused, _) = send_by(shows(["me.example"]), ("user", "secret").into(), Mode::StartTls);
    let refused = refused.expect_err("no mechanism");
    assert_eq!(refused.protocol(), Some(starttls::Error::NoMechanism));
}

#[test]
fn without_a_certificate_nothing_is_dialled() {
    let identity = Identity::new();
    // No server listens there.
    let settings = identity.settings(1).with_login(Login::external(""));
    let refused = send(&settings, &["a@b.test"], b"x\r\n");
    assert!(matches!(refused, Err(Error::Argument { .. })), "{refused:?}");
}

#[test]
fn no_mail_without_a_valid_login() {
    let identity = Identity::new();
    for (credentials, expected) in
        [(Some(("user", "wrong")), (Command::Auth, 535)), (None, (Command::Mail, 530))]
    {
        let (port, server) = serve::<Smtp>(submission(&identity));
        let mut mailer = identity.settings(port);
        if let Some(login) = credentials {
            mailer = mailer.with_login(login);
        }
        let refused = send(&mailer, &["a@b.test"], b"x\r\n");
        let Err(Error::Rejected { command, answer, .. }) = refused else { panic!("{refused:?}") };
        assert_eq!((command, answer.code), expected);
        assert!(server.join().expect("no panic").0.is_empty());
    }
}

/// The dialogue of a client that sends everything at once, inside TLS from the start.
fn dialogue(identity: &Identity, mut inbox: InboxSettings, said: &str) -> (String, Vec<Mail>) {
    inbox = inbox.with_mode(Mode::Implicit);
    let (port, server) = serve::<Smtp>(inbox);
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(identity.roots.clone())
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("a name");
    let tls = ClientConnection::new(Arc::new(config), name).expect("a client");
    let stream = TcpStream::connect(("localhost", port)).expect("connected");
    let mut stream = StreamOwned::new(tls, stream);
    stream.write_all(said.as_bytes()).expect("written");
    let heard = read_to(&mut stream, b"221 2.0.0 Goodbye\r\n").expect("answers");
    let (mails, end) = server.join().expect("no panic");
    end.expect("a clean end");
    (String::from_utf8(heard).expect("ASCII"), mails)
}

#[test]
fn login_by_login_and_a_mail_in_chunks() {
    let identity = Identity::new();
    let said = "EHLO a\r\nAUTH LOGIN\r\ndXNlcg==\r\nc2VjcmV0\r\nMAIL FROM:<a@b.test>\r\n\
                RCPT TO:<c@d.test>\r\nBDAT 5\r\na\r\n.\rBDAT 2 LAST\r\n\nbQUIT\r\n";
    let (heard, mails) = dialogue(&identity, submission(&identity), said);
    assert!(heard.contains("\r\n235 2.7.0 Welcome\r\n"), "{heard}");
    assert_eq!(mails[0].peer.user.as_deref(), Some("user"));
    assert_eq!(mails[0].message, b"a\r\n.\r\nb");
    assert!(mails[0].chunked);
}

#[test]
fn a_user_cannot_act_for_another() {
    let identity = Identity::new();
    // "other", "user", "secret"; then "user", "user", "secret".
    let said = "EHLO a\r\nAUTH PLAIN b3RoZXIAdXNlcgBzZWNyZXQ=\r\n\
                AUTH PLAIN dXNlcgB1c2VyAHNlY3JldA==\r\nQUIT\r\n";
    let (heard, _) = dialogue(&identity, submission(&identity), said);
    let codes: Vec<_> = heard.lines().map(|line| &line[..3]).collect();
    assert_eq!(codes[codes.len() - 3..], ["535", "235", "221"], "{heard}");
}

#[test]
fn a_sender_s_requests_are_stored_with_the_mail() {
    let identity = Identity::new();
    let receiver =
        receiver::Config::default().with_dsn(true).with_smtp_utf8(true).with_require_tls(true);
    let inbox = identity.inbox().with_receiver(receiver);
    let said = "EHLO a\r\nMAIL FROM:<ä@b.test> SMTPUTF8 REQUIRETLS RET=FULL ENVID=a+2Bb\r\n\
                RCPT TO:<c@d.test> NOTIFY=SUCCESS ORCPT=rfc822;C@d.test\r\n\
                RCPT TO:<e@f.test>\r\nDATA\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n.\r\n\
                QUIT\r\n";
    let (_, mails) = dialogue(&identity, inbox, said);
    let [asked, plain] = &mails[..] else { panic!("{} mails", mails.len()) };
    assert_eq!((&asked.from[..], asked.international, asked.require_tls), ("ä@b.test", true, true));
    assert_eq!(asked.returns, Some(Return::Full));
    assert_eq!(asked.envelope_id.as_deref(), Some("a+2Bb"));
    assert_eq!(asked.to[0].notify, Some(Notify::SUCCESS));
    assert_eq!(asked.to[0].original.as_deref(), Some("rfc822;C@d.test"));
    assert_eq!((asked.to[1].notify, asked.to[1].original.as_deref()), (None, None));
    assert_eq!((plain.returns, plain.international, plain.require_tls), (None, false, false));
}
