use embedded_io_async::{Read, Write};
use starttls::mail::{Envelope, Opening, opening};
use starttls::{Error as Rule, Protocol};

use super::drive::run;
use super::upgrade::handshake;
use super::{ClientStream, Clock, Connect, ErrorOf, Stream};
use crate::connection::{Noted, settle};
use crate::events::Watch;
use crate::upgrade::in_plaintext;
use crate::{Budget, Buffers, Connection, Error, Mailer, Receipt, Source, Timed, Timer};

impl<'a, S, T, C, const IN: usize, const OUT: usize> Mailer<'a, S, T, C, IN, OUT>
where
    S: Read + Write,
    T: Connect,
    C: Clock,
{
    /// Sends one mail and closes the connection. The caller closes the socket.
    ///
    /// # Errors
    /// [`Error::Rejected`](crate::Error::Rejected) if no recipient is accepted, and every error of the
    /// connection. [`fate`](Self::fate) tells whether a retry is safe.
    pub async fn send_async(
        &mut self,
        envelope: &Envelope<'_>,
        message: impl Source,
    ) -> Result<Receipt, ErrorOf<S, T>> {
        let mut connection = self.connect_async().await?;
        let outcome = connection.send_async(envelope, message).await;
        // The mail's fate is already known, so an error of `QUIT` changes nothing.
        let _ = connection.quit_async().await;
        outcome
    }

    /// Opens a connection for any number of mails: with TLS, and logged in if there are credentials.
    ///
    /// # Errors
    /// Those of the protocol, of TLS and of the socket. [`Error::Rejected`](crate::Error::Rejected) if the
    /// server refuses the login. [`OutOfOrder`](Rule::OutOfOrder) if the mailer was used before.
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
        let shown = settings.shown();
        let (mut opening, mut refused) = (settings.opening(), None);
        // One closure for both phases, so that an image contains their code once.
        let mut told =
            |_: &mut Opening<'_>, event: opening::Event<'_>| watch.opening(event, &mut refused);
        run(&mut opening, buffers, budget, &mut timed, in_plaintext, &mut told).await?;
        let (mut stream, verification) = handshake(timed, *tls, Protocol::SMTP.alpn).await?;
        opening.encrypted(verification, shown.as_ref())?;
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
    /// [`Error::Rejected`] if no recipient is accepted, and an error of the protocol if the mail is too large
    /// or needs an extension that the server does not offer. After both, the connection stays open; any other
    /// error ends it. [`fate`](Self::fate) tells whether a retry is safe.
    pub async fn send_async(
        &mut self,
        envelope: &Envelope<'_>,
        mut message: impl Source,
    ) -> Result<Receipt, Error<E, T::Error>> {
        let Self { stream, buffers, budget, outbound, watch, fate, .. } = self;
        let mut mail = Noted::mail(outbound, fate, envelope, &mut message)?;
        let told = talk(&mut mail, buffers, budget, stream, watch).await;
        let is_unreadable = mail.job.is_unreadable();
        settle(outbound, told, is_unreadable)
    }

    /// Sends `QUIT` and closes TLS. The caller closes the socket. An error here does not affect mail that was
    /// sent.
    ///
    /// # Errors
    /// Those of the protocol and of TLS. [`Closed`](Rule::Closed) if the connection was not open.
    pub async fn quit_async(mut self) -> Result<(), Error<E, T::Error>> {
        let mut nothing = &b""[..];
        let mut quit = Noted::goodbye(&mut self.outbound, self.fate, &mut nothing)?;
        // The reply to `QUIT` changes nothing, so it is not shown.
        let mut watch = Watch(None);
        talk(&mut quit, self.buffers, self.budget, &mut self.stream, &mut watch).await?;
        self.stream.close().await.map_err(Error::Tls)
    }
}

/// Runs a mail or the goodbye to its end.
async fn talk<R: Read + Write, S, const IN: usize, const OUT: usize>(
    job: &mut Noted<'_, '_, '_>,
    buffers: &mut Buffers<IN, OUT>,
    budget: &Budget,
    stream: &mut R,
    watch: &mut Watch<'_>,
) -> Result<(), Error<S, R::Error>> {
    run(job, buffers, budget, stream, Error::Tls, |_, event| watch.job(event)).await
}
