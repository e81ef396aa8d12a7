use std::future::{Future as _, poll_fn};
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::Poll;

use starttls::server::{Event, Grammar};
use starttls::wire::Line;
use starttls::{Error as Rule, Plaintext, Server, Tls, Untrusted};
use starttls_common::{Doing, check_alpn};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, server};

use crate::upgrade::shake_hands;
use crate::{Driver, Error, Silent, Timeouts};

/// A server's stream after the upgrade.
pub type ServerStream<S> = server::TlsStream<S>;

/// Where a client led the server. Exhaustive: an application has to do something about each.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one a connection")]
pub enum Accepted<'o, S> {
    /// To TLS.
    Tls(Driver<'o, ServerStream<S>>, Tls),
    /// On without TLS, which the policy allows; its command waits in the driver.
    Plaintext(Driver<'o, S>, Plaintext),
    /// Away: it said goodbye.
    Quit,
}

/// What an application decides on its clients' way to TLS. A [`TlsAcceptor`] lets everybody go there
/// and knows no command.
pub trait Decide<G: Grammar> {
    /// With which certificate TLS starts; what the client said of itself is in the machine.
    fn acceptor(&mut self, server: &Server<G>) -> TlsAcceptor;

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

impl<G: Grammar> Decide<G> for &TlsAcceptor {
    fn acceptor(&mut self, _: &Server<G>) -> TlsAcceptor {
        self.clone()
    }
}

impl<G: Grammar, T: Decide<G>> Decide<G> for &mut T {
    fn acceptor(&mut self, server: &Server<G>) -> TlsAcceptor {
        (**self).acceptor(server)
    }

    fn upgrade(&mut self, server: &Server<G>) -> bool {
        (**self).upgrade(server)
    }

    fn command(&mut self, server: &Server<G>, command: Untrusted<'_>) -> Option<Vec<String>> {
        (**self).command(server, command)
    }
}

/// Upgrades an accepted stream to TLS and returns it, ready for the protocol's own server. `decide` is
/// a [`&TlsAcceptor`](TlsAcceptor) or an application's own.
///
/// Dropped before it is done, it closes the stream.
///
/// # Errors
/// Those of the protocol, of TLS and of the network; [`starttls::Error::Closed`] if the client
/// leaves or goes on without TLS.
pub async fn accept<S, G>(
    stream: S,
    server: Server<G>,
    decide: impl Decide<G>,
) -> Result<ServerStream<S>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
    G: Grammar,
{
    let driver = Driver::new(stream, Timeouts::default(), Silent);
    match accept_or_plaintext(driver, server, decide).await? {
        Accepted::Tls(driver, _) => Ok(driver.into_stream()),
        Accepted::Plaintext(..) | Accepted::Quit => Err(Rule::Closed.into()),
    }
}

/// Follows a client to TLS as far as the machine's policy demands, watched and within the driver's
/// timeouts. A client that breaks the protocol is told so before this returns.
///
/// Dropped before it is done, it closes the stream.
///
/// # Errors
/// Those of the protocol, of TLS and of the network.
pub async fn accept_or_plaintext<'o, S, G>(
    mut driver: Driver<'o, S>,
    mut server: Server<G>,
    mut decide: impl Decide<G>,
) -> Result<Accepted<'o, S>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
    G: Grammar,
{
    driver.link.never_quote();
    match follow(&mut driver, &mut server, &mut decide).await? {
        Some(End::Upgrade) => {
            let acceptor = decide.acceptor(&server);
            let early = driver.unread().to_vec();
            let upgrade = server.into_upgrade(&early)?;
            // On the heap, for those who never come here.
            let driver = Box::pin(handshake(driver, &acceptor, upgrade.early())).await?;
            check_alpn(upgrade.alpn(), driver.stream.get_ref().1)?;
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
pub async fn accept_implicit<'o, S>(
    driver: Driver<'o, S>,
    acceptor: &TlsAcceptor,
) -> Result<(Driver<'o, ServerStream<S>>, Tls), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let driver = handshake(driver, acceptor, &[]).await?;
    Ok((driver, Tls::implicit_server()))
}

enum End {
    Upgrade,
    Plaintext,
    Quit,
}

/// Everything in plaintext.
async fn follow<S, G>(
    driver: &mut Driver<'_, S>,
    server: &mut Server<G>,
    decide: &mut impl Decide<G>,
) -> Result<Option<End>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
    G: Grammar,
{
    let is_credential = |event: Event<'_>| matches!(event, Event::Received(said) if said.as_untrusted_bytes().is_empty());
    let end = driver
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
        .await?;
    Ok(end)
}

fn answer<G: Grammar>(
    server: &mut Server<G>,
    lines: &[String],
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let lines = lines.iter().map(|line| Line::new(line)).collect::<Result<Vec<_>, _>>().map_err(
        |error| Error::Argument { what: "the application's answer", why: error.to_string() },
    )?;
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
pub(crate) async fn handshake<'o, S>(
    driver: Driver<'o, S>,
    acceptor: &TlsAcceptor,
    mut early: &[u8],
) -> Result<Driver<'o, ServerStream<S>>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Driver { stream, mut link } = driver;
    let mut taken = Ok(());
    let mut accept = acceptor.accept_with(stream, |connection| {
        while !early.is_empty() && taken.is_ok() {
            taken = connection
                .read_tls(&mut early)
                .map_err(Error::io(Doing::Handshake))
                .and_then(|_| Ok(connection.process_new_packets().map(drop)?));
        }
    });
    if let Err(error) = taken {
        // The alert that says why; it is only a courtesy.
        let alert = poll_fn(|cx| Poll::Ready(Pin::new(&mut accept).poll(cx).is_ready()));
        let _ = alert.await;
        return Err(error);
    }
    let stream = shake_hands(&mut link, accept).await?;
    link.observer().secured(stream.get_ref().1, None);
    link.discard_unread();
    link.never_quote();
    Ok(Driver::over(stream, link))
}
