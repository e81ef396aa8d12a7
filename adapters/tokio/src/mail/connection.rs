use std::ops::ControlFlow;

use starttls::client::Grammar;
use starttls::mail::outbound::Job;
use starttls::mail::session::Extensions;
use starttls::mail::{Envelope, LineEnds, Opening, Outbound};
use starttls::smtp::{Dialect, Smtp};
use starttls::{Error as Rule, Verification};
use starttls_common::{Binding, Doing, Letter, Stage, Welcome};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};

use crate::driver::now;
use crate::{ClientStream, ClientTls, Driver, Error, Login, Prompt, Receipt};

/// How many octets of a message are read at a time.
const PIECE: usize = 16 * 1024;

/// An open connection to a mail server, from [`Mailer::connect`](crate::Mailer::connect), for one
/// mail after the other. A mail takes two round trips where the server offers `PIPELINING`.
///
/// A mail that the server refuses leaves it open for the next one. What ends it says what became of
/// the mail ([`Error::fate`]), and no later mail is sent. It owns what it needs, and may stand in a pool.
#[derive(Debug)]
pub struct Connection<'o, D = Smtp> {
    stream: Stream<'o>,
    outbound: Outbound<D>,
    used: bool,
}

/// What the connection runs over.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one a connection")]
enum Stream<'o> {
    Tls(Driver<'o, ClientStream<Prompt>>),
    Plaintext(Driver<'o, Prompt>),
}

/// Does the same over either.
macro_rules! over {
    ($stream:expr, $driver:ident => $act:expr) => {
        match $stream {
            Stream::Tls($driver) => $act,
            Stream::Plaintext($driver) => $act,
        }
    };
}

impl<'o, D: Dialect> Connection<'o, D> {
    /// Introduces the client over TLS, and logs in.
    pub(crate) async fn encrypted<'a, G: Grammar>(
        mut driver: Driver<'o, ClientStream<Prompt>>,
        mut opening: Opening<'a, D, G>,
        verification: Verification,
        login: Option<(&Login, &ClientTls)>,
        line_ends: LineEnds,
    ) -> Result<Self, Error> {
        let binding = match login {
            Some((_, tls)) => Some(Binding::over(driver.stream.get_ref().1, tls)?),
            None => None,
        };
        let credentials = match (login, &binding) {
            (Some((login, _)), Some(binding)) => Some(login.credentials(binding)?),
            _ => None,
        };
        opening.encrypted(verification, credentials.as_ref())?;
        introduce(&mut driver, &mut opening).await?;
        let outbound = opening.into_outbound(line_ends)?;
        Ok(Self { stream: Stream::Tls(driver), outbound, used: false })
    }

    /// Introduces the client in plaintext.
    pub(crate) async fn plaintext<G: Grammar>(
        mut driver: Driver<'o, Prompt>,
        mut opening: Opening<'_, D, G>,
        line_ends: LineEnds,
    ) -> Result<Self, Error> {
        introduce(&mut driver, &mut opening).await?;
        let outbound = opening.into_outbound(line_ends)?;
        Ok(Self { stream: Stream::Plaintext(driver), outbound, used: false })
    }

    /// Whether another mail can be sent; a server may leave between two mails, which shows with the
    /// next one only.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.outbound.is_open()
    }

    /// What the server said it can do.
    #[must_use]
    pub const fn extensions(&self) -> Extensions {
        self.outbound.extensions()
    }

    /// Sends one mail. The total of [`Timeouts`](crate::Timeouts) begins anew with each mail but the
    /// first.
    ///
    /// Dropped before it is done, it ends the connection, and what became of the mail cannot be known.
    ///
    /// # Errors
    /// [`Error::Rejected`] if no recipient gets it, and what stands between a mail and this server: its
    /// size, or what it does not offer; the connection stays open then. All that can go wrong on the
    /// way ends it. [`Error::fate`] says whether it is safe to send the mail again.
    pub async fn send(
        &mut self,
        envelope: &Envelope<'_>,
        message: impl AsyncRead + Unpin,
    ) -> Result<Receipt, Error> {
        if std::mem::replace(&mut self.used, true) {
            over!(&mut self.stream, driver => driver.link.restart_total(now()));
        }
        let mut job = self.outbound.send(envelope)?;
        let outcome = match &mut self.stream {
            Stream::Tls(driver) => mail(driver, &mut job, envelope, message).await,
            Stream::Plaintext(driver) => mail(driver, &mut job, envelope, message).await,
        };
        match outcome {
            Err(error) if !matches!(error, Error::Rejected { .. }) => {
                Err(error.with_fate(self.outbound.fate()))
            }
            settled => settled,
        }
    }

    /// Says goodbye and closes the connection. An error takes no mail back.
    ///
    /// # Errors
    /// Those of the protocol and of the network; [`Closed`](Rule::Closed) if it was not open any more.
    pub async fn quit(mut self) -> Result<(), Error> {
        let mut quit = self.outbound.quit()?;
        over!(self.stream, driver => leave(driver, &mut quit).await)
    }
}

/// Hello and login.
async fn introduce<'a, S: AsyncRead + AsyncWrite + Unpin, D: Dialect, G: Grammar>(
    driver: &mut Driver<'_, S>,
    opening: &mut Opening<'a, D, G>,
) -> Result<(), Error> {
    let mut welcome = Welcome::default();
    let ready = driver.run(opening, |_, event, _| Ok(welcome.note(event))).await;
    match ready {
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err(Rule::Closed.into()),
        Err(error) => Err(welcome.error(error)),
    }
}

async fn leave<S: AsyncRead + AsyncWrite + Unpin, D: Dialect>(
    mut driver: Driver<'_, S>,
    quit: &mut Job<'_, '_, D>,
) -> Result<(), Error> {
    driver
        .run(quit, |_, event, _| {
            Ok(if event.is_last() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })
        .await?;
    driver.close().await
}

async fn mail<S: AsyncRead + AsyncWrite + Unpin, D: Dialect>(
    driver: &mut Driver<'_, S>,
    job: &mut Job<'_, '_, D>,
    envelope: &Envelope<'_>,
    message: impl AsyncRead + Unpin,
) -> Result<Receipt, Error> {
    let mut letter = Letter::new(envelope);
    let stage = driver.run(job, |_, event, _| letter.note(event)).await?;
    if stage == Some(Stage::Message) {
        body(driver, job, message).await?;
        driver.run(job, |_, event, _| letter.note(event)).await?;
    }
    Ok(letter.into_receipt())
}

/// Sends the message but for its end, which leaves in one write with the last piece.
async fn body<S: AsyncRead + AsyncWrite + Unpin, D: Dialect>(
    driver: &mut Driver<'_, S>,
    job: &mut Job<'_, '_, D>,
    mut message: impl AsyncRead + Unpin,
) -> Result<(), Error> {
    let mut piece = vec![0; PIECE];
    loop {
        let read = message.read(&mut piece).await;
        let mut rest = match read.map_err(Error::io(Doing::ReadingMessage))? {
            0 => return Ok(job.finish()?),
            length => &piece[..length],
        };
        while !rest.is_empty() {
            driver.link.write_with(PIECE, |room| job.body(&mut rest, room))?;
            if driver.link.is_full() {
                driver.flush().await?;
            }
        }
    }
}
