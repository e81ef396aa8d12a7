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

/// What happens on the way to TLS.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Event<E> {
    /// What the plaintext machine has to tell. The connection itself sees to what has to be done at
    /// `UpgradeReady`: the handshake begins with the next step.
    Before(E),
    /// TLS is up: go on with [`Connection::step_with`] and a machine made from this. On a connection made by
    /// `plaintext` the machine that was there before goes on, and is told [`Tls::verification`].
    Established(Tls),
    /// There is no TLS, and the policy lets the connection go on without: close, or go on with
    /// [`Connection::step_with`] and a machine made from this.
    Plaintext(Plaintext),
}

/// A connection from its first octet to its last: the plaintext machine `E`, the TLS handshake, and
/// whatever machine runs inside.
///
/// It does no I/O. In this order, again and again:
///
/// 1. what was received goes into [`receive_buffer`](Self::receive_buffer), which
///    [`received`](Self::received) or [`end_of_input`](Self::end_of_input) tells;
/// 2. [`step`](Self::step) until [`Event::Established`], [`step_with`](Self::step_with) from there,
///    or [`read`](Self::read) without a machine; at [`Step::Event`] act and step again;
/// 3. at [`Step::Write`] and [`Step::Read`] what is [`to_send`](Self::to_send) is sent, which
///    [`sent`](Self::sent) tells;
/// 4. [`wait`](Self::wait) says how long that may take, [`timed_out`](Self::timed_out) that it took
///    longer.
///
/// After an error what is [`to_send`](Self::to_send) are the last words, the alert that says why for
/// example. Send them and close; a connection that failed fails ever after in the same way. The
/// caller's mistakes ([`starttls::Error::is_ours`]) change nothing.
pub struct Connection<E: Engine> {
    pub(crate) incoming: Incoming,
    pub(crate) outgoing: Outgoing,
    pub(crate) stage: Stage<E>,
    wait: Option<Duration>,
    pub(crate) progress: u64,
    /// Nothing more will be received.
    pub(crate) ended: bool,
    pub(crate) failed: Option<Error>,
}

pub(crate) enum Stage<E: Engine> {
    Opening(E, E::Setup),
    Beginning(E::Pledge, E::Setup),
    Shaking(E::Pledge, E::Setup, Records<E::Side>),
    Tunnel(Records<E::Side>),
    /// A machine of the caller's talks in plaintext. Of a connection that was made for it TLS may still begin.
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
            incoming: Incoming::new(),
            outgoing: Outgoing::new(),
            stage,
            wait: None,
            progress: 0,
            ended: false,
            failed: None,
        }
    }

    /// Where to put what is received next. Empty while [`RECEIVE`] octets wait to be consumed:
    /// receive nothing then.
    pub fn receive_buffer(&mut self) -> &mut [u8] {
        self.incoming.free_mut()
    }

    /// The first `n` octets of [`receive_buffer`](Self::receive_buffer) were received.
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

    /// The peer will send no more; what that means comes with the next steps.
    pub const fn end_of_input(&mut self) {
        self.ended = true;
    }

    /// What is to be sent, in this order, at most [`SEND`] octets. Nothing more is made while it
    /// does not leave.
    #[must_use]
    pub fn to_send(&self) -> &[u8] {
        self.outgoing.filled()
    }

    /// The first `n` octets of [`to_send`](Self::to_send) were sent.
    pub fn sent(&mut self, n: usize) {
        self.outgoing.sent(n);
    }

    /// How long waiting for the peer is reasonable now: for what it says, or for it to read what is
    /// sent to it. `None` when it is not the peer's turn.
    ///
    /// Let the timer start anew whenever [`progress`](Self::progress) changed, and run on through
    /// everything else: a handshake, or a line that comes octet by octet, is one wait.
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

    /// Changes with each event and whenever something more is to be sent for the caller: the wait
    /// before is over then.
    #[must_use]
    pub const fn progress(&self) -> u64 {
        self.progress
    }

    /// The time of [`wait`](Self::wait) is over. A machine inside TLS has to be told by the caller;
    /// it may have last words.
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

    /// Goes on towards TLS.
    ///
    /// # Errors
    /// Those of the protocol and of TLS, [`starttls::Error::Unverified`] if the policy requires a
    /// verified peer, [`starttls::Error::OutOfOrder`] behind [`Event::Established`] or
    /// [`Event::Plaintext`].
    pub fn step(&mut self) -> Result<Step<Event<E::Event<'_>>>, Error> {
        match (&self.failed, &self.stage) {
            (Some(error), _) => Err(error.clone()),
            (None, Stage::Opening(..)) => self.step_plaintext(),
            (None, Stage::Beginning(..) | Stage::Shaking(..)) => self.step_handshake(),
            (None, _) => Err(starttls::Error::OutOfOrder.into()),
        }
    }

    /// Begins TLS on a connection made by `plaintext`, where the machine of the caller's says so: at
    /// [`opening::Event::StartTls`](starttls::mail::opening::Event::StartTls) or
    /// [`inbound::Event::StartTls`](starttls::mail::inbound::Event::StartTls). What is unread belongs to TLS: the
    /// machine has made sure that it may. Go on with [`step`](Self::step) to [`Event::Established`].
    ///
    /// # Errors
    /// [`starttls::Error::OutOfOrder`] on any other connection, and where TLS has begun.
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

    /// Runs a machine inside TLS, in the plaintext that [`Event::Plaintext`] allowed, or on both sides of the
    /// handshake on a connection made by `plaintext`: a job of a session, a receiver, or any other.
    ///
    /// # Errors
    /// Those of the machine and of TLS, [`starttls::Error::OutOfOrder`] during the handshake, and before
    /// [`Event::Established`] on a connection with a plaintext machine of its own.
    pub fn step_with<M: Machine>(&mut self, machine: &mut M) -> Result<Step<M::Event<'_>>, Error> {
        const { assert!(M::MAX_INPUT <= MAX_FRAME && M::MAX_OUTPUT <= MAX_OUTPUT) }
        if self.open_records()? == Opened::NoRoom {
            return Ok(Step::Write);
        }
        let Self { incoming: Incoming { octets, marks }, outgoing, stage, .. } = self;
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
                self.progress += 1;
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

    /// Says TLS's goodbye: behind what is to be sent then, the connection can be closed. It may still
    /// be read.
    ///
    /// # Errors
    /// Those of TLS, [`starttls::Error::OutputTooSmall`] if something has to be sent first.
    pub fn close(&mut self) -> Result<(), Error> {
        match &mut self.stage {
            Stage::Tunnel(records) => records.close(&mut self.incoming, &mut self.outgoing),
            _ => Ok(()),
        }
    }

    /// What TLS agreed on, behind [`Event::Established`].
    #[must_use]
    pub fn tls(&self) -> Option<&CommonState> {
        match &self.stage {
            Stage::Tunnel(records) => Some(records.common()),
            _ => None,
        }
    }

    /// Opens what was received, where there is anything but plaintext.
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

/// What to do when all that was received is consumed.
pub(crate) fn idle<E: Engine, N>(
    stage: &Stage<E>,
    marks: Marks,
    outgoing: &Outgoing,
    mut ended: bool,
) -> Result<Step<N>, Error> {
    if let Stage::Tunnel(records) = stage {
        if let Some(error) = &records.failed {
            return Err(error.clone());
        }
        ended |= records.peer_closed;
    }
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
