use core::fmt;
use core::mem;
use core::time::Duration;

use rustls::CommonState;
use starttls::{Machine, Plaintext, Tls};

use crate::buffer::{Incoming, Marks, Outgoing};
use crate::drive::{Output, Step, Turn, drive};
use crate::engine::Engine;
use crate::records::{Opened, Records};
use crate::{Error, HANDSHAKE_WAIT, MAX_FRAME, MAX_OUTPUT, RECEIVE, SEND, SEND_WAIT};

/// An event before or at the start of TLS.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Event<E> {
    /// An event of the plaintext machine.
    ///
    /// At its `UpgradeReady` do nothing: the connection starts the handshake with the next step.
    Before(E),
    /// TLS is established. Continue with [`Connection::step_with`] and a machine created from this value.
    ///
    /// On a connection made by `plaintext`, the machine from before the handshake continues. Tell it
    /// [`Tls::verification`].
    Established(Tls),
    /// The server has no TLS, and the policy allows plaintext.
    ///
    /// Close the connection, or continue with [`Connection::step_with`] and a machine created from this
    /// value.
    Plaintext(Plaintext),
}

/// A connection: the plaintext machine `E`, the TLS handshake, and any machine inside TLS.
///
/// It does no I/O. Repeat these steps in order:
///
/// 1. Receive into [`receive_buffer`](Self::receive_buffer), then call [`received`](Self::received) or
///    [`end_of_input`](Self::end_of_input).
/// 2. Call [`step`](Self::step) until [`Event::Established`], then [`step_with`](Self::step_with), or
///    [`read`](Self::read) without a machine. At [`Step::Event`], act on the event and step again.
/// 3. At [`Step::Write`] and [`Step::Read`], send the bytes of [`to_send`](Self::to_send), then call
///    [`sent`](Self::sent).
/// 4. Limit the wait by [`wait`](Self::wait). If it elapses, call [`timed_out`](Self::timed_out).
///
/// After an error, [`to_send`](Self::to_send) has the last bytes, such as a TLS alert: send them and close. A
/// failed connection keeps failing in the same way. The caller's mistakes ([`starttls::Error::is_ours`])
/// change nothing.
pub struct Connection<E: Engine> {
    pub(crate) incoming: Incoming,
    pub(crate) outgoing: Outgoing,
    pub(crate) stage: Stage<E>,
    wait: Option<Duration>,
    pub(crate) progress: u64,
    /// The peer has ended its side.
    pub(crate) ended: bool,
    pub(crate) failed: Option<Error>,
}

pub(crate) enum Stage<E: Engine> {
    Opening(E, E::Setup),
    Beginning(E::Pledge, E::Setup),
    Shaking(E::Pledge, E::Setup, Records<E::Side>),
    Tunnel(Records<E::Side>),
    /// A machine of the caller runs in plaintext. On a connection made for that, TLS may still start.
    Plain(Option<(E::Pledge, E::Setup)>),
    Over,
}

impl<E: Engine> Stage<E> {
    const fn name(&self) -> &'static str {
        match self {
            Self::Opening(..) => "Opening",
            Self::Beginning(..) | Self::Shaking(..) => "Handshake",
            Self::Tunnel(_) => "Tls",
            Self::Plain(_) => "Plaintext",
            Self::Over => "Over",
        }
    }
}

impl<E: Engine> Connection<E> {
    pub(crate) fn opening(engine: E, setup: E::Setup) -> Self {
        Self::at(Stage::Opening(engine, setup))
    }

    pub(crate) fn shaking(pledge: E::Pledge, setup: E::Setup) -> Self {
        Self::at(Stage::Beginning(pledge, setup))
    }

    pub(crate) fn plain(pledge: E::Pledge, setup: E::Setup) -> Self {
        Self::at(Stage::Plain(Some((pledge, setup))))
    }

    fn at(stage: Stage<E>) -> Self {
        const { assert!(E::MAX_INPUT <= RECEIVE && E::MAX_OUTPUT <= SEND) }
        Self {
            incoming: Incoming::default(),
            outgoing: Outgoing::default(),
            stage,
            wait: None,
            progress: 0,
            ended: false,
            failed: None,
        }
    }

    /// The buffer for the next received bytes. Empty while [`RECEIVE`] bytes are unconsumed: then receive
    /// nothing.
    ///
    /// It has 512 bytes while nothing is unconsumed, and grows with the record that arrives, and while
    /// each receive fills it. Receive again if more bytes are waiting than fit.
    pub fn receive_buffer(&mut self) -> &mut [u8] {
        self.incoming.free_mut()
    }

    /// The first `n` bytes of [`receive_buffer`](Self::receive_buffer) were received.
    pub fn received(&mut self, n: usize) {
        let encrypted = match &mut self.stage {
            Stage::Shaking(_, _, records) | Stage::Tunnel(records) => {
                records.received();
                true
            }
            Stage::Beginning(..) => true,
            Stage::Opening(..) | Stage::Plain(_) | Stage::Over => false,
        };
        self.incoming.received(n, encrypted);
    }

    /// The peer has ended its side. The next steps tell what that means.
    pub const fn end_of_input(&mut self) {
        self.ended = true;
    }

    /// The bytes to send, in order, at most [`SEND`]. No further bytes are produced until these leave.
    #[must_use]
    pub fn to_send(&self) -> &[u8] {
        self.outgoing.filled()
    }

    /// The first `n` bytes of [`to_send`](Self::to_send) were sent.
    pub fn sent(&mut self, n: usize) {
        self.outgoing.sent(n);
    }

    /// How long to wait for the peer, to send or to read. `None` if it is not the peer's turn.
    ///
    /// Restart the timer only when [`progress`](Self::progress) changes. A handshake, or a line that arrives
    /// byte by byte, is one wait, so a slow peer cannot extend it.
    #[must_use]
    pub fn wait(&self) -> Option<Duration> {
        let wait = match &self.stage {
            Stage::Opening(engine, _) => engine.wait(),
            Stage::Beginning(..) | Stage::Shaking(..) => Some(HANDSHAKE_WAIT),
            Stage::Tunnel(_) | Stage::Plain(_) => self.wait,
            Stage::Over => None,
        };
        wait.or((!self.outgoing.is_empty()).then_some(SEND_WAIT))
    }

    /// A counter that changes with each event and whenever the caller's machine writes. Each change ends the
    /// current wait.
    #[must_use]
    pub const fn progress(&self) -> u64 {
        self.progress
    }

    /// The time of [`wait`](Self::wait) has elapsed. For a machine inside TLS, send its
    /// [farewell](Machine::farewell) yourself.
    pub fn timed_out(&mut self) -> Error {
        let error = match &mut self.stage {
            Stage::Opening(engine, _) => {
                let error = engine.timed_out();
                let written = engine.farewell(self.outgoing.free_mut()).unwrap_or_default();
                self.outgoing.filled_more(written);
                error
            }
            Stage::Beginning(..) | Stage::Shaking(..) => starttls::Error::TimedOut,
            Stage::Tunnel(_) | Stage::Plain(_) | Stage::Over => {
                return starttls::Error::TimedOut.into();
            }
        };
        self.fail(error.into())
    }

    /// Continues towards TLS.
    ///
    /// # Errors
    /// Those of the protocol and of TLS. [`starttls::Error::Unverified`] if the policy requires a verified
    /// peer. [`starttls::Error::OutOfOrder`] after [`Event::Established`] or [`Event::Plaintext`].
    pub fn step(&mut self) -> Result<Step<Event<E::Event<'_>>>, Error> {
        match (&self.failed, &self.stage) {
            (Some(error), _) => Err(error.clone()),
            (None, Stage::Opening(..)) => self.step_plaintext(),
            (None, Stage::Beginning(..) | Stage::Shaking(..)) => self.step_handshake(),
            (None, _) => Err(starttls::Error::OutOfOrder.into()),
        }
    }

    /// Starts TLS on a connection made by `plaintext`, when the caller's machine asks for it.
    ///
    /// The machine asks with [`opening::Event::StartTls`](starttls::mail::opening::Event::StartTls) or
    /// [`inbound::Event::StartTls`](starttls::mail::inbound::Event::StartTls). It has checked that the unread
    /// bytes may belong to TLS. Continue with [`step`](Self::step) to [`Event::Established`].
    ///
    /// # Errors
    /// [`starttls::Error::OutOfOrder`] on any other connection, and once TLS has started.
    pub fn start_tls(&mut self) -> Result<(), Error> {
        match mem::replace(&mut self.stage, Stage::Over) {
            Stage::Plain(Some((pledge, setup))) => {
                self.incoming.marks.begin_tls();
                self.stage = Stage::Beginning(pledge, setup);
                self.progress += 1;
                Ok(())
            }
            stage => {
                self.stage = stage;
                Err(starttls::Error::OutOfOrder.into())
            }
        }
    }

    /// Runs a machine: inside TLS, in the plaintext that [`Event::Plaintext`] allows, or in both on a
    /// connection made by `plaintext`.
    ///
    /// # Errors
    /// Those of the machine and of TLS. [`starttls::Error::OutOfOrder`] during the handshake, and before
    /// [`Event::Established`] on a connection with its own plaintext machine.
    pub fn step_with<M: Machine>(&mut self, machine: &mut M) -> Result<Step<M::Event<'_>>, Error> {
        const { assert!(M::MAX_INPUT <= MAX_FRAME && M::MAX_OUTPUT <= MAX_OUTPUT) }
        if self.open_records()? == Opened::NoRoom {
            return Ok(Step::Write);
        }
        self.incoming.release();
        let Self { incoming: Incoming { octets, marks, .. }, outgoing, stage, .. } = self;
        let (plaintext, rest) = octets.split_at_mut(marks.plain);
        let received = rest.get_mut(marks.cipher - marks.plain..marks.end - marks.plain);
        let output = match stage {
            Stage::Tunnel(records) => {
                Output::Sealed(outgoing, records, received.unwrap_or_default())
            }
            _ => Output::Plain(outgoing),
        };
        let turn = drive(machine, plaintext, &mut marks.start, output);
        self.wait = machine.wait();
        match turn? {
            Turn::Event(event) => {
                self.progress += u64::from(machine.begins_wait());
                return Ok(Step::Event(event));
            }
            Turn::NoRoom => return Ok(Step::Write),
            Turn::Read => {}
        }
        let step = idle(stage, *marks, outgoing, self.ended)?;
        if matches!(step, Step::End) {
            machine.end_of_input()?;
        }
        Ok(step)
    }

    /// Sends TLS's close_notify. The connection can be closed once [`to_send`](Self::to_send) is sent; until
    /// then it can be read.
    ///
    /// # Errors
    /// Those of TLS. [`starttls::Error::OutputTooSmall`] if the output has to be sent first.
    pub fn close(&mut self) -> Result<(), Error> {
        match &mut self.stage {
            Stage::Tunnel(records) => records.close(&mut self.incoming, &mut self.outgoing),
            _ => Ok(()),
        }
    }

    /// The agreed parameters of TLS. `None` before [`Event::Established`].
    #[must_use]
    pub fn tls(&self) -> Option<&CommonState> {
        match &self.stage {
            Stage::Tunnel(records) => Some(records.common()),
            _ => None,
        }
    }

    /// Decrypts the received records, once TLS has started.
    pub(crate) fn open_records(&mut self) -> Result<Opened, Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        match &mut self.stage {
            Stage::Tunnel(records) => Ok(records.open(&mut self.incoming, &mut self.outgoing)),
            Stage::Plain(_) => Ok(Opened::All),
            _ => Err(starttls::Error::OutOfOrder.into()),
        }
    }

    pub(crate) fn fail(&mut self, error: Error) -> Error {
        failed(&mut self.stage, &mut self.failed, error)
    }
}

/// The next step when all received bytes are consumed.
pub(crate) fn idle<E: Engine, N>(
    stage: &Stage<E>,
    marks: Marks,
    outgoing: &mut Outgoing,
    mut ended: bool,
) -> Result<Step<N>, Error> {
    if let Stage::Tunnel(records) = stage {
        if let Some(error) = &records.failed {
            return Err(error.clone());
        }
        ended |= records.peer_closed;
    }
    outgoing.release();
    if ended {
        Ok(Step::End)
    } else if !outgoing.is_empty() {
        Ok(Step::Write)
    } else if marks.room() == 0 {
        Err(Error::MessageTooLong)
    } else {
        Ok(Step::Read)
    }
}

pub(crate) fn failed<E: Engine>(
    stage: &mut Stage<E>,
    slot: &mut Option<Error>,
    error: Error,
) -> Error {
    *stage = Stage::Over;
    *slot = Some(error.clone());
    error
}

impl<E: Engine> fmt::Debug for Connection<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("stage", &self.stage.name())
            .field("to_send", &self.to_send().len())
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "defmt")]
impl<E: Engine> defmt::Format for Connection<E> {
    fn format(&self, f: defmt::Formatter<'_>) {
        let (stage, to_send) = (self.stage.name(), self.to_send().len());
        defmt::write!(
            f,
            "Connection {=str}, {=usize} bytes to send, {}",
            stage,
            to_send,
            self.failed
        );
    }
}
