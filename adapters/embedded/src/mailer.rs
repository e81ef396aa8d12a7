use embedded_io::{Read, Write};
use starttls::mail::session::{Event, Fate};
use starttls::mail::{Envelope, Opening, opening};
use starttls::{Error as Rule, Protocol};

use crate::clock::{Clock, Timed};
use crate::conceal::conceal;
use crate::connection::Connection;
use crate::drive::run;
use crate::events::Watch;
use crate::settings::Settings;
use crate::upgrade::{ClientStream, ErrorOf, handshake, in_plaintext};
use crate::{Buffers, Connect, Error, Receipt, Source, Timer};

/// A way to a mail server, over a socket that is connected to it, for one connection.
///
/// It borrows everything, and is made anew for the next connection.
pub struct Mailer<'a, S, T, C, const IN: usize, const OUT: usize> {
    pub(crate) socket: &'a mut S,
    pub(crate) tls: &'a mut T,
    pub(crate) buffers: &'a mut Buffers<IN, OUT>,
    pub(crate) timer: Timer<C>,
    pub(crate) settings: Settings<'a>,
    pub(crate) watch: Watch<'a>,
    pub(crate) fate: Fate,
    pub(crate) used: bool,
}

impl<'a, S, T, C, const IN: usize, const OUT: usize> Mailer<'a, S, T, C, IN, OUT> {
    /// A mailer with the default [`Settings`]. `clock` is any
    /// [`DelayNs`](embedded_hal::delay::DelayNs), or [`Unbounded`](crate::Unbounded).
    #[must_use]
    pub const fn new(
        socket: &'a mut S,
        tls: &'a mut T,
        buffers: &'a mut Buffers<IN, OUT>,
        clock: C,
    ) -> Self {
        Self {
            socket,
            tls,
            buffers,
            timer: Timer::new(clock),
            settings: Settings::new(),
            watch: Watch(None),
            fate: Fate::NotSent,
            used: false,
        }
    }

    /// With settings of the caller's.
    #[must_use]
    pub const fn with(mut self, settings: Settings<'a>) -> Self {
        self.timer.budget.most = settings.most;
        self.settings = settings;
        self
    }

    /// Tells `watch` what the server says over TLS: what it says to each recipient above all.
    #[must_use]
    pub fn watched_by(mut self, watch: &'a mut dyn FnMut(&Event<'_>)) -> Self {
        self.watch = Watch(Some(watch));
        self
    }

    /// What became of the mail that was sent last. [`Fate::is_safe_to_retry`] says whether it can be
    /// sent again without arriving twice.
    #[must_use]
    pub const fn fate(&self) -> Fate {
        self.fate
    }
}

impl<'a, S, T, C, const IN: usize, const OUT: usize> Mailer<'a, S, T, C, IN, OUT>
where
    S: Read + Write,
    T: Connect,
    C: Clock<S>,
{
    /// Sends one mail and closes the connection; the socket is the caller's to close.
    ///
    /// # Errors
    /// [`Error::Rejected`](crate::Error::Rejected) if nobody gets it, and all that can go wrong on the way there;
    /// [`fate`](Self::fate) says whether it is safe to send it again.
    #[inline(never)]
    pub fn send(
        &mut self,
        envelope: &Envelope<'_>,
        message: impl Source,
    ) -> Result<Receipt, ErrorOf<S, T>> {
        let mut connection = self.connect()?;
        let outcome = connection.send(envelope, message);
        // What became of the mail is known: an error while saying goodbye changes nothing.
        let _ = connection.quit();
        outcome
    }

    /// Opens the connection for any number of mails: upgraded, and with the credentials accepted.
    ///
    /// # Errors
    /// Those of the protocol, of TLS and of the socket; [`Error::Rejected`](crate::Error::Rejected) if the server does not
    /// take the credentials; [`OutOfOrder`](Rule::OutOfOrder) if the socket was used before.
    pub fn connect(
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
        run(&mut opening, buffers, budget, &mut timed, in_plaintext, &mut told)?;
        let (mut stream, verification) = handshake(timed, *tls, Protocol::SMTP.alpn)?;
        opening.encrypted(verification, settings.credentials)?;
        let opened = run(&mut opening, buffers, budget, &mut stream, Error::Tls, &mut told);
        if let (Err(_), Some(refusal)) = (&opened, refused) {
            return Err(refusal.into());
        }
        opened?;
        let outbound = opening.into_outbound(settings.line_ends)?;
        Ok(Connection::new(stream, outbound, budget, buffers, watch, fate))
    }
}

conceal!(
    "Mailer",
    Mailer<'_, S, T, C, IN, OUT> [S, T, C, const IN: usize, const OUT: usize]
);
