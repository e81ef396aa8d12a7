use core::marker::PhantomData;
use core::time::Duration;

use embedded_io::{Read, Write};

use starttls::mail::outbound::WithMessage;
use starttls::mail::session::{Event, Extensions, Fate};
use starttls::mail::{Envelope, Outbound};
use starttls::smtp::Smtp;
use starttls::{Error as Rule, Machine, Step};

use crate::conceal::conceal;
use crate::drive::run;
use crate::events::Watch;
use crate::{Budget, Buffers, Error, Receipt, Source, Stream};

/// An open connection to a mail server, for any number of mails.
///
/// A mail takes two round trips if the server offers `PIPELINING`. After a mail that the server refuses, the
/// connection stays open.
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
    /// A connection over a stream whose server has been greeted. Built in place, because a stream may be
    /// large.
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

    /// Whether another mail can be sent. If the server closes the connection between two mails, only the next
    /// mail notices.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.outbound.is_open()
    }

    /// The extensions that the server offers.
    #[must_use]
    pub const fn extensions(&self) -> Extensions {
        self.outbound.extensions()
    }

    /// Whether the last mail was sent.
    #[must_use]
    pub const fn fate(&self) -> Fate {
        *self.fate
    }
}

/// A mail or the goodbye. It records the mail's fate at each step, before the bytes of that step leave, so
/// that the fate is right even if the driving future is dropped.
pub(crate) struct Noted<'j, 'o, 'm> {
    pub(crate) job: WithMessage<'o, 'm, 'm>,
    fate: &'j mut Fate,
}

impl<'j, 'o, 'm> Noted<'j, 'o, 'm> {
    /// Starts a mail. If it cannot be sent at all, the connection is unchanged.
    pub(crate) fn mail(
        outbound: &'o mut Outbound,
        fate: &'j mut Fate,
        envelope: &'m Envelope<'m>,
        message: &'m mut dyn Source,
    ) -> Result<Self, Rule> {
        if outbound.is_open() {
            *fate = Fate::NotSent;
        }
        Ok(Self { job: outbound.send(envelope)?.with_message(message), fate })
    }

    /// Starts the goodbye.
    pub(crate) fn goodbye(
        outbound: &'o mut Outbound,
        fate: &'j mut Fate,
        nothing: &'m mut dyn Source,
    ) -> Result<Self, Rule>
    where
        'o: 'm,
    {
        Ok(Self { job: outbound.quit()?.with_message(nothing), fate })
    }
}

impl Machine for Noted<'_, '_, '_> {
    type Event<'i> = Event<'i>;

    const MAX_INPUT: usize = WithMessage::<'_, '_, '_, Smtp>::MAX_INPUT;
    const MAX_OUTPUT: usize = WithMessage::<'_, '_, '_, Smtp>::MAX_OUTPUT;

    fn step<'i>(
        &mut self,
        input: &mut &'i [u8],
        output: &mut [u8],
    ) -> Result<Step<Event<'i>>, Rule> {
        let step = self.job.step(input, output);
        *self.fate = self.job.fate();
        step
    }

    fn end_of_input(&mut self) -> Result<(), Rule> {
        self.job.end_of_input()
    }

    fn timed_out(&mut self) -> Rule {
        self.job.timed_out()
    }

    fn wait(&self) -> Option<Duration> {
        self.job.wait()
    }

    fn begins_wait(&self) -> bool {
        self.job.begins_wait()
    }

    fn never_sent(&mut self, n: usize) {
        self.job.never_sent(n);
        *self.fate = self.job.fate();
    }
}

/// Turns the end of a mail into its result.
pub(crate) fn settle<S, T>(
    outbound: &Outbound,
    told: Result<(), Error<S, T>>,
    is_unreadable: bool,
) -> Result<Receipt, Error<S, T>> {
    match told {
        Ok(()) => Ok(outbound.outcome()?),
        Err(_) if is_unreadable => Err(Error::Unreadable),
        Err(error) => Err(error),
    }
}

/// Runs a mail or the goodbye to its end.
#[inline(never)]
fn talk<R: Read + Write, S, const IN: usize, const OUT: usize>(
    job: &mut Noted<'_, '_, '_>,
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
    /// [`Error::Rejected`] if no recipient is accepted, and an error of the protocol if the mail is too large
    /// or needs an extension that the server does not offer. After both, the connection stays open; any other
    /// error ends it. [`fate`](Self::fate) tells whether a retry is safe.
    pub fn send(
        &mut self,
        envelope: &Envelope<'_>,
        mut message: impl Source,
    ) -> Result<Receipt, Error<E, T::Error>> {
        let Self { stream, buffers, budget, outbound, watch, fate, .. } = self;
        let mut mail = Noted::mail(outbound, fate, envelope, &mut message)?;
        let told = talk(&mut mail, buffers, budget, stream, watch);
        let is_unreadable = mail.job.is_unreadable();
        settle(outbound, told, is_unreadable)
    }

    /// Sends `QUIT` and closes TLS. The caller closes the socket. An error here does not affect mail that was
    /// sent.
    ///
    /// # Errors
    /// Those of the protocol and of TLS. [`Closed`](Rule::Closed) if the connection was not open.
    pub fn quit(mut self) -> Result<(), Error<E, T::Error>> {
        let mut nothing = &b""[..];
        let mut quit = Noted::goodbye(&mut self.outbound, self.fate, &mut nothing)?;
        // The reply to `QUIT` changes nothing, so it is not shown.
        let mut watch = Watch(None);
        talk(&mut quit, self.buffers, self.budget, &mut self.stream, &mut watch)?;
        self.stream.close().map_err(Error::Tls)
    }
}

conceal!(
    "Connection",
    Connection<'_, '_, T, E, IN, OUT> [T, E, const IN: usize, const OUT: usize]
);
