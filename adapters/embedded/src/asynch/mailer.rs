use embedded_io_async::{Read, Write};
use starttls::mail::Envelope;
use starttls::smtp::Client;
use starttls::{Error as Rule, Protocol, Tls};

use super::drive::run;
use super::upgrade::{handshake, upgrade};
use super::{ClientStream, Clock, Connect, ErrorOf, Stream};
use crate::post::{Talk, Topic};
use crate::{Connection, Error, Mailer, Mode, Receipt, Source, Timed, Timer, Upgraded};

impl<'a, S, T, C, const IN: usize, const OUT: usize> Mailer<'a, S, T, C, IN, OUT>
where
    S: Read + Write,
    T: Connect,
    C: Clock,
{
    /// Sends one mail and closes the connection; the socket is the caller's to close.
    ///
    /// # Errors
    /// [`Error::Rejected`](crate::Error::Rejected) if nobody gets it, and all that can go wrong on the way there;
    /// [`fate`](Self::fate) says whether it is safe to send it again.
    pub async fn send_async(
        &mut self,
        envelope: &Envelope<'_>,
        message: impl Source,
    ) -> Result<Receipt, ErrorOf<S, T>> {
        let mut connection = self.connect_async().await?;
        let outcome = connection.send_async(envelope, message).await;
        // What became of the mail is known: an error while saying goodbye changes nothing.
        let _ = connection.quit_async().await;
        outcome
    }

    /// Opens the connection for any number of mails: upgraded, and with the credentials accepted.
    ///
    /// # Errors
    /// Those of the protocol, of TLS and of the socket; [`Error::Rejected`](crate::Error::Rejected) if the server does not
    /// take the credentials; [`OutOfOrder`](Rule::OutOfOrder) if the socket was used before.
    pub async fn connect_async(
        &mut self,
    ) -> Result<Connection<'_, 'a, ClientStream<'_, T, S, C>, S::Error, IN, OUT>, ErrorOf<S, T>>
    {
        if core::mem::replace(&mut self.used, true) {
            return Err(Rule::OutOfOrder.into());
        }
        let Self { socket, tls, buffers, timer, settings, watch, fate, .. } = self;
        let (stream, tls, budget) = match settings.mode {
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
                let (stream, verification) = handshake(timed, *tls, Protocol::SMTP.alpn).await?;
                (stream, Tls::implicit(settings.policy, verification)?, &*budget)
            }
        };
        let session = settings.session(tls);
        let mut connection = Connection::new(stream, session, budget, buffers, watch, fate);
        connection.talk_async(Topic::Hello(settings.credentials)).await?;
        Ok(connection)
    }
}

impl<T: Stream, E, const IN: usize, const OUT: usize> Connection<'_, '_, T, E, IN, OUT> {
    /// Sends one mail.
    ///
    /// # Errors
    /// [`Error::Rejected`] if nobody gets it, and what stands between a mail and this server: its
    /// size, or what it does not offer; the connection stays open then. All that can go wrong on the
    /// way ends it. [`fate`](Self::fate) says whether it is safe to send the mail again.
    pub async fn send_async(
        &mut self,
        envelope: &Envelope<'_>,
        mut message: impl Source,
    ) -> Result<Receipt, Error<E, T::Error>> {
        self.begin(envelope)?;
        let outcome = self.talk_async(Topic::Mail(envelope, &mut message)).await;
        self.settle(&outcome);
        outcome
    }

    async fn talk_async<'j>(&'j mut self, topic: Topic<'j>) -> Result<Receipt, Error<E, T::Error>> {
        let mut talk = Talk::new(&mut self.session, topic, self.watch);
        run(&mut talk, self.buffers, self.budget, &mut self.stream, Error::Tls).await?;
        Ok(talk.receipt)
    }

    /// Says goodbye and closes TLS; the socket is the caller's to close. An error takes no mail back.
    ///
    /// # Errors
    /// Those of the protocol and of TLS; [`Closed`](Rule::Closed) if it was not open any more.
    pub async fn quit_async(mut self) -> Result<(), Error<E, T::Error>> {
        self.still_open()?;
        self.talk_async(Topic::Quit).await?;
        self.stream.close().await.map_err(Error::Tls)
    }
}
