//! Certificates, a server, sockets.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use embedded_io::{ErrorKind, ErrorType};
use rustls::{ClientConfig, ServerConfig, SupportedProtocolVersion};
use starttls::mail::{Address, Envelope, receiver};
use starttls::smtp::Smtp;
use starttls_std::{
    Answer, Deliver, Inbox, InboxSettings, Mail, Mode, Peer, Recipient, Silent, Timeouts,
};
use test_identity::Authority;

/// A CA, and a server's certificate for `localhost` that it signed.
pub(crate) struct Identity {
    pub(crate) server: Arc<ServerConfig>,
    pub(crate) authority: Authority,
}

impl Identity {
    pub(crate) fn new() -> Self {
        let authority = Authority::default();
        Self { server: Arc::new(authority.localhost().server()), authority }
    }

    /// Trusts the CA.
    pub(crate) fn client(&self, version: &'static SupportedProtocolVersion) -> Arc<ClientConfig> {
        Arc::new(self.authority.client(&[version]))
    }

    /// Receives the mails of one connection.
    pub(crate) fn serve(&self, mode: Mode) -> (TcpStream, JoinHandle<Vec<Mail>>) {
        let config =
            receiver::Config::default().with_authentication(receiver::Authentication::Offered);
        let settings = InboxSettings::new("mail.example.test", Arc::clone(&self.server))
            .with_mode(mode)
            .with_receiver(config)
            .with_timeouts(Timeouts::new().with_wait(Duration::from_secs(20)));
        let inbox = Inbox::new(settings);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let server = thread::spawn(move || {
            let (stream, _) = listener.accept().expect("a client");
            let mut kept = Kept::default();
            let _ = inbox.receive::<Smtp>(stream, &mut kept, &mut Silent);
            kept.0
        });
        (TcpStream::connect(address).expect("a server"), server)
    }
}

/// Stores mails, and refuses recipients whose name begins with "no". Its one user is `user`, the password
/// `secret`.
#[derive(Default)]
pub(crate) struct Kept(Vec<Mail>);

impl Deliver for Kept {
    fn authenticate(&mut self, _: &Peer, user: &str, password: &str) -> Answer {
        match (user, password) {
            ("user", "secret") => Answer::new(235, "2.7.0 Welcome"),
            _ => Answer::new(535, "5.7.8 Wrong"),
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
        Answer::new(250, "2.0.0 Taken")
    }
}

/// A socket of the operating system with the traits of firmware.
pub(crate) struct Net(pub(crate) TcpStream);

impl ErrorType for Net {
    type Error = ErrorKind;
}

impl embedded_io::Read for Net {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, ErrorKind> {
        self.0.read(buf).map_err(|error| error.kind().into())
    }
}

impl embedded_io::Write for Net {
    fn write(&mut self, buf: &[u8]) -> Result<usize, ErrorKind> {
        self.0.write(buf).map_err(|error| error.kind().into())
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

impl embedded_io_async::Read for Net {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, ErrorKind> {
        embedded_io::Read::read(self, buf)
    }
}

impl embedded_io_async::Write for Net {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, ErrorKind> {
        embedded_io::Write::write(self, buf)
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return value;
        }
    }
}

pub(crate) fn now() -> Option<u64> {
    SystemTime::UNIX_EPOCH.elapsed().ok().map(|since| since.as_secs())
}

pub(crate) const FROM: Option<Address<'_>> = Some(address("sensor@example.org"));
pub(crate) const TO: [Address<'_>; 2] = [address("you@example.org"), address("nobody@example.org")];

pub(crate) const fn address(text: &str) -> Address<'_> {
    match Address::new(text) {
        Ok(address) => address,
        Err(_) => panic!("not an address"),
    }
}

pub(crate) const fn envelope<'a>(to: &'a [Address<'a>]) -> Envelope<'a> {
    match Envelope::new(FROM, to) {
        Ok(envelope) => envelope,
        Err(_) => panic!("no recipients"),
    }
}
