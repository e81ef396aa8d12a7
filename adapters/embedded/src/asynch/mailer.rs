use core::fmt;
use core::marker::PhantomData;
use core::time::Duration;

use embedded_io_async::{Read, Write};
use starttls::smtp::session::{Extensions, Fate};
use starttls::smtp::{Client, Envelope, Session};
use starttls::{Error as Rule, Protocol, Tls};

use super::drive::run;
use super::upgrade::{handshake, upgrade};
use super::{ClientStream, Clock, Connect, ErrorOf, Stream};
use crate::post::{Greet, Mail, Quit, Watch};
use crate::task::Driver;
use crate::{Budget, Buffers, Error, Mailer, Mode, Receipt, Source, Timed, Timer, Upgraded};

impl<'a, S, T, C, const IN: usize, const OUT: usize> Mailer<'a, S, T, C, IN, OUT>
where
    S: Read + Write,
    T: Connect,
    C: Clock,
{
    /// Sends one mail and closes the connection; the socket is the caller's to close.
    ///
    /// # Errors
    /// [`Error::Rejected`] if nobody gets it, and all that can go wrong on the way there;
    /// [`fate`](Self::fate) says whether it is safe to send it again.
    pub async fn send_async(
        &mut self,
        envelope: &Envelope<'_>,
        message: impl Source,
    ) -> Result<Receipt, ErrorOf<S, T>> {
        let mut connection = self.connect_async().await?;
        let outcome = connection.send(envelope, message).await;
        // What became of the mail is known: an error while saying goodbye changes nothing.
        let _ = connection.quit().await;
        outcome
    }

    /// Opens the connection for any number of mails: upgraded, and with the credentials accepted.
    ///
    /// # Errors
    /// Those of the protocol, of TLS and of the socket; [`Error::Rejected`] if the server does not
    /// take the credentials; [`OutOfOrder`](Rule::OutOfOrder) if the socket was used before.
    pub async fn connect_async(
        &mut self,
    ) -> Result<Connection<'_, 'a, ClientStream<'_, T, S, C>, S::Error, IN, OUT>, ErrorOf<S, T>>
    {
        if core::mem::replace(&mut self.used, true) {
            return Err(Rule::OutOfOrder.into());
        }
        let Self { socket, tls, buffers, timer, settings, watch, fate, .. } = self;
        let most = settings.most;
        let (mut stream, tls, budget) = match settings.mode {
            Mode::StartTls => {
                let client = Client::new(settings.domain, settings.policy);
                let Upgraded { stream, tls, budget } =
                    upgrade(*socket, client, *tls, buffers, timer).await?;
                (stream, tls, budget)
            }
            Mode::Implicit => {
                buffers.clear();
                let Timer { clock, budget, .. } = timer;
                let timed = Timed { socket: *socket, clock, budget };
                let (stream, verification) =
                    handshake(timed, *tls, most, Protocol::SMTP.alpn).await?;
                (stream, Tls::implicit(settings.policy, verification)?, &*budget)
            }
        };
        let mut session = Session::new(tls, settings.domain);
        session.set_line_ends(settings.line_ends);
        let mut greet = Greet::new(&mut session, settings.credentials, watch);
        run(Driver::new(&mut greet, buffers, budget, most), &mut stream)
            .await
            .map_err(|stop| stop.sort(Error::Tls))?;
        Ok(Connection {
            stream,
            buffers,
            budget,
            most,
            session,
            watch,
            fate,
            open: true,
            socket: PhantomData,
        })
    }
}

/// An open connection to a mail server, for one mail after the other. A mail takes two round trips
/// where the server offers `PIPELINING`.
///
/// A mail that the server refuses leaves it open for the next one.
pub struct Connection<'c, 'a, Stream, E, const IN: usize, const OUT: usize> {
    stream: Stream,
    buffers: &'c mut Buffers<IN, OUT>,
    budget: &'c Budget,
    most: Option<Duration>,
    session: Session<'a, Tls>,
    watch: &'c mut Watch<'a>,
    fate: &'c mut Fate,
    open: bool,
    socket: PhantomData<fn() -> E>,
}

impl<T: Stream, E, const IN: usize, const OUT: usize> Connection<'_, '_, T, E, IN, OUT> {
    /// Whether another mail can be sent; a server may leave between two mails, which shows with the
    /// next one only.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.open
    }

    /// What the server said it can do.
    #[must_use]
    pub const fn extensions(&self) -> Extensions {
        self.session.extensions()
    }

    /// What became of the mail that was sent last.
    #[must_use]
    pub const fn fate(&self) -> Fate {
        *self.fate
    }

    /// Sends one mail.
    ///
    /// # Errors
    /// [`Error::Rejected`] if nobody gets it, and what stands between a mail and this server: its
    /// size, or what it does not offer; the connection stays open then. All that can go wrong on the
    /// way ends it. [`fate`](Self::fate) says whether it is safe to send the mail again.
    pub async fn send(
        &mut self,
        envelope: &Envelope<'_>,
        message: impl Source,
    ) -> Result<Receipt, Error<E, T::Error>> {
        if !self.open {
            return Err(Rule::Closed.into());
        }
        *self.fate = Fate::NotSent;
        let mut mail = Mail::new(&mut self.session, envelope, message, self.watch)?;
        let outcome =
            run(Driver::new(&mut mail, self.buffers, self.budget, self.most), &mut self.stream)
                .await
                .map(|()| mail.receipt)
                .map_err(|stop| stop.sort(Error::Tls));
        *self.fate = self.session.fate();
        self.open = matches!(outcome, Ok(_) | Err(Error::Rejected { .. }));
        outcome
    }

    /// Says goodbye and closes TLS; the socket is the caller's to close. An error takes no mail back.
    ///
    /// # Errors
    /// Those of the protocol and of TLS; [`Closed`](Rule::Closed) if it was not open any more.
    pub async fn quit(mut self) -> Result<(), Error<E, T::Error>> {
        if !self.open {
            return Err(Rule::Closed.into());
        }
        let mut quit = Quit(self.session.quit()?);
        run(Driver::new(&mut quit, self.buffers, self.budget, self.most), &mut self.stream)
            .await
            .map_err(|stop| stop.sort(Error::Tls))?;
        self.stream.close().await.map_err(Error::Tls)
    }
}

impl<T, E, const IN: usize, const OUT: usize> fmt::Debug for Connection<'_, '_, T, E, IN, OUT> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("open", &self.open).finish_non_exhaustive()
    }
}
