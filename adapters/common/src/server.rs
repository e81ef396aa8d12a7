use std::ops::ControlFlow;
use std::sync::Arc;

use rustls::ServerConfig;
use starttls::server::{Event, Grammar};
use starttls::wire::Line;
use starttls::{Error as Rule, Plaintext, Server, Tls, Untrusted};

use crate::{Accept, Driver, Error, Runtime};

/// Where a client led the server, over a stream `S` or an encrypted one, `E`. Exhaustive: an application has to do
/// something about each.
#[derive(Debug)]
pub enum Accepted<'o, S, E, R> {
    /// To TLS.
    Tls(Driver<'o, E, R>, Tls),
    /// On without TLS, which the policy allows; its command waits in the driver.
    Plaintext(Driver<'o, S, R>, Plaintext),
    /// Away: it said goodbye.
    Quit,
}

/// What an application decides on its clients' way to TLS. A configuration alone lets every client go there and
/// knows no command.
pub trait Decide<G: Grammar> {
    /// With which certificate TLS starts; what the client said of itself is in the machine.
    fn tls(&mut self, server: &Server<G>) -> Arc<ServerConfig>;

    /// Whether the upgrade happens that a client asks for. Refused, it may ask again.
    fn upgrade(&mut self, server: &Server<G>) -> bool {
        let _ = server;
        true
    }

    /// The lines that answer a command which is none of the machine's; `None` if the application does
    /// not know it either, which counts as a mistake.
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

/// The stream that a kind of I/O makes of `S` as a server.
pub type ServerStream<R, S> = <Arc<ServerConfig> as Accept<R, S>>::Stream;

/// Follows a client to TLS as far as the machine's policy demands, watched and within the driver's
/// timeouts. A client that breaks the protocol is told so before this returns. `decide` is an
/// [`&Arc<ServerConfig>`](ServerConfig) or an application's own.
///
/// Dropped before it is done, it closes the stream.
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
            // On the heap, for connections that never come here.
            let driver =
                Box::pin(server_handshake(driver, &tls, upgrade.early(), upgrade.alpn())).await?;
            Ok(Accepted::Tls(driver, upgrade.established()))
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
/// Dropped before it is done, it closes the stream.
///
/// # Errors
/// [`Error::Tls`] if the handshake fails; those of the network.
pub async fn accept_implicit<'o, R, S>(
    driver: Driver<'o, S, R>,
    tls: &Arc<ServerConfig>,
) -> Result<(Driver<'o, ServerStream<R, S>, R>, Tls), Error>
where
    R: Runtime<S> + Runtime<ServerStream<R, S>>,
    Arc<ServerConfig>: Accept<R, S>,
{
    let driver = server_handshake(driver, tls, &[], None).await?;
    Ok((driver, Tls::implicit_server()))
}

enum End {
    Upgrade,
    Plaintext,
    Quit,
}

/// Everything in plaintext.
async fn follow<R: Runtime<S>, S, G: Grammar>(
    driver: &mut Driver<'_, S, R>,
    server: &mut Server<G>,
    decide: &mut impl Decide<G>,
) -> Result<Option<End>, Error> {
    let is_credential = |event: Event<'_>| matches!(event, Event::Received(said) if said.as_untrusted_bytes().is_empty());
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

/// Starts TLS as a server, `early` octets first.
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
