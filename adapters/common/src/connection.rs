use std::fmt;
use std::mem;
use std::ops::ControlFlow;
use std::time::Duration;

use starttls::client::Grammar;
use starttls::mail::outbound::Job;
use starttls::mail::session::{Extensions, Fate};
use starttls::mail::{Checked, Envelope, LineEnds, Opening, Outbound, opening};
use starttls::smtp::Dialect;
use starttls::{Error as Rule, Machine, Step};

use crate::part::Part;
use crate::spans::Span;
use crate::{Doing, Driver, Error, Letter, Link, ReadMessage, Receipt, Runtime, Stage, Welcome};

/// The most bytes of a message that are read at once.
const PIECE: usize = 16 * 1024;

/// How many bytes of a message are read first. A whole small mail fits.
const FIRST_PIECE: usize = 2 * 1024;

/// An open connection to a mail server, for any number of mails, from
/// [`Mailer::connect`](crate::Mailer::connect).
///
/// A mail takes two round trips if the server offers `PIPELINING`. After a mail that the server refuses, the
/// connection stays open. Any other error closes it: [`Error::fate`] tells whether the mail was sent, and no
/// later mail is. The connection borrows nothing but its observer, so a pool can hold it.
///
/// `D` is the dialect, `R` the I/O, `S` the plaintext stream and `E` the encrypted one.
pub struct Connection<'o, D, R, S, E> {
    stream: Stream<'o, R, S, E>,
    outbound: Outbound<D>,
    used: bool,
    /// Whether some recipients of the current mail have it from an earlier transaction.
    taken: bool,
    span: Span,
}

/// The stream of a connection.
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

    /// Sends bytes of a message: whole pieces without a copy, and the rest with what follows.
    async fn pass(&mut self, octets: &[u8]) -> Result<(), Error> {
        let (whole, rest) = octets.split_at(octets.len() - octets.len() % PIECE);
        if !whole.is_empty() {
            self.flush().await?;
            match self {
                Self::Tls(driver) => driver.pass(whole).await?,
                Self::Plaintext(driver) => driver.pass(whole).await?,
            }
        }
        self.link().say(rest);
        if self.link().is_full() { self.flush().await } else { Ok(()) }
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
    /// Introduces the client over TLS and logs in. `opening` knows how far the server was verified.
    ///
    /// # Errors
    /// Those of the protocol and of the network. [`Error::Rejected`] if the server refuses the login.
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
        let outbound = opening.into_outbound(line_ends)?;
        let span = Span::none();
        Ok(Self { stream, outbound, used: false, taken: false, span })
    }

    /// Sets the span of the connection's mails.
    pub(crate) fn traced(self, span: Span) -> Self {
        Self { span, ..self }
    }

    /// Whether another mail can be sent. If the server closes the connection between two mails, only the next
    /// mail notices.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.outbound.is_open()
    }

    /// Whether the last mail was sent, even if the future that sent it was dropped.
    ///
    /// The fate is recorded before any byte leaves. After [`send_to_all`](Self::send_to_all) it covers every
    /// transaction: [`Fate::Accepted`] if some recipients have the mail.
    #[must_use]
    pub const fn fate(&self) -> Fate {
        match self.outbound.fate() {
            Fate::NotSent | Fate::NotAccepted if self.taken => Fate::Accepted,
            fate => fate,
        }
    }

    /// The extensions that the server offers.
    #[must_use]
    pub const fn extensions(&self) -> Extensions {
        self.outbound.extensions()
    }

    /// Sends one mail. The total time of [`Timeouts`](crate::Timeouts) restarts with each mail after the
    /// first.
    ///
    /// If the future is dropped, the connection ends; [`fate`](Self::fate) tells whether the mail was sent.
    ///
    /// # Errors
    /// [`Error::Rejected`] if no recipient is accepted, and an error of the protocol if the mail is too large
    /// or needs an extension that the server does not offer. After both, the connection stays open; any other
    /// error ends it. [`Error::fate`] tells whether a retry is safe.
    pub async fn send<M>(&mut self, envelope: &Envelope<'_>, message: M) -> Result<Receipt, Error>
    where
        R: ReadMessage<M>,
    {
        self.taken = false;
        self.send_some(envelope, message).await
    }

    /// Like [`send`](Self::send), for a message in memory whose lines are known to be good.
    ///
    /// Whole pieces of 16 KiB leave without a copy. Check a message once to send it on several connections.
    ///
    /// # Errors
    /// Those of [`send`](Self::send).
    pub async fn send_checked(
        &mut self,
        envelope: &Envelope<'_>,
        message: Checked<'_>,
    ) -> Result<Receipt, Error> {
        self.taken = false;
        self.restart_total();
        let span = self.span.clone();
        span.mail(envelope.to().len(), async {
            let mut letter = Letter::new(envelope);
            let mut job = self.outbound.send(envelope)?;
            let sent = checked_mail(&mut self.stream, &mut job, &mut letter, message).await;
            self.settle(letter, sent)
        })
        .await
    }

    fn restart_total(&mut self) {
        if mem::replace(&mut self.used, true) {
            let now = <R as Runtime<S>>::now();
            self.stream.link().restart_total(now);
        }
    }

    fn settle(&self, letter: Letter, sent: Result<(), Error>) -> Result<Receipt, Error> {
        match sent {
            Ok(()) => Ok(letter.into_receipt()),
            Err(error @ Error::Rejected { .. }) => Err(error),
            Err(error) => Err(error.with_fate(self.outbound.fate()).with_known(letter.known())),
        }
    }

    async fn send_some<M>(&mut self, envelope: &Envelope<'_>, message: M) -> Result<Receipt, Error>
    where
        R: ReadMessage<M>,
    {
        self.restart_total();
        let span = self.span.clone();
        span.mail(envelope.to().len(), async {
            let mut letter = Letter::new(envelope);
            let mut job = self.outbound.send(envelope)?;
            let sent = mail(&mut self.stream, &mut job, &mut letter, message).await;
            self.settle(letter, sent)
        })
        .await
    }

    /// Sends one mail to all its recipients, in as many transactions as needed.
    ///
    /// A server may limit the recipients of one transaction (RFC 5321 §4.5.3.1.10). `message` returns the
    /// message for each transaction.
    ///
    /// # Errors
    /// Those of [`send`](Self::send). If a later transaction fails, its recipients keep their earlier reply,
    /// unless it is unknown whether they have the mail. Then [`Error::Unfinished`] has the replies for the
    /// others.
    pub async fn send_to_all<M>(
        &mut self,
        envelope: &Envelope<'_>,
        mut message: impl FnMut() -> M,
    ) -> Result<Receipt, Error>
    where
        R: ReadMessage<M>,
    {
        let mut receipt = self.send(envelope, message()).await?;
        self.taken = true;
        let mut places = receipt.left_out();
        while !places.is_empty() {
            let rest = Part::new(envelope, &places);
            match self.send_some(&rest.envelope()?, message()).await {
                Ok(more) => receipt.add(&places, more),
                Err(error) if error.fate().is_safe_to_retry() => break,
                Err(error) => return Err(error.with_earlier(receipt.recipients, &places)),
            }
            let left = receipt.left_out();
            if left.len() >= places.len() {
                break;
            }
            places = left;
        }
        Ok(receipt)
    }

    /// Checks that the server is still there and takes another mail, by `RSET`, after a pause between two
    /// mails. The last mail's fate stays as it is.
    ///
    /// The reply has to arrive within `wait`, if that is shorter than [`Timeouts`](crate::Timeouts) allow.
    ///
    /// # Errors
    /// Those of the protocol and of the network, which end the connection. [`Error::Rejected`] if the server
    /// takes no further mail.
    pub async fn check(&mut self, wait: Duration) -> Result<(), Error> {
        self.restart_total();
        let mut job = self.outbound.check()?;
        self.stream.link().end_within(wait, <R as Runtime<S>>::now());
        let mut welcome = Welcome::default();
        let checked = self.stream.run(&mut job, |_, event, _| {
            // Only keeps a refusal: it never breaks for a session's event.
            let _ = welcome.note(opening::Event::Session(event));
            Ok(if event.is_last() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        });
        let checked = checked.await.and_then(|done| done.ok_or_else(|| Rule::Closed.into()));
        checked.and_then(|()| welcome.into_refusal().map_or(Ok(()), Err))
    }

    /// Sends `QUIT` and closes the connection, without waiting for the reply (RFC 5321 §4.1.1.10 asks for the
    /// command, not for the wait).
    ///
    /// # Errors
    /// Those of the protocol and of the network. [`Closed`](Rule::Closed) if the connection was not open.
    pub async fn leave(mut self) -> Result<(), Error> {
        let mut quit = self.outbound.quit()?;
        let link = self.stream.link();
        link.say_goodbye(<R as Runtime<S>>::now());
        link.write_with(Job::<D>::MAX_OUTPUT, |room| match quit.step(&mut &[][..], room)? {
            Step::Write(written) => Ok(written),
            _ => Err(Rule::OutOfOrder),
        })?;
        self.stream.close().await
    }

    /// Sends `QUIT` and closes the connection. An error here does not affect mail that was sent.
    ///
    /// If the total time of [`Timeouts`](crate::Timeouts) has elapsed, two more seconds are allowed. If the
    /// future is dropped, the connection closes without `QUIT`.
    ///
    /// # Errors
    /// Those of the protocol and of the network. [`Closed`](Rule::Closed) if the connection was not open.
    pub async fn quit(mut self) -> Result<(), Error> {
        let mut quit = self.outbound.quit()?;
        self.stream.link().say_goodbye(<R as Runtime<S>>::now());
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
    letter: &mut Letter,
    mut message: M,
) -> Result<(), Error>
where
    R: Runtime<S> + Runtime<E> + ReadMessage<M>,
{
    let stage = stream.run(job, |_, event, _| letter.note(event)).await?;
    if stage == Some(Stage::Message) {
        body(stream, job, &mut message).await?;
        stream.run(job, |_, event, _| letter.note(event)).await?;
    }
    Ok(())
}

async fn checked_mail<D: Dialect, R: Runtime<S> + Runtime<E>, S, E>(
    stream: &mut Stream<'_, R, S, E>,
    job: &mut Job<'_, '_, D>,
    letter: &mut Letter,
    message: Checked<'_>,
) -> Result<(), Error> {
    let stage = stream.run(job, |_, event, _| letter.note(event)).await?;
    if stage == Some(Stage::Message) {
        let mut pieces = message.pieces();
        while let Some(piece) = job.piece(&mut pieces)? {
            stream.pass(piece).await?;
        }
        job.finish()?;
        stream.run(job, |_, event, _| letter.note(event)).await?;
    }
    Ok(())
}

/// Sends the message without its end. The end leaves in one write with the last piece.
async fn body<D: Dialect, R, S, E, M>(
    stream: &mut Stream<'_, R, S, E>,
    job: &mut Job<'_, '_, D>,
    message: &mut M,
) -> Result<(), Error>
where
    R: Runtime<S> + Runtime<E> + ReadMessage<M>,
{
    let mut piece = vec![0; FIRST_PIECE];
    loop {
        let read = R::read_message(message, &mut piece).await;
        let mut rest = match read.map_err(Error::io(Doing::ReadingMessage))? {
            0 => return Ok(job.finish()?),
            length => &piece[..length],
        };
        let is_filled = rest.len() == piece.len();
        while !rest.is_empty() {
            // More than the piece, because line ends and dots are added.
            let room = (rest.len() + rest.len() / 8 + 64).min(PIECE);
            stream.link().write_with(room, |room| job.body(&mut rest, room))?;
            if stream.link().is_full() {
                stream.flush().await?;
            }
        }
        if is_filled && piece.len() < PIECE {
            piece.resize(PIECE, 0);
        }
    }
}

impl<D, R, S, E> fmt::Debug for Connection<'_, D, R, S, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("used", &self.used).finish_non_exhaustive()
    }
}
