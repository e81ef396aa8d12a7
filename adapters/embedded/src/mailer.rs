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

/// Sends mail over a connected socket, for one connection.
///
/// It borrows everything, so create a new one for each connection.
///
/// ```
/// use embedded_hal::delay::DelayNs;
/// use embedded_io::{Read, ReadReady, Write, WriteReady};
/// use starttls::mail::{Envelope, Message};
/// use starttls_embedded::{Buffers, Composed, Connect, ErrorOf, Mailer};
///
/// /// Tells whether to send the mail again.
/// fn send<S: Read + Write + ReadReady + WriteReady, T: Connect>(
///     socket: &mut S,
///     tls: &mut T,
///     delay: impl DelayNs,
///     envelope: &Envelope<'_>,
///     message: &Message<'_>,
/// ) -> Result<(), (ErrorOf<S, T>, bool)> {
///     let mut buffers = Buffers::<512, 256>::new();
///     let mut mailer = Mailer::new(socket, tls, &mut buffers, delay);
///     let sent = mailer.send(envelope, Composed::new(message));
///     let again = mailer.fate().is_safe_to_retry();
///     sent.map(drop).map_err(|error| (error, again))
/// }
/// ```
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
    /// A mailer with the default [`Settings`]. `clock` is any [`DelayNs`](embedded_hal::delay::DelayNs), or
    /// [`Unbounded`](crate::Unbounded).
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

    /// Replaces the settings.
    #[must_use]
    pub const fn with(mut self, settings: Settings<'a>) -> Self {
        self.timer.budget.most = settings.most;
        self.settings = settings;
        self
    }

    /// Shows `watch` the server's replies over TLS, for example the reply for each recipient.
    #[must_use]
    pub fn watched_by(mut self, watch: &'a mut dyn FnMut(&Event<'_>)) -> Self {
        self.watch = Watch(Some(watch));
        self
    }

    /// Whether the last mail was sent. [`Fate::is_safe_to_retry`] tells whether a retry could deliver it
    /// twice.
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
    /// Sends one mail and closes the connection. The caller closes the socket.
    ///
    /// # Errors
    /// [`Error::Rejected`](crate::Error::Rejected) if no recipient is accepted, and every error of the
    /// connection. [`fate`](Self::fate) tells whether a retry is safe.
    #[inline(never)]
    pub fn send(
        &mut self,
        envelope: &Envelope<'_>,
        message: impl Source,
    ) -> Result<Receipt, ErrorOf<S, T>> {
        let mut connection = self.connect()?;
        let outcome = connection.send(envelope, message);
        // The mail's fate is already known, so an error of `QUIT` changes nothing.
        let _ = connection.quit();
        outcome
    }

    /// Opens a connection for any number of mails: with TLS, and logged in if there are credentials.
    ///
    /// # Errors
    /// Those of the protocol, of TLS and of the socket. [`Error::Rejected`](crate::Error::Rejected) if the
    /// server refuses the login. [`OutOfOrder`](Rule::OutOfOrder) if the mailer was used before.
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
        let shown = settings.shown();
        let (mut opening, mut refused) = (settings.opening(), None);
        // One closure for both phases, so that an image contains their code once.
        let mut told =
            |_: &mut Opening<'_>, event: opening::Event<'_>| watch.opening(event, &mut refused);
        run(&mut opening, buffers, budget, &mut timed, in_plaintext, &mut told)?;
        let (mut stream, verification) = handshake(timed, *tls, Protocol::SMTP.alpn)?;
        opening.encrypted(verification, shown.as_ref())?;
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
