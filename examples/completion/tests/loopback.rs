//! A mail to our own inbox, and failures on the way.

use std::net::TcpListener;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use completion::{Mailer, Strict};
use rustls::ServerConfig;
use starttls::Error as Rule;
use starttls::mail::{Address, Envelope};
use starttls::smtp::Smtp;
use starttls_std::{
    Answer, ClientTls, Deliver, Error, Inbox, InboxSettings, Mail, Receipt, Settings, Silent,
    Timeouts, rustls,
};
use test_identity::{Authority, provider};

fn identity() -> (Strict, Arc<ServerConfig>) {
    let ca = Authority::default();
    let server = Arc::new(ca.localhost().server());
    (Strict::new(&ClientTls::trusting(ca.roots(), provider()).expect("roots")), server)
}

#[derive(Default)]
struct Kept(Vec<Mail>);

impl Deliver for Kept {
    fn deliver(&mut self, mail: &Mail) -> Answer {
        self.0.push(mail.clone());
        Answer::new(250, "2.0.0 Delivered")
    }
}

fn serve(tls: Arc<ServerConfig>) -> (u16, JoinHandle<Vec<Mail>>) {
    let listener = TcpListener::bind(("localhost", 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let inbox = Inbox::new(InboxSettings::new("mail.example.test", tls));
    let server = thread::spawn(move || {
        let mut kept = Kept::default();
        let _ = inbox.receive::<Smtp>(listener.accept().expect("a client").0, &mut kept, Silent);
        kept.0
    });
    (port, server)
}

async fn send(settings: Settings<Strict>, message: &[u8]) -> Result<Receipt, Error> {
    let to = [Address::new("you@example.test").expect("an address")];
    let envelope = Envelope::new(None, &to).expect("recipients");
    Mailer::new(settings).send(&envelope, message).await
}

#[compio::test]
async fn a_mail_of_any_size() {
    let (tls, config) = identity();
    for lines in [0, 1, 100_000] {
        let (port, server) = serve(Arc::clone(&config));
        let message = b"0123456789\r\n".repeat(lines);
        let settings = Settings::new("localhost", tls.clone()).with_port(port);
        assert!(send(settings, &message).await.expect("delivered").is_complete());
        let mails = server.join().expect("no panic");
        assert_eq!((mails[0].message.len(), mails[0].peer.is_encrypted()), (message.len(), true));
    }
}

#[compio::test]
async fn no_mail_to_an_unverified_server() {
    let ((tls, _), (_, stranger)) = (identity(), identity());
    let (port, server) = serve(stranger);
    let failed = send(Settings::new("localhost", tls).with_port(port), b"x").await;
    assert!(matches!(failed, Err(Error::Tls(_))), "{failed:?}");
    assert!(server.join().expect("no panic").is_empty());
}

#[compio::test]
async fn silence_times_out() {
    let (tls, _) = identity();
    let listener = TcpListener::bind(("localhost", 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let settings = Settings::new("localhost", tls)
        .with_port(port)
        .with_timeouts(Timeouts::new().with_wait(Duration::from_millis(200)));
    let failed = send(settings, b"x").await.expect_err("the server stays silent");
    assert_eq!(failed.protocol(), Some(Rule::TimedOut));
}
