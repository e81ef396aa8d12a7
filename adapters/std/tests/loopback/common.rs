//! Certificates, servers and clients on the loopback interface.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustls::{RootCertStore, ServerConfig};
use starttls::mail::{Address, Envelope, receiver};
use starttls::smtp::Dialect;
use starttls::{Policy, lmtp, server, smtp};
use starttls_std::{
    Answer, ClientTls, Deliver, Error, Inbox, InboxSettings, Mail, Mailer, Peer, PeerCertificate,
    Receipt, Recipient, Settings, Silent, Timeouts,
};
use test_identity::Authority;
pub(crate) use test_identity::provider;

/// A CA, and a server certificate for `localhost` that it signed.
pub(crate) struct Identity {
    pub(crate) server: Arc<ServerConfig>,
    pub(crate) client: ClientTls,
    pub(crate) roots: RootCertStore,
    /// The CA's certificate.
    #[cfg_attr(not(feature = "native-tls"), expect(dead_code, reason = "rustls has it as it is"))]
    pub(crate) pem: String,
}

impl Identity {
    pub(crate) fn new() -> Self {
        let ca = Authority::default();
        Self {
            server: Arc::new(ca.localhost().server()),
            client: ClientTls::trusting(ca.roots(), provider()).expect("roots"),
            roots: ca.roots(),
            pem: ca.pem(),
        }
    }

    pub(crate) fn inbox(&self) -> InboxSettings {
        InboxSettings::new("mail.example.test", Arc::clone(&self.server)).with_timeouts(quick())
    }

    pub(crate) fn settings(&self, port: u16) -> Settings {
        Settings::new("localhost", self.client.clone()).with_port(port).with_timeouts(quick())
    }

    pub(crate) fn mailer(&self, port: u16) -> Mailer {
        Mailer::new(self.settings(port))
    }
}

/// A server's policy, and whether it has TLS.
pub(crate) fn upgrade(policy: Policy, available: bool) -> server::Config {
    server::Config::default().with_policy(policy).with_available(available)
}

/// A limit on the size of messages.
pub(crate) fn limited(size: usize) -> receiver::Config {
    let limits = receiver::Limits::default().with_size(Some(size));
    receiver::Config::default().with_limits(limits)
}

/// Long enough for a slow machine. No test waits for them.
pub(crate) fn quick() -> Timeouts {
    Timeouts::new().with_wait(Duration::from_secs(20))
}

/// Stores mails, and refuses recipients whose name begins with "no". Its one user is `user`, the password
/// `secret`.
#[derive(Default)]
pub(crate) struct Kept(pub(crate) Vec<Mail>);

impl Deliver for Kept {
    fn authenticate(&mut self, _: &Peer, user: &str, password: &str) -> Answer {
        match (user, password) {
            ("user", "secret") => Answer::new(235, "2.7.0 Welcome"),
            _ => Answer::new(535, "5.7.8 Wrong"),
        }
    }

    fn identify(
        &mut self,
        _: &Peer,
        certificate: &PeerCertificate,
        authorization: &str,
    ) -> Result<String, Answer> {
        match (&certificate.names()[..], authorization) {
            ([name], "" | "me.example") if name == "me.example" => Ok(name.clone()),
            _ => Err(Answer::new(535, "5.7.8 Unknown client")),
        }
    }

    fn recipient(&mut self, _: &Mail, recipient: &Recipient) -> Answer {
        if recipient.path.starts_with("no") {
            Answer::new(550, "5.1.1 No such user")
        } else {
            Answer::new(250, "2.1.5 Recipient ok")
        }
    }

    fn deliver(&mut self, mail: &Mail) -> Answer {
        self.0.push(mail.clone());
        Answer::new(250, format!("2.0.0 Mail {}", self.0.len()))
    }
}

/// The result of a server thread: the mails, and how the connection ended.
pub(crate) type Taken = (Vec<Mail>, Result<(), Error>);

/// Serves one connection on a thread.
pub(crate) fn serve<D: Dialect>(inbox: InboxSettings) -> (u16, JoinHandle<Taken>) {
    let (port, thread) = listen(move |stream| {
        let mut kept = Kept::default();
        let end = Inbox::new(inbox).receive::<D>(stream, &mut kept, Silent);
        (kept.0, end)
    });
    (port, thread)
}

/// Accepts one connection and passes it to `serve`.
pub(crate) fn listen<T: Send + 'static>(
    serve: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (u16, JoinHandle<T>) {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    (port, thread::spawn(move || serve(listener.accept().expect("a connection").0)))
}

/// Reads until `end` has arrived or the peer has left.
pub(crate) fn read_to(stream: &mut impl Read, end: &[u8]) -> io::Result<Vec<u8>> {
    let mut seen = Vec::new();
    let mut octet = [0];
    while !seen.ends_with(end) && stream.read(&mut octet)? > 0 {
        seen.push(octet[0]);
    }
    Ok(seen)
}

/// The server's part up to the client's STARTTLS.
pub(crate) fn until_starttls(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(b"220 mail.example.test\r\n")?;
    read_to(stream, b"\r\n")?;
    stream.write_all(b"250-mail.example.test\r\n250 STARTTLS\r\n")?;
    assert_eq!(read_to(stream, b"\r\n")?, b"STARTTLS\r\n");
    Ok(())
}

pub(crate) fn send(settings: &Settings, to: &[&str], message: &[u8]) -> Result<Receipt, Error> {
    send_as::<smtp::Smtp>(settings, to, message)
}

pub(crate) fn send_lmtp(
    settings: &Settings,
    to: &[&str],
    message: &[u8],
) -> Result<Receipt, Error> {
    send_as::<lmtp::Lmtp>(settings, to, message)
}

fn send_as<D: Dialect>(settings: &Settings, to: &[&str], message: &[u8]) -> Result<Receipt, Error> {
    let to: Vec<_> = to.iter().map(|to| Address::new(to).expect("an address")).collect();
    let from = Address::new("me@example.test").expect("an address");
    let envelope = Envelope::new(Some(from), &to).expect("recipients");
    Mailer::new(settings.clone()).send_as::<D>(&envelope, message, Silent)
}
