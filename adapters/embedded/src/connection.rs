use core::marker::PhantomData;

use embedded_io::{Read, Write};

use starttls::Error as Rule;
use starttls::mail::outbound::WithMessage;
use starttls::mail::session::{Extensions, Fate};
use starttls::mail::{Envelope, Outbound};

use crate::conceal::conceal;
use crate::drive::run;
use crate::events::Watch;
use crate::{Budget, Buffers, Error, Receipt, Source, Stream};

/// An open connection to a mail server, for one mail after the other. A mail takes two round trips
/// where the server offers `PIPELINING`.
///
/// A mail that the server refuses leaves it open for the next one.
pub struct Connection<'c, 'a, Stream, E, const IN: usize, const OUT: usize> {
    pub(crate) stream: Stream,
    pub(crate) buffers: &'c mut Buffers<IN, OUT>,
    pub(crate) budget: &'c Budget,
    pub(crate) outbound: Outbound,
    pub(crate) watch: &'c mut Watch<'a>,
    pub(crate) fate: &'c mut Fate,
    pub(crate) socket: PhantomData<fn() -> E>,
}

impl<'c, 'a, T, E, const IN: usize, const OUT: usize> Connection<'c, 'a, T, E, IN, OUT> {
    /// Over a stream to a server that was greeted. In place: a stream may be large.
    #[inline(always)]
    pub(crate) const fn new(
        stream: T,
        outbound: Outbound,
        budget: &'c Budget,
        buffers: &'c mut Buffers<IN, OUT>,
        watch: &'c mut Watch<'a>,
        fate: &'c mut Fate,
    ) -> Self {
        let socket = PhantomData;
        Self { stream, buffers, budget, outbound, watch, fate, socket }
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

    /// What became of the mail that was sent last.
    #[must_use]
    pub const fn fate(&self) -> Fate {
        *self.fate
    }
}

/// A mail that begins. Of one that may not, nothing is sent, and the connection stays as it is.
pub(crate) fn begin<'o, 'm>(
    outbound: &'o mut Outbound,
    fate: &mut Fate,
    envelope: &'m Envelope<'m>,
    message: &'m mut dyn Source,
) -> Result<WithMessage<'o, 'm, 'm>, Rule> {
    if outbound.is_open() {
        *fate = Fate::NotSent;
    }
    Ok(outbound.send(envelope)?.with_message(message))
}

/// What became of a mail.
pub(crate) fn settle<S, T>(
    outbound: &Outbound,
    fate: &mut Fate,
    told: Result<(), Error<S, T>>,
    is_unreadable: bool,
) -> Result<Receipt, Error<S, T>> {
    *fate = outbound.fate();
    match told {
        Ok(()) => Ok(outbound.outcome()?),
        Err(_) if is_unreadable => Err(Error::Unreadable),
        Err(error) => Err(error),
    }
}

/// A mail or the goodbye, up to its end.
#[inline(never)]
fn talk<R: Read + Write, S, const IN: usize, const OUT: usize>(
    job: &mut WithMessage<'_, '_, '_>,
    buffers: &mut Buffers<IN, OUT>,
    budget: &Budget,
    stream: &mut R,
    watch: &mut Watch<'_>,
) -> Result<(), Error<S, R::Error>> {
    run(job, buffers, budget, stream, Error::Tls, |_, event| watch.job(event))
}

impl<T: Stream, E, const IN: usize, const OUT: usize> Connection<'_, '_, T, E, IN, OUT> {
    /// Sends one mail.
    ///
    /// # Errors
    /// [`Error::Rejected`] if nobody gets it, and what stands between a mail and this server: its
    /// size, or what it does not offer; the connection stays open then. All that can go wrong on the
    /// way ends it. [`fate`](Self::fate) says whether it is safe to send the mail again.
    pub fn send(
        &mut self,
        envelope: &Envelope<'_>,
        mut message: impl Source,
    ) -> Result<Receipt, Error<E, T::Error>> {
        let Self { stream, buffers, budget, outbound, watch, fate, .. } = self;
        let mut mail = begin(outbound, fate, envelope, &mut message)?;
        let told = talk(&mut mail, buffers, budget, stream, watch);
        let is_unreadable = mail.is_unreadable();
        settle(outbound, fate, told, is_unreadable)
    }

    /// Says goodbye and closes TLS; the socket is the caller's to close. An error takes no mail back.
    ///
    /// # Errors
    /// Those of the protocol and of TLS; [`Closed`](Rule::Closed) if it was not open any more.
    pub fn quit(mut self) -> Result<(), Error<E, T::Error>> {
        let mut nothing = &b""[..];
        let mut quit = self.outbound.quit()?.with_message(&mut nothing);
        // What is said to a goodbye means nothing.
        let mut watch = Watch(None);
        talk(&mut quit, self.buffers, self.budget, &mut self.stream, &mut watch)?;
        self.stream.close().map_err(Error::Tls)
    }
}

conceal!(
    "Connection",
    Connection<'_, '_, T, E, IN, OUT> [T, E, const IN: usize, const OUT: usize]
);
