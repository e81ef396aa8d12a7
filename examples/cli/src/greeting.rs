//! A server's greeting, and its output after the client's goodbye.

use std::fmt;
use std::io::{self, ErrorKind};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use rustls::{OtherError, ProtocolVersion};
use starttls::client::{Event, Grammar, MAX_FRAMES};
use starttls::{Client, Error as Rule, Machine, Meaning, Step};
use starttls_tokio::{ClientStream, Doing, Driver, Error, TcpOrUnix};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

/// The timeout for the reply to a goodbye.
const PATIENCE: Duration = Duration::from_secs(5);

/// The result of a server's greeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Greeting {
    /// It is the client's turn; its request is in [`Greeted::request`].
    Usual,
    /// The client is already logged in; the protocol's client has nothing more to do.
    LoggedIn,
}

/// A client that reads until it would write.
pub(crate) struct Greeted<G: Grammar> {
    pub(crate) client: Client<G>,
    /// The request that it would send.
    pub(crate) request: Vec<u8>,
    /// Whether the server sent something.
    pub(crate) heard: bool,
}

impl<G: Grammar> Greeted<G> {
    pub(crate) const fn new(client: Client<G>) -> Self {
        Self { client, request: Vec::new(), heard: false }
    }

    /// Reads the greeting, if the protocol has one.
    pub(crate) async fn listen<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        driver: &mut Driver<'_, S>,
    ) -> Result<Greeting, Error> {
        let flow = |event: Option<Greeting>| {
            Ok(event.map_or(ControlFlow::Continue(()), ControlFlow::Break))
        };
        let greeting = driver.run(self, |_, event, _| flow(event)).await?;
        greeting.ok_or_else(|| Rule::Closed.into())
    }
}

impl<G: Grammar> Machine for Greeted<G> {
    type Event<'i> = Option<Greeting>;

    const MAX_INPUT: usize = Client::<G>::MAX_INPUT;
    const MAX_OUTPUT: usize = Client::<G>::MAX_OUTPUT;

    fn step<'i>(
        &mut self,
        input: &mut &'i [u8],
        output: &mut [u8],
    ) -> Result<Step<Self::Event<'i>>, Rule> {
        Ok(match self.client.step(input, output)? {
            Step::Read => Step::Read,
            Step::Write(n) => {
                self.request = output.get(..n).unwrap_or_default().to_vec();
                Step::Event(Some(Greeting::Usual))
            }
            Step::Event(Event::Plaintext(_)) => Step::Event(Some(Greeting::LoggedIn)),
            Step::Event(_) => {
                self.heard = true;
                Step::Event(None)
            }
        })
    }

    fn end_of_input(&mut self) -> Result<(), Rule> {
        self.client.end_of_input()
    }

    fn timed_out(&mut self) -> Rule {
        self.client.timed_out()
    }

    fn wait(&self) -> Option<Duration> {
        self.client.wait()
    }

    fn in_words<'i>(&self, frame: &'i [u8]) -> Option<Meaning<'i>> {
        self.client.in_words(frame)
    }
}

/// Sends a goodbye and displays the server's reply. The server may also simply close.
///
/// In TLS 1.3 the client finishes the handshake before the server has seen the client's certificate, or its absence. Only
/// output of the server inside TLS, or an end without an alert, means that it accepts the client; `heard` tells that it
/// has already sent something.
pub(crate) async fn leave(
    mut driver: Driver<'_, ClientStream<TcpOrUnix>>,
    goodbye: &[u8],
    heard: bool,
) -> Result<(), Error> {
    let mut last = Last(0);
    let mut ended = false;
    if !goodbye.is_empty() {
        driver.send(goodbye).await?;
        match driver.run(&mut last, |_, (), _| Ok(ControlFlow::<()>::Continue(()))).await {
            Err(alert @ Error::Tls(_)) => return Err(alert),
            outcome => ended = outcome.is_ok(),
        }
    }
    if heard || ended || last.0 > 0 {
        // A server that has accepted the handshake may end the connection in any way.
        return match driver.close().await {
            Err(alert @ Error::Tls(_)) => Err(alert),
            _ => Ok(()),
        };
    }
    let mut stream = driver.into_stream();
    let end = timeout(PATIENCE, end(&mut stream)).await;
    match end {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) if error.kind() == ErrorKind::UnexpectedEof => Ok(()),
        Ok(Err(error)) => match Error::io(Doing::Closing)(error) {
            alert @ Error::Tls(_) => Err(alert),
            error => accepted(&stream).map_err(|_| error),
        },
        Err(_) => accepted(&stream),
    }
}

/// Sends close_notify and waits for the server's, or any other output.
async fn end(stream: &mut ClientStream<TcpOrUnix>) -> io::Result<()> {
    match stream.shutdown().await {
        // The server's last output counts.
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        Err(error) => return Err(error),
    }
    stream.read(&mut [0; 1]).await.map(drop)
}

/// Whether the handshake itself shows that the server has finished it, too: in TLS 1.2 the server sends the last message.
fn accepted(stream: &ClientStream<TcpOrUnix>) -> Result<(), Error> {
    if stream.get_ref().1.protocol_version() == Some(ProtocolVersion::TLSv1_2) {
        return Ok(());
    }
    Err(Error::Tls(rustls::Error::Other(OtherError(Arc::new(Undecided)))))
}

/// A server that neither accepted nor refused.
#[derive(Debug)]
struct Undecided;

impl fmt::Display for Undecided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the server did not show that it accepts the handshake: it neither answered nor ended the connection (it may \
             wait, or check the client's certificate)",
        )
    }
}

impl std::error::Error for Undecided {}

/// Accepts this many lines, and the end.
struct Last(u8);

impl Machine for Last {
    type Event<'i> = ();

    const MAX_INPUT: usize = 1;
    const MAX_OUTPUT: usize = 0;

    fn step(&mut self, input: &mut &[u8], _: &mut [u8]) -> Result<Step<()>, Rule> {
        if input.is_empty() {
            return Ok(Step::Read);
        }
        self.0 = self.0.saturating_add(1);
        if self.0 > MAX_FRAMES {
            return Err(Rule::ReplyTooLong);
        }
        let end = input.iter().position(|octet| *octet == b'\n').map_or(input.len(), |end| end + 1);
        *input = &input[end..];
        Ok(Step::Event(()))
    }

    fn end_of_input(&mut self) -> Result<(), Rule> {
        Ok(())
    }

    fn timed_out(&mut self) -> Rule {
        Rule::TimedOut
    }

    fn wait(&self) -> Option<Duration> {
        Some(PATIENCE)
    }
}
