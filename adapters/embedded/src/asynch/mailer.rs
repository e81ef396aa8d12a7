use embedded_io_async::{Read, Write};
use starttls::mail::outbound::WithMessage;
use starttls::mail::{Envelope, Opening, opening};
use starttls::{Error as Rule, Protocol};

use super::drive::run;
use super::upgrade::handshake;
use super::{ClientStream, Clock, Connect, ErrorOf, Stream};
use crate::connection::{begin, settle};
use crate::events::Watch;
use crate::upgrade::in_plaintext;
use crate::{Budget, Buffers, Connection, Error, Mailer, Receipt, Source, Timed, Timer};

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
        buffers.clear();
        let Timer { clock, budget } = timer;
        let budget = &*budget;
        let mut timed = Timed { socket: *socket, clock, budget };
        let (mut opening, mut refused) = (settings.opening(), None);
        // One function for both phases: their code is in an image once.
        let mut told =
            |_: &mut Opening<'_>, event: opening::Event<'_>| watch.opening(event, &mut refused);
        run(&mut opening, buffers, budget, &mut timed, in_plaintext, &mut told).await?;
        let (mut stream, verification) = handshake(timed, *tls, Protocol::SMTP.alpn).await?;
        opening.encrypted(verification, settings.credentials)?;
        let opened = run(&mut opening, buffers, budget, &mut stream, Error::Tls, &mut told).await;
        if let (Err(_), Some(refusal)) = (&opened, refused) {
            return Err(refusal.into());
        }
        opened?;
        let outbound = opening.into_outbound(settings.line_ends)?;
        Ok(Connection::new(stream, outbound, budget, buffers, watch, fate))
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
        let Self { stream, buffers, budget, outbound, watch, fate, .. } = self;
        let mut mail = begin(outbound, fate, envelope, &mut message)?;
        let told = talk(&mut mail, buffers, budget, stream, watch).await;
        let is_unreadable = mail.is_unreadable();
        settle(outbound, fate, told, is_unreadable)
    }

    /// Says goodbye and closes TLS; the socket is the caller's to close. An error takes no mail back.
    ///
    /// # Errors
    /// Those of the protocol and of TLS; [`Closed`](Rule::Closed) if it was not open any more.
    pub async fn quit_async(mut self) -> Result<(), Error<E, T::Error>> {
        let mut nothing = &b""[..];
        let mut quit = self.outbound.quit()?.with_message(&mut nothing);
        // What is said to a goodbye means nothing.
        let mut watch = Watch(None);
        talk(&mut quit, self.buffers, self.budget, &mut self.stream, &mut watch).await?;
        self.stream.close().await.map_err(Error::Tls)
    }
}

/// A mail or the goodbye, up to its end.
async fn talk<R: Read + Write, S, const IN: usize, const OUT: usize>(
    job: &mut WithMessage<'_, '_, '_>,
    buffers: &mut Buffers<IN, OUT>,
    budget: &Budget,
    stream: &mut R,
    watch: &mut Watch<'_>,
) -> Result<(), Error<S, R::Error>> {
    run(job, buffers, budget, stream, Error::Tls, |_, event| watch.job(event)).await
}
