use starttls::mail::session::{Exchange, Extensions};
use starttls::mail::{Envelope, LineEnds, Session};
use starttls::smtp::{Dialect, Domain, Smtp};
use starttls::{Channel, Error as Rule, Plaintext, Tls};
use starttls_std::shared::{Connected, Letter, may_quit, settle};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};

use crate::{ClientStream, ClientTls, Driver, Error, Login, Prompt, Receipt, Upgraded};

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
enum Link<'m, D> {
    Tls(Driver<'m, ClientStream<Prompt>>, Session<Tls, D>),
    Plaintext(Driver<'m, Prompt>, Session<Plaintext, D>),
}

impl<'m, D: Dialect> Connection<'m, D> {
    /// Introduces the client, and logs in over TLS.
    pub(crate) async fn begin(
        upgraded: Upgraded<'m, Prompt>,
        domain: Domain<'m>,
        login: Option<(&Login, &ClientTls)>,
        line_ends: LineEnds,
    ) -> Result<Self, Error> {
        let link = match upgraded {
            Upgraded::Tls(mut driver, tls) => {
                let mut session = Session::<_, D>::new(tls);
                job(&mut driver, &mut session.hello(domain)?).await?;
                if let Some((login, tls)) = login {
                    log_in(&mut driver, &mut session, login, tls).await?;
                }
                session.set_line_ends(line_ends);
                Link::Tls(driver, session)
            }
            Upgraded::Plaintext(mut driver, plaintext) => {
                let mut session = Session::<_, D>::new(plaintext);
                job(&mut driver, &mut session.hello(domain)?).await?;
                session.set_line_ends(line_ends);
                Link::Plaintext(driver, session)
            }
        };
        Ok(Self { link, open: true, used: false })
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
    /// Dropped before it is done, it ends the connection, and nobody knows what became of the mail.
    ///
    /// # Errors
    /// [`Error::Rejected`] if nobody gets it, and what stands between a mail and this server: its
    /// size, or what it does not offer; the connection stays open then. All that can go wrong on the
    /// way ends it. [`Error::fate`] says whether it is safe to send the mail again.
    pub async fn send(
        &mut self,
        envelope: &Envelope<'_>,
        message: impl AsyncRead + Unpin,
    ) -> Result<Receipt, Error> {
        if !self.open {
            return Err(Rule::Closed.into());
        }
        let again = std::mem::replace(&mut self.used, true);
        let open = &mut self.open;
        match &mut self.link {
            Link::Tls(driver, session) => {
                one(driver, session, envelope, message, again, open).await
            }
            Link::Plaintext(driver, session) => {
                one(driver, session, envelope, message, again, open).await
            }
        }
    }

    /// Says goodbye and closes the connection. An error takes no mail back.
    ///
    /// # Errors
    /// Those of the protocol and of the network; [`Closed`](Rule::Closed) if it was not open any more.
    pub async fn quit(self) -> Result<(), Error> {
        if !self.open {
            return Err(Rule::Closed.into());
        }
        match self.link {
            Link::Tls(driver, session) => leave(driver, session).await,
            Link::Plaintext(driver, session) => leave(driver, session).await,
        }
    }
}

/// Shows the credentials; to a server that does not take them, says goodbye.
async fn log_in<D: Dialect>(
    driver: &mut Driver<'_, ClientStream<Prompt>>,
    session: &mut Session<Tls, D>,
    login: &Login,
    tls: &ClientTls,
) -> Result<(), Error> {
    let connected = Connected::over(driver.stream().get_ref().1, tls)?;
    let credentials = login.credentials(&connected)?;
    driver.set_secret(true);
    let outcome = match session.authenticate(&credentials) {
        Ok(mut authenticate) => job(driver, &mut authenticate).await,
        Err(error) => Err(error.into()),
    };
    driver.set_secret(false);
    if outcome.as_ref().is_err_and(may_quit) {
        let _ = job(driver, &mut session.quit()?).await;
    }
    outcome
}

async fn one<S: AsyncRead + AsyncWrite + Unpin, C: Channel, D: Dialect>(
    driver: &mut Driver<'_, S>,
    session: &mut Session<C, D>,
    envelope: &Envelope<'_>,
    message: impl AsyncRead + Unpin,
    again: bool,
    open: &mut bool,
) -> Result<Receipt, Error> {
    if again {
        driver.restart_total();
    }
    let mut exchange = session.send(envelope)?;
    // Until it is known what became of the mail: who drops this future never knows.
    *open = false;
    match mail(driver, &mut exchange, envelope, message).await {
        Err(error) if !matches!(error, Error::Rejected { .. }) => {
            Err(error.with_fate(session.fate()))
        }
        settled => {
            *open = true;
            settled
        }
    }
}

async fn leave<S: AsyncRead + AsyncWrite + Unpin, C: Channel, D: Dialect>(
    mut driver: Driver<'_, S>,
    mut session: Session<C, D>,
) -> Result<(), Error> {
    job(&mut driver, &mut session.quit()?).await?;
    driver.close().await
}

/// Runs a job to its end.
async fn job<S: AsyncRead + AsyncWrite + Unpin, C: Channel, D: Dialect>(
    driver: &mut Driver<'_, S>,
    exchange: &mut Exchange<'_, '_, C, D>,
) -> Result<(), Error> {
    driver.run(exchange, |_, event, _| settle(event)).await.map(|_| ())
}

async fn mail<S: AsyncRead + AsyncWrite + Unpin, C: Channel, D: Dialect>(
    driver: &mut Driver<'_, S>,
    exchange: &mut Exchange<'_, '_, C, D>,
    envelope: &Envelope<'_>,
    mut message: impl AsyncRead + Unpin,
) -> Result<Receipt, Error> {
    let mut letter = Letter::new(envelope);
    driver.run(exchange, |_, event, _| letter.envelope(event)).await?;
    letter.check()?;
    body(driver, exchange, &mut message).await?;
    exchange.finish()?;
    driver.run(exchange, |_, event, _| letter.message(event)).await?;
    Ok(letter.into_receipt())
}

/// Sends the message but for its end, which leaves in one write with the last piece.
async fn body<S: AsyncRead + AsyncWrite + Unpin, C: Channel, D: Dialect>(
    driver: &mut Driver<'_, S>,
    exchange: &mut Exchange<'_, '_, C, D>,
    message: &mut (impl AsyncRead + Unpin),
) -> Result<(), Error> {
    let mut piece = vec![0; PIECE];
    let mut output = vec![0; PIECE];
    loop {
        let length = message.read(&mut piece).await.map_err(Error::io("reading the message"))?;
        if length == 0 {
            return Ok(());
        }
        let mut rest = &piece[..length];
        while !rest.is_empty() {
            let written = exchange.body(&mut rest, &mut output)?;
            driver.send_soon(&output[..written]).await?;
        }
    }
}
