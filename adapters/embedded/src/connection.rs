use core::fmt;
use core::marker::PhantomData;

use starttls::mail::session::{Extensions, Fate};
use starttls::mail::{Envelope, Session};
use starttls::{Error as Rule, Tls};

use crate::drive::run;
use crate::post::{Talk, Topic, Watch};
use crate::{Budget, Buffers, Error, Receipt, Source, Stream};

/// An open connection to a mail server, for one mail after the other. A mail takes two round trips
/// where the server offers `PIPELINING`.
///
/// A mail that the server refuses leaves it open for the next one.
pub struct Connection<'c, 'a, Stream, E, const IN: usize, const OUT: usize> {
    pub(crate) stream: Stream,
    pub(crate) buffers: &'c mut Buffers<IN, OUT>,
    pub(crate) budget: &'c Budget,
    pub(crate) session: Session<'a, Tls>,
    pub(crate) watch: &'c mut Watch<'a>,
    pub(crate) fate: &'c mut Fate,
    pub(crate) open: bool,
    pub(crate) socket: PhantomData<fn() -> E>,
}

impl<'c, 'a, T, E, const IN: usize, const OUT: usize> Connection<'c, 'a, T, E, IN, OUT> {
    /// Over a stream to a server that was greeted. In place: a stream may be large.
    #[inline(always)]
    pub(crate) const fn new(
        stream: T,
        session: Session<'a, Tls>,
        budget: &'c Budget,
        buffers: &'c mut Buffers<IN, OUT>,
        watch: &'c mut Watch<'a>,
        fate: &'c mut Fate,
    ) -> Self {
        let socket = PhantomData;
        Self { stream, buffers, budget, session, watch, fate, open: true, socket }
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
        self.session.extensions()
    }

    /// What became of the mail that was sent last.
    #[must_use]
    pub const fn fate(&self) -> Fate {
        *self.fate
    }

    pub(crate) const fn still_open(&self) -> Result<(), Rule> {
        if self.open { Ok(()) } else { Err(Rule::Closed) }
    }

    /// Whether a mail may begin. Of one that may not, nothing is sent, and the connection stays as it is.
    pub(crate) fn begin(&mut self, envelope: &Envelope<'_>) -> Result<(), Rule> {
        self.still_open()?;
        *self.fate = Fate::NotSent;
        self.session.send(envelope).map(|_| ())
    }

    /// Keeps what became of a mail, and whether another one may follow.
    pub(crate) fn settle<F>(&mut self, outcome: &Result<Receipt, Error<E, F>>) {
        *self.fate = self.session.fate();
        self.open = matches!(outcome, Ok(_) | Err(Error::Rejected { .. }));
    }
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
        self.begin(envelope)?;
        let outcome = self.talk(Topic::Mail(envelope, &mut message));
        self.settle(&outcome);
        outcome
    }

    pub(crate) fn talk<'j>(&'j mut self, topic: Topic<'j>) -> Result<Receipt, Error<E, T::Error>> {
        let mut talk = Talk::new(&mut self.session, topic, self.watch);
        run(&mut talk, self.buffers, self.budget, &mut self.stream, Error::Tls)?;
        Ok(talk.receipt)
    }

    /// Says goodbye and closes TLS; the socket is the caller's to close. An error takes no mail back.
    ///
    /// # Errors
    /// Those of the protocol and of TLS; [`Closed`](Rule::Closed) if it was not open any more.
    pub fn quit(mut self) -> Result<(), Error<E, T::Error>> {
        self.still_open()?;
        self.talk(Topic::Quit)?;
        self.stream.close().map_err(Error::Tls)
    }
}

impl<T, E, const IN: usize, const OUT: usize> fmt::Debug for Connection<'_, '_, T, E, IN, OUT> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("open", &self.open).finish_non_exhaustive()
    }
}
