use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::ops::ControlFlow;
use std::time::Instant;

use starttls::Machine;
use starttls::mail::outbound::Job;
use starttls::mail::session::Extensions;
use starttls::mail::{Envelope, Outbound};
use starttls::smtp::{Dialect, Smtp};
use starttls_common::{Doing, Error, Letter, Receipt, Stage};

use crate::driver::Driver;
use crate::socket::Socket;
use crate::upgrade::ClientStream;

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
pub(super) enum Stream<'o> {
    Tls(Driver<'o, ClientStream>),
    Plaintext(Driver<'o, TcpStream>),
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

impl Stream<'_> {
    pub(super) fn run<M: Machine, T>(
        &mut self,
        machine: &mut M,
        on_event: impl FnMut(&mut M, M::Event<'_>, &mut Vec<u8>) -> Result<ControlFlow<T>, Error>,
    ) -> Result<Option<T>, Error> {
        over!(self, driver => driver.run(machine, on_event))
    }
}

impl<'o, D: Dialect> Connection<'o, D> {
    pub(super) const fn new(stream: Stream<'o>, outbound: Outbound<D>) -> Self {
        Self { stream, outbound, used: false }
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
    /// # Errors
    /// [`Error::Rejected`] if no recipient gets it, and what stands between a mail and this server: its
    /// size, or what it does not offer; the connection stays open then. All that can go wrong on the
    /// way ends it. [`Error::fate`] says whether it is safe to send the mail again.
    pub fn send(&mut self, envelope: &Envelope<'_>, message: impl Read) -> Result<Receipt, Error> {
        if std::mem::replace(&mut self.used, true) {
            over!(&mut self.stream, driver => driver.link.restart_total(Instant::now()));
        }
        let mut job = self.outbound.send(envelope)?;
        let stream = &mut self.stream;
        match over!(stream, driver => mail(driver, &mut job, envelope, message)) {
            Err(error) if !matches!(error, Error::Rejected { .. }) => {
                Err(error.with_fate(self.outbound.fate()))
            }
            settled => settled,
        }
    }

    /// Says goodbye and closes the connection. An error takes no mail back.
    ///
    /// # Errors
    /// Those of the protocol and of the network; [`Closed`](starttls::Error::Closed) if it was not open
    /// any more.
    pub fn quit(mut self) -> Result<(), Error> {
        let mut quit = self.outbound.quit()?;
        self.stream.run(&mut quit, |_, event, _| Ok(ends(event.is_last())))?;
        over!(self.stream, driver => driver.close())
    }
}

const fn ends(is_last: bool) -> ControlFlow<()> {
    if is_last { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

pub(super) fn mail<S: Socket, D: Dialect>(
    driver: &mut Driver<'_, S>,
    job: &mut Job<'_, '_, D>,
    envelope: &Envelope<'_>,
    message: impl Read,
) -> Result<Receipt, Error> {
    let mut letter = Letter::new(envelope);
    if driver.run(job, |_, event, _| letter.note(event))? == Some(Stage::Message) {
        body(driver, job, message)?;
        driver.run(job, |_, event, _| letter.note(event))?;
    }
    Ok(letter.into_receipt())
}

/// Sends the message but for its end, which leaves in one write with the last piece.
fn body<S: Socket, D: Dialect>(
    driver: &mut Driver<'_, S>,
    job: &mut Job<'_, '_, D>,
    mut message: impl Read,
) -> Result<(), Error> {
    let mut piece = vec![0; PIECE];
    loop {
        let length = match message.read(&mut piece) {
            Ok(0) => return Ok(job.finish()?),
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(Error::io(Doing::ReadingMessage)(error)),
        };
        let mut rest = &piece[..length];
        while !rest.is_empty() {
            driver.link.write_with(PIECE, |room| job.body(&mut rest, room))?;
            if driver.link.is_full() {
                driver.flush()?;
            }
        }
    }
}
