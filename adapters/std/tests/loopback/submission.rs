//! Logins, chunks and what else a client may ask of a server, over loopback.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Arc;

use crate::common::{Identity, provider, read_to, send, serve};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use starttls::mail::dsn::{Notify, Return};
use starttls::mail::receiver::{self, Authentication};
use starttls::mail::session::Command;
use starttls::smtp::Smtp;
use starttls_std::{Error, InboxSettings, Mail, Mode};

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
    assert_eq!(mails[0].user.as_deref(), Some("user"));
    assert!(!mails[0].chunked);
}

#[test]
fn no_mail_from_anybody_else() {
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
        let Err(Error::Rejected { command, answer }) = refused else { panic!("{refused:?}") };
        assert_eq!((command, answer.code), expected);
        assert!(server.join().expect("no panic").0.is_empty());
    }
}

/// Everything that a client says at once, inside TLS from the start.
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
    assert_eq!(mails[0].user.as_deref(), Some("user"));
    assert_eq!(mails[0].message, b"a\r\n.\r\nb");
    assert!(mails[0].chunked);
}

#[test]
fn nobody_acts_for_others() {
    let identity = Identity::new();
    // "other", "user", "secret"; then "user", "user", "secret".
    let said = "EHLO a\r\nAUTH PLAIN b3RoZXIAdXNlcgBzZWNyZXQ=\r\n\
                AUTH PLAIN dXNlcgB1c2VyAHNlY3JldA==\r\nQUIT\r\n";
    let (heard, _) = dialogue(&identity, submission(&identity), said);
    let codes: Vec<_> = heard.lines().map(|line| &line[..3]).collect();
    assert_eq!(codes[codes.len() - 3..], ["535", "235", "221"], "{heard}");
}

#[test]
fn what_a_sender_asks_for_is_with_the_mail() {
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
