use std::ops::ControlFlow;
use std::sync::Arc;

use rustls::ServerConfig;
use starttls::server::{Event, Grammar};
use starttls::wire::Line;
use starttls::{Error as Rule, Plaintext, Protocol, Server, Tls, Untrusted, Verification};

use crate::{Accept, Driver, Error, Runtime};

/// Where an upgrade ended on a server, with the stream `S` in plaintext or `E` encrypted.
///
/// The enum is exhaustive: an application has to handle each variant.
#[derive(Debug)]
pub enum Accepted<'o, S, E, R> {
    /// The connection uses TLS.
    Tls(Driver<'o, E, R>, Tls),
    /// The connection continues without TLS, which the policy allows. The client's command is unread in the
    /// driver.
    Plaintext(Driver<'o, S, R>, Plaintext),
    /// The client said goodbye.
    Quit,
}

/// An application's decisions before TLS starts.
///
/// `&Arc<ServerConfig>` implements it: every client may upgrade, and no further command is known.
pub trait Decide<G: Grammar> {
    /// The TLS configuration for this client. What the client said so far is in the machine.
    fn tls(&mut self, server: &Server<G>) -> Arc<ServerConfig>;

    /// Whether the requested upgrade happens. A refused client may ask again.
    fn upgrade(&mut self, server: &Server<G>) -> bool {
        let _ = server;
        true
    }

    /// The lines that reply to a command that the machine does not know. `None` if the application does not
    /// know it either; that counts as a mistake of the client.
    fn command(&mut self, server: &Server<G>, command: Untrusted<'_>) -> Option<Vec<String>> {
        let _ = (server, command);
        None
    }
}

impl<G: Grammar> Decide<G> for &Arc<ServerConfig> {
    fn tls(&mut self, _: &Server<G>) -> Arc<ServerConfig> {
        Arc::clone(self)
    }
}

impl<G: Grammar, T: Decide<G>> Decide<G> for &mut T {
    fn tls(&mut self, server: &Server<G>) -> Arc<ServerConfig> {
        (**self).tls(server)
    }

    fn upgrade(&mut self, server: &Server<G>) -> bool {
        (**self).upgrade(server)
    }

    fn command(&mut self, server: &Server<G>, command: Untrusted<'_>) -> Option<Vec<String>> {
        (**self).command(server, command)
    }
}

/// The encrypted stream of a server over `S`, with the I/O of `R`.
pub type ServerStream<R, S> = <Arc<ServerConfig> as Accept<R, S>>::Stream;

/// Accepts a client's upgrade to TLS, as far as the machine's policy demands it, with the driver's observer
/// and timeouts.
///
/// A client that breaks the protocol gets a reply before this returns. `decide` is an
/// [`&Arc<ServerConfig>`](ServerConfig) or the application's [`Decide`]. If the future is dropped, the stream
/// closes.
///
/// # Errors
/// Those of the protocol, of TLS and of the network.
pub async fn accept_or_plaintext<'o, R, S, G>(
    mut driver: Driver<'o, S, R>,
    mut server: Server<G>,
    mut decide: impl Decide<G>,
) -> Result<Accepted<'o, S, ServerStream<R, S>, R>, Error>
where
    R: Runtime<S> + Runtime<ServerStream<R, S>>,
    G: Grammar,
    Arc<ServerConfig>: Accept<R, S>,
{
    driver.never_quote();
    match follow(&mut driver, &mut server, &mut decide).await? {
        Some(End::Upgrade) => {
            let tls = decide.tls(&server);
            let early = driver.unread().to_vec();
            let upgrade = server.into_upgrade(&early)?;
            // On the heap, so that connections without TLS do not pay for its size.
            let driver =
                Box::pin(server_handshake(driver, &tls, upgrade.early(), upgrade.alpn())).await?;
            let client = known(&driver);
            Ok(Accepted::Tls(driver, upgrade.established_with(client)))
        }
        Some(End::Plaintext) => {
            driver.flush().await?;
            Ok(Accepted::Plaintext(driver, server.into_plaintext()?))
        }
        Some(End::Quit) | None => {
            driver.flush().await?;
            Ok(Accepted::Quit)
        }
    }
}

/// Starts TLS as a server on a port where TLS comes first (RFC 8314 §3).
///
/// If the protocol [demands](Protocol::demands_alpn) its ALPN id, the configuration has to contain it. If the
/// future is dropped, the stream closes.
///
/// # Errors
/// [`Error::Tls`] if the handshake fails. [`Foreign`](starttls::Error::Foreign) if it ends without a demanded
/// ALPN id. Those of the network.
pub async fn accept_implicit<'o, R, S>(
    driver: Driver<'o, S, R>,
    tls: &Arc<ServerConfig>,
    protocol: Protocol,
) -> Result<(Driver<'o, ServerStream<R, S>, R>, Tls), Error>
where
    R: Runtime<S> + Runtime<ServerStream<R, S>>,
    Arc<ServerConfig>: Accept<R, S>,
{
    let alpn = protocol.alpn.filter(|_| protocol.demands_alpn());
    let driver = server_handshake(driver, tls, &[], alpn).await?;
    let client = known(&driver);
    Ok((driver, Tls::implicit_server_of(client)))
}

/// `Verified` if the client showed a certificate: the configuration's verifier has accepted it.
pub(crate) fn known<R: Runtime<S>, S>(driver: &Driver<'_, S, R>) -> Verification {
    match driver.certificate() {
        Some(_) => Verification::Verified,
        None => Verification::Unverified,
    }
}

enum End {
    Upgrade,
    Plaintext,
    Quit,
}

/// The plaintext part of the connection.
async fn follow<R: Runtime<S>, S, G: Grammar>(
    driver: &mut Driver<'_, S, R>,
    server: &mut Server<G>,
    decide: &mut impl Decide<G>,
) -> Result<Option<End>, Error> {
    let is_credential = |event: Event<'_>| match event {
        Event::Received(said) => said.as_untrusted_bytes().is_empty(),
        // An unknown command may be a misspelt one with a password.
        event => matches!(event, Event::Command(_)),
    };
    driver
        .run_discreetly(server, is_credential, |server, event, out| {
            match event {
                Event::UpgradeRequested if decide.upgrade(server) => server.accept()?,
                Event::UpgradeRequested => server.refuse()?,
                Event::Command(command) => match decide.command(server, command) {
                    Some(lines) => answer(server, &lines, out)?,
                    None => server.unknown()?,
                },
                Event::UpgradeReady => return Ok(ControlFlow::Break(End::Upgrade)),
                Event::Plaintext => return Ok(ControlFlow::Break(End::Plaintext)),
                Event::Quit => return Ok(ControlFlow::Break(End::Quit)),
                _ => {}
            }
            Ok(ControlFlow::Continue(()))
        })
        .await
}

fn answer<G: Grammar>(
    server: &mut Server<G>,
    lines: &[String],
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let lines: Result<Vec<_>, _> = lines.iter().map(|line| Line::new(line)).collect();
    let lines = lines.map_err(Error::argument("the application's answer"))?;
    let start = out.len();
    let written = loop {
        match server.answer(&lines, &mut out[start..]) {
            Err(Rule::OutputTooSmall { needed }) => out.resize(start + needed, 0),
            written => break written?,
        }
    };
    out.truncate(start + written);
    Ok(())
}

/// Starts TLS as a server. `early` are the first bytes of the handshake.
pub(crate) async fn server_handshake<'o, R, S>(
    driver: Driver<'o, S, R>,
    tls: &Arc<ServerConfig>,
    early: &[u8],
    alpn: Option<&[u8]>,
) -> Result<Driver<'o, ServerStream<R, S>, R>, Error>
where
    R: Runtime<S> + Runtime<ServerStream<R, S>>,
    Arc<ServerConfig>: Accept<R, S>,
{
    let (stream, mut link) = driver.into_parts();
    link.discard_unread();
    link.never_quote();
    let stream = tls.accept(stream, &mut link, early, alpn).await?;
    Ok(Driver::over(stream, link))
}
