//! `starttls serve --backend`: the TLS in front of a server that has none.

use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use starttls::client::Event;
use starttls::server::{Config, Grammar as _};
use starttls::{Introduction, Kind, Policy, Roles, Server};
use starttls_tokio::{
    Accepted, Doing, Driver, Error, Mode, Observer, Prompt, Timeouts, accept_implicit,
    accept_or_plaintext, check_alpn, connect,
};
use tokio::io::{AsyncWriteExt as _, copy, sink};
use tokio::time::timeout;

use crate::dial::{NAME, random};
use crate::forward::forward;
use crate::greeting::{Greeted, Greeting};
use crate::serve::Front;
use crate::url::speaking;

/// How long the backend may take to be reached, and for each answer that is for us.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a client is listened to that nobody answers.
const LINGER: Duration = Duration::from_secs(2);

const TIMEOUTS: Timeouts =
    Timeouts::new().with_connect(PATIENCE).with_handshake(PATIENCE).with_wait(PATIENCE);

/// Serves one connection to its end. The backend is asked first, so that a client never gets
/// further than to a greeting of nobody.
pub(crate) async fn connection(
    front: &Front,
    client: Prompt,
    observer: &mut (dyn Observer + Send),
) -> Result<(), Error> {
    let Some(backend) = &front.backend else { return nobody(front, client, observer).await };
    let backend = connect(backend, &TIMEOUTS).await;
    speaking!(front.scheme, P => match front.scheme.mode {
        Mode::Implicit => implicit::<P>(front, backend, client, observer).await,
        Mode::StartTls => starttls::<P>(front, backend, client, observer).await,
    })
}

/// TLS first: the backend's greeting is the client's.
async fn implicit<P: Roles>(
    front: &Front,
    backend: Result<Prompt, Error>,
    client: Prompt,
    observer: &mut (dyn Observer + Send),
) -> Result<(), Error> {
    let driver = Driver::new(client, front.timeouts, observer);
    let (mut driver, _) = Box::pin(accept_implicit(driver, &front.tls)).await?;
    match backend {
        Ok(stream) => {
            let client = driver.into_stream();
            let protocol = P::PROTOCOL;
            // Where both come to the same port, nothing but ALPN says what is spoken.
            let alpn = protocol.alpn.filter(|_| protocol.implicit_port == Some(protocol.port));
            check_alpn(alpn, client.get_ref().1)?;
            forward(stream, &[], client, Duration::ZERO).await.map_err(io("forwarding"))
        }
        Err(error) => {
            driver.send(P::PHRASES.unavailable).await?;
            driver.close().await?;
            Err(behind(error))
        }
    }
}

async fn starttls<P: Roles>(
    front: &Front,
    backend: Result<Prompt, Error>,
    client: Prompt,
    observer: &mut (dyn Observer + Send),
) -> Result<(), Error> {
    let heard = Heard::default();
    let backend = match backend {
        Ok(stream) => Backend::<P>::new(front, stream, heard.clone()).await,
        Err(error) => Err(error),
    };
    let mut backend = match backend {
        Ok(backend) => backend,
        Err(error) => return turn_away::<P>(client, &heard, error).await,
    };
    let driver = Driver::new(client, front.timeouts, observer);
    let server = server::<P>(front)?;
    match accept_or_plaintext(driver, server, &front.tls).await? {
        Accepted::Quit => {
            backend.open().await?;
            backend.driver.send(P::PHRASES.goodbye).await
        }
        Accepted::Tls(driver, _) => {
            backend.open().await?;
            let (stream, early) = backend.into_parts();
            forward(stream, &early, driver.into_stream(), Duration::ZERO)
                .await
                .map_err(io("forwarding"))
        }
        Accepted::Plaintext(driver, _) => {
            let unread = driver.unread().to_vec();
            let client = driver.into_stream();
            if let Err(error) = backend.introduce().await {
                drop(backend);
                return turn_away::<P>(client, &heard, error).await;
            }
            backend.open().await?;
            backend.driver.send(&unread).await?;
            let (stream, early) = backend.into_parts();
            forward(stream, &early, client, Duration::ZERO).await.map_err(io("forwarding"))
        }
    }
}

/// Both sides of us are on this machine.
fn names(front: &Front) -> Result<Introduction<'static>, Error> {
    Ok(Introduction::new("localhost", random(front.tls.crypto_provider())?))
}

fn server<P: Roles>(front: &Front) -> Result<Server<P::Server<'static>>, Error> {
    let config = Config::default().with_policy(front.policy);
    P::server(&names(front)?, config).map_err(Error::argument(NAME))
}

/// Serves one connection as far as TLS, where there is nobody behind.
async fn nobody(
    front: &Front,
    client: Prompt,
    observer: &mut (dyn Observer + Send),
) -> Result<(), Error> {
    let driver = Driver::new(client, front.timeouts, observer);
    let accepted = speaking!(front.scheme, P => {
        accept_or_plaintext(driver, server::<P>(front)?, &front.tls).await
    })?;
    let Accepted::Tls(driver, _) = accepted else { return Ok(()) };
    let mut stream = driver.into_stream();
    let last = speaking!(front.scheme, P => P::PHRASES.unavailable);
    let part = async {
        stream.write_all(last).await?;
        stream.shutdown().await?;
        // Closed with octets unread, TCP would take the words back.
        copy(&mut stream, &mut sink()).await.map(drop)
    };
    match timeout(LINGER, part).await {
        Ok(Err(error)) if error.kind() != ErrorKind::UnexpectedEof => Err(io("leaving")(error)),
        _ => Ok(()),
    }
}

/// The server behind us, at the point where its client speaks.
struct Backend<P: Roles> {
    driver: Driver<'static, Prompt>,
    greeted: Greeted<P::Client<'static>>,
}

impl<P: Roles> Backend<P> {
    /// Swallows the greeting, which is said in our name; but not the one that is for inside TLS.
    async fn new(front: &Front, stream: Prompt, heard: Heard) -> Result<Self, Error> {
        let client = P::client(&names(front)?, Policy::Opportunistic);
        let mut greeted = Greeted::new(client.map_err(Error::argument(NAME))?);
        let mut driver = Driver::new(stream, TIMEOUTS, heard);
        if !P::PROTOCOL.server_first && greeted.listen(&mut driver).await? == Greeting::LoggedIn {
            // Whoever comes through us would be somebody already.
            return Err(starttls::Error::UnexpectedReply.into());
        }
        Ok(Self { driver, greeted })
    }

    /// Says what a client says behind the greeting, which ours said to us.
    async fn open(&mut self) -> Result<(), Error> {
        self.driver.send(P::PHRASES.opening).await
    }

    /// Repeats what the client said to us to introduce itself, and would not say again.
    async fn introduce(&mut self) -> Result<(), Error> {
        if !P::Server::<'static>::HELLO_FIRST {
            return Ok(());
        }
        self.driver.send(&self.greeted.request).await?;
        let plaintext = self
            .driver
            .run(&mut self.greeted.client, |_, event, _| {
                Ok(match event {
                    Event::Plaintext(_) => ControlFlow::Break(true),
                    Event::UpgradeReady => ControlFlow::Break(false),
                    _ => ControlFlow::Continue(()),
                })
            })
            .await?;
        self.driver.flush().await?;
        // It must have no TLS of its own.
        if plaintext == Some(true) { Ok(()) } else { Err(starttls::Error::UnexpectedReply.into()) }
    }

    /// The stream, and what was read of it already.
    fn into_parts(self) -> (Prompt, Vec<u8>) {
        let early = self.driver.unread().to_vec();
        (self.driver.into_stream(), early)
    }
}

/// What the backend said since we said something.
#[derive(Clone, Debug, Default)]
struct Heard(Arc<Mutex<Vec<u8>>>);

impl Heard {
    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Heard {
    fn sent(&mut self, _: &[u8]) {
        self.bytes().clear();
    }

    fn received(&mut self, octets: &[u8]) {
        self.bytes().extend_from_slice(octets);
    }
}

/// The last words to a client that nobody answers: what the backend has against us, it has against
/// the client.
async fn turn_away<P: Roles>(mut client: Prompt, heard: &Heard, error: Error) -> Result<(), Error> {
    let is_refusal = error.protocol().is_some_and(|error| error.kind() == Kind::Refused);
    let last = if is_refusal { heard.bytes().clone() } else { P::PHRASES.unavailable.to_vec() };
    client.write_all(&last).await.map_err(io("turning a client away"))?;
    client.shutdown().await.map_err(io("turning a client away"))?;
    if is_refusal { Ok(()) } else { Err(behind(error)) }
}

fn io(doing: &'static str) -> impl Fn(std::io::Error) -> Error {
    move |error| Error::Io { doing: Doing::Other(doing), error }
}

fn behind(error: Error) -> Error {
    match error {
        Error::Io { error, .. } => {
            Error::Io { doing: Doing::Other("the server of --backend"), error }
        }
        other => Error::Io {
            doing: Doing::Other("the server of --backend"),
            error: std::io::Error::other(other.to_string()),
        },
    }
}
