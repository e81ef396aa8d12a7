use std::io::Read;
use std::net::TcpStream;

use starttls::mail::session::{Exchange, Extensions};
use starttls::mail::{Envelope, Session};
use starttls::smtp::{Dialect, Smtp};
use starttls::{Channel, Error as Rule, Plaintext, Tls};

use crate::Error;
use crate::driver::Driver;
use crate::mail::letter::{self, Letter, Receipt};
use crate::socket::Socket;
use crate::upgrade::ClientStream;

/// How many octets of a message are read at a time.
const PIECE: usize = 16 * 1024;

/// An open connection to a mail server, from [`Mailer::connect`](crate::Mailer::connect), for one
/// mail after the other. A mail takes two round trips where the server offers `PIPELINING`.
///
/// A mail that the server refuses leaves it open for the next one. What ends it says what became of
/// the mail ([`Error::fate`]), and no later mail is sent.
#[derive(Debug)]
pub struct Connection<'m, D = Smtp> {
    link: Link<'m, D>,
    open: bool,
    used: bool,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one a connection")]
pub(super) enum Link<'m, D> {
    Tls(Driver<'m, ClientStream>, Session<Tls, D>),
    Plaintext(Driver<'m, TcpStream>, Session<Plaintext, D>),
}

impl<'m, D: Dialect> Connection<'m, D> {
    pub(super) const fn new(link: Link<'m, D>) -> Self {
        Self { link, open: true, used: false }
    }

    /// Whether another mail can be sent; a server may leave between two mails, which shows with the
    /// next one only.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.open
    }

    /// What the server said it can do.
    #[must_use]
    pub const fn extensions(&self) -> Extensions {
        match &self.link {
            Link::Tls(_, session) => session.extensions(),
            Link::Plaintext(_, session) => session.extensions(),
        }
    }

    /// Sends one mail. The total of [`Timeouts`](crate::Timeouts) begins anew with each mail but the
    /// first.
    ///
    /// # Errors
    /// [`Error::Rejected`] if nobody gets it, and what stands between a mail and this server: its
    /// size, or what it does not offer; the connection stays open then. All that can go wrong on the
    /// way ends it. [`Error::fate`] says whether it is safe to send the mail again.
    pub fn send(&mut self, envelope: &Envelope<'_>, message: impl Read) -> Result<Receipt, Error> {
        if !self.open {
            return Err(Rule::Closed.into());
        }
        let again = std::mem::replace(&mut self.used, true);
        let open = &mut self.open;
        match &mut self.link {
            Link::Tls(driver, session) => one(driver, session, envelope, message, again, open),
            Link::Plaintext(driver, session) => {
                one(driver, session, envelope, message, again, open)
            }
        }
    }

    /// Says goodbye and closes the connection. An error takes no mail back.
    ///
    /// # Errors
    /// Those of the protocol and of the network; [`Closed`](Rule::Closed) if it was not open any more.
    pub fn quit(self) -> Result<(), Error> {
        if !self.open {
            return Err(Rule::Closed.into());
        }
        match self.link {
            Link::Tls(driver, session) => leave(driver, session),
            Link::Plaintext(driver, session) => leave(driver, session),
        }
    }
}

fn one<S: Socket, C: Channel, D: Dialect>(
    driver: &mut Driver<'_, S>,
    session: &mut Session<C, D>,
    envelope: &Envelope<'_>,
    message: impl Read,
    again: bool,
    open: &mut bool,
) -> Result<Receipt, Error> {
    if again {
        driver.restart_total();
    }
    let outcome = mail(driver, &mut session.send(envelope)?, envelope, message);
    match outcome {
        Err(error) if !matches!(error, Error::Rejected { .. }) => {
            *open = false;
            Err(error.with_fate(session.fate()))
        }
        settled => settled,
    }
}

fn leave<S: Socket, C: Channel, D: Dialect>(
    mut driver: Driver<'_, S>,
    mut session: Session<C, D>,
) -> Result<(), Error> {
    job(&mut driver, &mut session.quit()?)?;
    driver.close()
}

/// Runs a job to its end.
pub(super) fn job<S: Socket, C: Channel, D: Dialect>(
    driver: &mut Driver<'_, S>,
    exchange: &mut Exchange<'_, '_, C, D>,
) -> Result<(), Error> {
    driver.run(exchange, |_, event, _| letter::settle(event)).map(|_| ())
}

/// Says goodbye to a server that does not take the credentials, and passes the reason on.
pub(super) fn leave_if_rejected<S: Socket, C: Channel, D: Dialect, T>(
    driver: &mut Driver<'_, S>,
    session: &mut Session<C, D>,
    outcome: Result<T, Error>,
) -> Result<T, Error> {
    if outcome.as_ref().is_err_and(letter::may_quit) {
        let _ = job(driver, &mut session.quit()?);
    }
    outcome
}

pub(super) fn mail<S: Socket, C: Channel, D: Dialect>(
    driver: &mut Driver<'_, S>,
    exchange: &mut Exchange<'_, '_, C, D>,
    envelope: &Envelope<'_>,
    mut message: impl Read,
) -> Result<Receipt, Error> {
    let mut letter = Letter::new(envelope);
    driver.run(exchange, |_, event, _| letter.envelope(event))?;
    letter.check()?;
    body(driver, exchange, &mut message)?;
    exchange.finish()?;
    driver.run(exchange, |_, event, _| letter.message(event))?;
    Ok(letter.into_receipt())
}

/// Sends the message but for its end, which leaves in one write with the last piece.
fn body<S: Socket, C: Channel, D: Dialect>(
    driver: &mut Driver<'_, S>,
    exchange: &mut Exchange<'_, '_, C, D>,
    message: &mut impl Read,
) -> Result<(), Error> {
    let mut piece = vec![0; PIECE];
    let mut output = vec![0; PIECE];
    loop {
        let length = match message.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(length) => length,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Error::io("reading the message")(error)),
        };
        let mut rest = &piece[..length];
        while !rest.is_empty() {
            let written = exchange.body(&mut rest, &mut output)?;
            driver.send_soon(&output[..written])?;
        }
    }
}
