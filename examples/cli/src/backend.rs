//! `starttls serve --backend`: the TLS in front of a server that has none.

use std::io::Write as _;
use std::net::{Shutdown, TcpStream};
use std::ops::ControlFlow;
use std::time::Duration;

use starttls::client::{Event, Grammar as _};
use starttls::server::{Config, Grammar as _};
use starttls::{Kind, Policy};
use starttls_std::shared::check;
use starttls_std::{
    Accepted, Driver, Error, Mode, Observer, Timeouts, accept_implicit, accept_or_plaintext,
    connect,
};

use crate::greeting::{Greeted, Greeting};
use crate::reach::random;
use crate::relay::{relay, relay_plaintext};
use crate::serve::Front;
use crate::speech::{Caller, Speech, speaking};

/// How long the backend may take to be reached, and for each answer that is for us.
const PATIENCE: Duration = Duration::from_secs(30);

const TIMEOUTS: Timeouts =
    Timeouts { connect: PATIENCE, handshake: PATIENCE, wait: Some(PATIENCE), total: None };

/// Serves one connection to its end. The backend is asked first, so that a client never gets
/// further than to a greeting of nobody.
pub(crate) fn connection(
    front: &Front,
    backend: &str,
    client: TcpStream,
    observer: &mut dyn Observer,
) -> Result<(), Error> {
    client.set_nodelay(true).map_err(io("setting TCP_NODELAY"))?;
    let backend = connect(backend, &TIMEOUTS);
    speaking!(front.scheme, S => match front.scheme.mode() {
        Mode::Implicit => implicit::<S>(front, backend, client, observer),
        Mode::StartTls => starttls::<S>(front, backend, client, observer),
    })
}

/// TLS first: the backend's greeting is the client's.
fn implicit<S: Speech>(
    front: &Front,
    backend: Result<TcpStream, Error>,
    client: TcpStream,
    observer: &mut dyn Observer,
) -> Result<(), Error> {
    let driver = Driver::new(client, front.timeouts, observer);
    let (mut driver, _) = accept_implicit(driver, &front.tls)?;
    match backend {
        Ok(stream) => {
            let client = driver.into_stream();
            let protocol = S::Server::PROTOCOL;
            // Where both come to the same port, nothing but ALPN says what is spoken.
            let alpn = protocol.alpn.filter(|_| protocol.implicit_port == Some(protocol.port));
            check(alpn, &client.conn)?;
            relay(&stream, &[], client, Duration::ZERO).map_err(io("forwarding"))
        }
        Err(error) => {
            driver.send(S::PHRASES.unavailable)?;
            driver.close()?;
            Err(behind(error))
        }
    }
}

fn starttls<S: Speech>(
    front: &Front,
    backend: Result<TcpStream, Error>,
    mut client: TcpStream,
    observer: &mut dyn Observer,
) -> Result<(), Error> {
    let mut heard = Heard::default();
    let mut backend = match backend.and_then(|stream| Backend::<S>::new(front, stream, &mut heard))
    {
        Ok(backend) => backend,
        Err(error) => return turn_away::<S>(&mut client, &heard, error),
    };
    let driver = Driver::new(client, front.timeouts, observer);
    let config = Config { policy: front.policy, ..Config::default() };
    match accept_or_plaintext(driver, S::server(config), &front.tls)? {
        Accepted::Quit => backend.driver.send(S::PHRASES.goodbye),
        Accepted::Tls(driver, _) => {
            let (stream, early) = backend.into_parts();
            relay(&stream, &early, driver.into_stream(), Duration::ZERO).map_err(io("forwarding"))
        }
        Accepted::Plaintext(driver, _) => {
            let unread = driver.unread().to_vec();
            let mut client = driver.into_stream();
            if let Err(error) = backend.introduce() {
                drop(backend);
                return turn_away::<S>(&mut client, &heard, error);
            }
            backend.driver.send(&unread)?;
            let (stream, early) = backend.into_parts();
            relay_plaintext(&stream, &early, &client).map_err(io("forwarding"))
        }
    }
}

/// The server behind us, at the point where its client speaks.
struct Backend<'o, S: Speech> {
    driver: Driver<'o, TcpStream>,
    greeted: Greeted<S::Client>,
}

impl<'o, S: Speech> Backend<'o, S> {
    /// Swallows the greeting, which is said in our name; but not the one that is for inside TLS.
    fn new(front: &Front, stream: TcpStream, heard: &'o mut Heard) -> Result<Self, Error> {
        let random = random(front.tls.crypto_provider())?;
        let caller = Caller { host: "localhost", random };
        let mut greeted = Greeted::new(S::client(Policy::Opportunistic, &caller));
        let mut driver = Driver::new(stream, TIMEOUTS, heard);
        if !S::Client::PROTOCOL.server_first && greeted.listen(&mut driver)? == Greeting::LoggedIn {
            // Whoever comes through us would be somebody already.
            return Err(starttls::Error::UnexpectedReply.into());
        }
        Ok(Self { driver, greeted })
    }

    /// Repeats what the client said to us to introduce itself, and would not say again.
    fn introduce(&mut self) -> Result<(), Error> {
        if !S::Server::HELLO_FIRST {
            return Ok(());
        }
        self.driver.send(&self.greeted.request)?;
        let plaintext = self.driver.run(&mut self.greeted.client, |_, event, _| {
            Ok(match event {
                Event::Plaintext(_) => ControlFlow::Break(true),
                Event::UpgradeReady => ControlFlow::Break(false),
                _ => ControlFlow::Continue(()),
            })
        })?;
        // It must have no TLS of its own.
        if plaintext == Some(true) { Ok(()) } else { Err(starttls::Error::UnexpectedReply.into()) }
    }

    /// The stream, and what was read of it already.
    fn into_parts(self) -> (TcpStream, Vec<u8>) {
        let early = self.driver.unread().to_vec();
        (self.driver.into_stream(), early)
    }
}

/// What the backend said since we said something.
#[derive(Debug, Default)]
struct Heard(Vec<u8>);

impl Observer for Heard {
    fn sent(&mut self, _: &[u8]) {
        self.0.clear();
    }

    fn received(&mut self, octets: &[u8]) {
        self.0.extend_from_slice(octets);
    }
}

/// The last words to a client that nobody answers: what the backend has against us, it has against
/// the client.
fn turn_away<S: Speech>(client: &mut TcpStream, heard: &Heard, error: Error) -> Result<(), Error> {
    let is_refusal = error.protocol().is_some_and(|error| error.kind() == Kind::Refused);
    let last = if is_refusal { &heard.0 } else { S::PHRASES.unavailable };
    client.write_all(last).map_err(io("turning a client away"))?;
    client.shutdown(Shutdown::Write).map_err(io("turning a client away"))?;
    if is_refusal { Ok(()) } else { Err(behind(error)) }
}

fn io(doing: &'static str) -> impl Fn(std::io::Error) -> Error {
    move |error| Error::Io { doing, error }
}

fn behind(error: Error) -> Error {
    match error {
        Error::Io { error, .. } => Error::Io { doing: "the server behind (--backend)", error },
        other => Error::Io {
            doing: "the server behind (--backend)",
            error: std::io::Error::other(other.to_string()),
        },
    }
}
