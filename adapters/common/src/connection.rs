use std::fmt;
use std::mem;
use std::ops::ControlFlow;

use starttls::client::Grammar;
use starttls::mail::outbound::Job;
use starttls::mail::session::Extensions;
use starttls::mail::{Envelope, LineEnds, Opening, Outbound};
use starttls::smtp::Dialect;
use starttls::{Error as Rule, Machine};

use crate::{Doing, Driver, Error, Letter, Link, ReadMessage, Receipt, Runtime, Stage, Welcome};

/// How many octets of a message are read at a time.
const PIECE: usize = 16 * 1024;

/// An open connection to a mail server, from [`Mailer::connect`](crate::Mailer::connect), for one
/// mail after the other. A mail takes two round trips where the server offers `PIPELINING`.
///
/// A mail that the server refuses leaves it open for the next one. Any other error closes it: [`Error::fate`] tells
/// what became of the mail, and no later mail is sent. The connection owns what it needs and may stand in a pool.
///
/// It is in the dialect `D`, by the kind of I/O `R`, over a stream `S` or an encrypted one, `E`.
pub struct Connection<'o, D, R, S, E> {
    stream: Stream<'o, R, S, E>,
    outbound: Outbound<D>,
    used: bool,
}

/// What the connection runs over.
pub(crate) enum Stream<'o, R, S, E> {
    Tls(Driver<'o, E, R>),
    Plaintext(Driver<'o, S, R>),
}

impl<'o, R: Runtime<S> + Runtime<E>, S, E> Stream<'o, R, S, E> {
    async fn run<M: Machine, T>(
        &mut self,
        machine: &mut M,
        on_event: impl FnMut(&mut M, M::Event<'_>, &mut Vec<u8>) -> Result<ControlFlow<T>, Error>,
    ) -> Result<Option<T>, Error> {
        match self {
            Self::Tls(driver) => driver.run(machine, on_event).await,
            Self::Plaintext(driver) => driver.run(machine, on_event).await,
        }
    }

    async fn flush(&mut self) -> Result<(), Error> {
        match self {
            Self::Tls(driver) => driver.flush().await,
            Self::Plaintext(driver) => driver.flush().await,
        }
    }

    async fn close(self) -> Result<(), Error> {
        match self {
            Self::Tls(driver) => driver.close().await,
            Self::Plaintext(driver) => driver.close().await,
        }
    }

    const fn link(&mut self) -> &mut Link<'o> {
        match self {
            Self::Tls(driver) => &mut driver.link,
            Self::Plaintext(driver) => &mut driver.link,
        }
    }
}

impl<'o, D: Dialect, R: Runtime<S> + Runtime<E>, S, E> Connection<'o, D, R, S, E> {
    /// Introduces the client over TLS, for which `opening` knows how far the server was identified, and logs in.
    ///
    /// # Errors
    /// Those of the protocol and of the network; [`Error::Rejected`] if the server does not take the login.
    pub async fn encrypted<G: Grammar>(
        driver: Driver<'o, E, R>,
        opening: Opening<'_, D, G>,
        line_ends: LineEnds,
    ) -> Result<Self, Error> {
        Self::introduce(Stream::Tls(driver), opening, line_ends).await
    }

    /// Introduces the client in plaintext.
    ///
    /// # Errors
    /// Those of the protocol and of the network.
    pub async fn plaintext<G: Grammar>(
        driver: Driver<'o, S, R>,
        opening: Opening<'_, D, G>,
        line_ends: LineEnds,
    ) -> Result<Self, Error> {
        Self::introduce(Stream::Plaintext(driver), opening, line_ends).await
    }

    pub(crate) async fn introduce<G: Grammar>(
        mut stream: Stream<'o, R, S, E>,
        mut opening: Opening<'_, D, G>,
        line_ends: LineEnds,
    ) -> Result<Self, Error> {
        let mut welcome = Welcome::default();
        match stream.run(&mut opening, |_, event, _| Ok(welcome.note(event))).await {
            Ok(Some(_)) => {}
            Ok(None) => return Err(Rule::Closed.into()),
            Err(error) => return Err(welcome.error(error)),
        }
        Ok(Self { stream, outbound: opening.into_outbound(line_ends)?, used: false })
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
    pub async fn send<M>(&mut self, envelope: &Envelope<'_>, message: M) -> Result<Receipt, Error>
    where
        R: ReadMessage<M>,
    {
        if mem::replace(&mut self.used, true) {
            let now = <R as Runtime<S>>::now();
            self.stream.link().restart_total(now);
        }
        let mut job = self.outbound.send(envelope)?;
        match mail(&mut self.stream, &mut job, envelope, message).await {
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
        self.stream
            .run(&mut quit, |_, event, _| {
                Ok(if event.is_last() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            })
            .await?;
        self.stream.close().await
    }
}

async fn mail<D: Dialect, R, S, E, M>(
    stream: &mut Stream<'_, R, S, E>,
    job: &mut Job<'_, '_, D>,
    envelope: &Envelope<'_>,
    mut message: M,
) -> Result<Receipt, Error>
where
    R: Runtime<S> + Runtime<E> + ReadMessage<M>,
{
    let mut letter = Letter::new(envelope);
    let stage = stream.run(job, |_, event, _| letter.note(event)).await?;
    if stage == Some(Stage::Message) {
        body(stream, job, &mut message).await?;
        stream.run(job, |_, event, _| letter.note(event)).await?;
    }
    Ok(letter.into_receipt())
}

/// Sends the message but for its end, which leaves in one write with the last piece.
async fn body<D: Dialect, R, S, E, M>(
    stream: &mut Stream<'_, R, S, E>,
    job: &mut Job<'_, '_, D>,
    message: &mut M,
) -> Result<(), Error>
where
    R: Runtime<S> + Runtime<E> + ReadMessage<M>,
{
    let mut piece = vec![0; PIECE];
    loop {
        let read = R::read_message(message, &mut piece).await;
        let mut rest = match read.map_err(Error::io(Doing::ReadingMessage))? {
            0 => return Ok(job.finish()?),
            length => &piece[..length],
        };
        while !rest.is_empty() {
            stream.link().write_with(PIECE, |room| job.body(&mut rest, room))?;
            if stream.link().is_full() {
                stream.flush().await?;
            }
        }
    }
}

impl<D, R, S, E> fmt::Debug for Connection<'_, D, R, S, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("used", &self.used).finish_non_exhaustive()
    }
}
