//! `starttls serve --backend`: TLS in front of a server without TLS.

use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use starttls::client::Event;
use starttls::server::{Config, Grammar as _};
use starttls::{Introduction, Kind, Policy, Roles, Server};
use starttls_tokio::{
    Accepted, Doing, Driver, Error, Mode, Observer, PeerCertificate, Prompt, TcpOrUnix, Timeouts,
    accept_implicit, accept_or_plaintext, connect,
};
use tokio::io::{AsyncWriteExt as _, copy, sink};
use tokio::time::timeout;

use crate::dial::{NAME, random};
use crate::forward::forward;
use crate::greeting::{Greeted, Greeting};
use crate::listen::Abrupt;
use crate::out;
use crate::serve::Front;
use crate::url::speaking;

/// The timeout for connecting to the backend, and for each of its replies to `serve` itself.
const PATIENCE: Duration = Duration::from_secs(30);

/// The time to read from a client without a backend.
const LINGER: Duration = Duration::from_secs(2);

const TIMEOUTS: Timeouts =
    Timeouts::new().with_connect(PATIENCE).with_handshake(PATIENCE).with_wait(PATIENCE);

/// Serves one connection to its end. It connects to the backend first, so that a client without a backend gets no
/// further than the greeting.
pub(crate) async fn connection(
    front: &Front,
    client: TcpOrUnix,
    observer: &mut (dyn Observer + Send),
) -> Result<(), Error> {
    let Some(backend) = &front.backend else {
        return without_backend(front, client, observer).await;
    };
    let backend = connect(backend, &TIMEOUTS).await;
    speaking!(front.scheme, P => match front.scheme.mode {
        Mode::Implicit => implicit::<P>(front, backend, client, observer).await,
        Mode::StartTls => starttls::<P>(front, backend, client, observer).await,
    })
}

/// Implicit TLS: the client gets the backend's greeting.
async fn implicit<P: Roles>(
    front: &Front,
    backend: Result<Prompt, Error>,
    client: TcpOrUnix,
    observer: &mut (dyn Observer + Send),
) -> Result<(), Error> {
    let driver = Driver::new(client, front.timeouts, observer);
    let (mut driver, _) = Box::pin(accept_implicit(driver, &front.tls, P::PROTOCOL)).await?;
    tell(driver.certificate());
    match backend {
        Ok(stream) => {
            let client = driver.into_stream();
            let stream = Abrupt::new(TcpOrUnix::Tcp(stream));
            forward(stream, &[], client, front.patience()).await.map_err(io("forwarding"))
        }
        Err(error) => {
            driver.send(P::PHRASES.unavailable).await?;
            driver.close().await?;
            Err(backend_error(error))
        }
    }
}

async fn starttls<P: Roles>(
    front: &Front,
    backend: Result<Prompt, Error>,
    client: TcpOrUnix,
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
            tell(driver.certificate());
            backend.open().await?;
            let (stream, early) = backend.into_parts();
            forward(stream, &early, driver.into_stream(), front.patience())
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
            forward(stream, &early, Abrupt::new(client), front.patience())
                .await
                .map_err(io("forwarding"))
        }
    }
}

/// Whether client and backend are both on this machine.
pub(crate) fn names(front: &Front) -> Result<Introduction<'static>, Error> {
    let mut names = Introduction::new("localhost", random(front.tls.crypto_provider())?);
    // A backend without TLS has none on other connections either.
    names.protects_data = false;
    Ok(names)
}

fn server<P: Roles>(front: &Front) -> Result<Server<P::Server<'static>>, Error> {
    let config = Config::default().with_policy(front.policy);
    P::server(&names(front)?, config).map_err(Error::argument(NAME))
}

/// Serves one connection only as far as TLS, without a backend.
async fn without_backend(
    front: &Front,
    client: TcpOrUnix,
    observer: &mut (dyn Observer + Send),
) -> Result<(), Error> {
    let driver = Driver::new(client, front.timeouts, observer);
    let accepted = speaking!(front.scheme, P => {
        accept_or_plaintext(driver, server::<P>(front)?, &front.tls).await
    })?;
    let Accepted::Tls(driver, _) = accepted else { return Ok(()) };
    tell(driver.certificate());
    let mut stream = driver.into_stream();
    let last = speaking!(front.scheme, P => P::PHRASES.unavailable);
    let part = async {
        stream.write_all(last).await?;
        stream.shutdown().await?;
        // If the socket is closed with unread bytes, TCP discards the sent reply.
        copy(&mut stream, &mut sink()).await.map(drop)
    };
    match timeout(LINGER, part).await {
        Ok(Err(error)) if error.kind() != ErrorKind::UnexpectedEof => Err(io("leaving")(error)),
        _ => Ok(()),
    }
}

/// Logs the client's certificate, which the backend cannot see.
fn tell(certificate: Option<&PeerCertificate>) {
    if let Some(certificate) = certificate {
        let (subject, names) = (certificate.subject(), certificate.names().join(", "));
        out::tell!("a client with a certificate: {subject:?} ({names:?})");
    }
}

/// The backend, at the point where its client speaks.
struct Backend<P: Roles> {
    driver: Driver<'static, Prompt>,
    greeted: Greeted<P::Client<'static>>,
}

impl<P: Roles> Backend<P> {
    /// Discards the greeting, because `serve` sent its own; but not a greeting for inside TLS.
    async fn new(front: &Front, stream: Prompt, heard: Heard) -> Result<Self, Error> {
        let client = P::client(&names(front)?, Policy::Opportunistic);
        let mut greeted = Greeted::new(client.map_err(Error::argument(NAME))?);
        let mut driver = Driver::new(stream, TIMEOUTS, heard);
        if !P::PROTOCOL.server_first && greeted.listen(&mut driver).await? == Greeting::LoggedIn {
            // Otherwise every client would already be logged in.
            return Err(starttls::Error::UnexpectedReply.into());
        }
        Ok(Self { driver, greeted })
    }

    /// Sends the request that a client sends after the greeting, which our client sent to `serve`.
    async fn open(&mut self) -> Result<(), Error> {
        self.driver.send(P::PHRASES.opening).await
    }

    /// Repeats the client's introduction, which the client would not send again.
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
        // The backend must not have TLS itself.
        if plaintext == Some(true) { Ok(()) } else { Err(starttls::Error::UnexpectedReply.into()) }
    }

    /// The stream, and the bytes already read from it.
    fn into_parts(self) -> (Abrupt, Vec<u8>) {
        let early = self.driver.unread().to_vec();
        (Abrupt::new(TcpOrUnix::Tcp(self.driver.into_stream())), early)
    }
}

/// The backend's output since the last request.
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

/// The farewell to a client without a backend: a backend's refusal of `serve` is passed on to
/// the client.
async fn turn_away<P: Roles>(
    mut client: TcpOrUnix,
    heard: &Heard,
    error: Error,
) -> Result<(), Error> {
    let is_refusal = error.protocol().is_some_and(|error| error.kind() == Kind::Refused);
    let last = if is_refusal { heard.bytes().clone() } else { P::PHRASES.unavailable.to_vec() };
    client.write_all(&last).await.map_err(io("turning a client away"))?;
    client.shutdown().await.map_err(io("turning a client away"))?;
    if is_refusal { Ok(()) } else { Err(backend_error(error)) }
}

fn io(doing: &'static str) -> impl Fn(std::io::Error) -> Error {
    move |error| Error::Io { doing: Doing::Other(doing), error }
}

fn backend_error(error: Error) -> Error {
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
