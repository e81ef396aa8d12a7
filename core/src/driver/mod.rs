//! The bookkeeping around a machine: what is received and not consumed, what is to be sent, how long to wait.
//!
//! A [`Driver`] does no I/O and takes no time from the system. A loop does the three things that [`Next`]
//! asks for, over whatever moves its bytes:
//!
//! ```
//! use core::time::Duration;
//! use starttls::driver::{Driver, Next};
//! use starttls::{Buffer, Error, Machine};
//!
//! trait Link {
//!     fn send(&mut self, bytes: &[u8]) -> usize;
//!     fn receive(&mut self, room: &mut [u8]) -> usize;
//!     fn now(&self) -> Duration;
//! }
//!
//! fn run<M: Machine>(
//!     link: &mut impl Link,
//!     driver: &mut Driver<Buffer<512>, Buffer<512>>,
//!     machine: &mut M,
//!     mut is_last: impl FnMut(M::Event<'_>) -> bool,
//! ) -> Result<(), Error> {
//!     loop {
//!         match driver.next(machine, link.now()) {
//!             Next::Write(bytes) => {
//!                 let n = link.send(bytes);
//!                 driver.sent(n);
//!             }
//!             Next::Read => {
//!                 // Until `driver.deadline()`; 0 is the end.
//!                 let n = link.receive(driver.room());
//!                 driver.received(n);
//!             }
//!             Next::Event { event, .. } if is_last(event) => return Ok(()),
//!             Next::Event { .. } | Next::Shutdown => {}
//!             Next::Ended => return Ok(()),
//!             Next::Failed(error) => return Err(error),
//!         }
//!     }
//! }
//! ```

mod flow;
mod storage;
#[cfg(test)]
mod tests;

use core::time::Duration;

pub use storage::Storage;

use flow::{FULL, Flow, Halt, Waiting};

use crate::conceal::conceal;
use crate::settings::settings;
use crate::{Error, Machine, Step};

/// How long the peer may take to read what is sent to it, where the machine has no opinion.
pub const WRITE_WAIT: Duration = Duration::from_secs(5 * 60);

/// How long a whole TLS handshake may take.
pub const HANDSHAKE_WAIT: Duration = Duration::from_secs(60);

/// What a loop does next. Exhaustive: a loop that does all of these does everything.
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Next<'d, E> {
    /// Send these bytes or the front of them, and tell [`Driver::sent`]. When
    /// [`Driver::unsent`] is empty, flush what lies between this loop and the network.
    Write(&'d [u8]),
    /// Receive into [`Driver::room`], and tell [`Driver::received`]. If nothing came by
    /// [`Driver::deadline`], call [`Driver::next`] again: it knows what that means.
    Read,
    /// Act on it, then go on.
    Event {
        /// What happened.
        event: E,
        /// The received bytes that it comes from; empty if it comes from none.
        frame: &'d [u8],
    },
    /// Nothing more will be sent: tell the peer so, by TLS's close_notify and TCP's FIN, and go on. A peer
    /// whose mistake ended the connection is listened to for a moment: closed with bytes unread,
    /// TCP would take back what it was told.
    Shutdown,
    /// The peer ended the connection where the protocol allows it.
    Ended,
    /// The connection is over. After the caller's own mistakes ([`Error::is_ours`]) it is not: mend them and
    /// go on.
    Failed(Error),
}

settings! {
    /// How long a connection may take, in the caller's clock.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Limits {
        /// The most that each wait for the peer takes, where the protocol's standard allows more.
        wait, with_wait: Option<Duration>,
        /// When everything has to be over.
        end, with_end: Option<Duration>,
    }
}

/// Drives machines: holds both buffers and the deadline of each wait.
///
/// It belongs to a connection, and machines come and go: a client until the upgrade, the jobs of a session
/// after it. What one machine leaves unread is the next one's, so that nothing is lost between two
/// machines in plaintext, and nothing crosses the upgrade unseen:
/// [`into_upgrade`](crate::Client::into_upgrade) takes [`unread`](Self::unread).
///
/// Times are [`Duration`]s since any moment, the same for the whole connection.
///
/// - A wait begins when the machine begins to wait, and lasts until it consumes something. A peer that
///   drips bytes gains nothing.
/// - What several steps write leaves in one write, except where the peer has to have it first
///   ([`Machine::needs_flush`]).
/// - After an error the machine's [last words](Machine::farewell) are sent, and the peer is listened to for
///   two seconds at most.
pub struct Driver<I, O = I> {
    received: I,
    /// How many bytes at the front of `received` were consumed.
    consumed: usize,
    flow: Flow<O>,
}

conceal!("Driver", Driver<I, O> [I: Storage, O: Storage], |driver| driver.unread().len());

impl<I: Storage, O: Storage> Driver<I, O> {
    /// A driver for a fresh connection.
    ///
    /// `received` has to hold [`Machine::MAX_INPUT`] bytes of each machine, or this does not compile. `unsent`
    /// has to hold what each step writes with the arguments at hand, for which [`Machine::MAX_OUTPUT`]
    /// is always enough; [`Error::OutputTooSmall`] says how many bytes are needed.
    #[must_use]
    pub const fn new(received: I, unsent: O) -> Self {
        Self { received, consumed: 0, flow: Flow::new(unsent) }
    }

    /// Forgets everything but the [`limits`](Self::limits), for another connection.
    pub fn restart(&mut self) {
        self.discard_unread();
        self.flow.unsent.drain(usize::MAX);
        (self.flow.waiting, self.flow.ended) = (Waiting::Nothing, false);
        (self.flow.failed, self.flow.lingering, self.flow.dropped) = (None, 0, 0);
    }

    /// How long the connection may take.
    #[must_use]
    pub const fn limits(&self) -> Limits {
        self.flow.limits
    }

    /// Sets how long the connection may take, from the next wait on.
    pub const fn set_limits(&mut self, limits: Limits) {
        self.flow.limits = limits;
    }

    /// Runs `machine` as far as it goes on its own.
    pub fn next<'d, M: Machine>(
        &'d mut self,
        machine: &mut M,
        now: Duration,
    ) -> Next<'d, M::Event<'d>> {
        const { assert!(I::CAPACITY >= M::MAX_INPUT, "`received` is below Machine::MAX_INPUT") }
        self.discard_consumed();
        let Self { received, consumed, flow } = self;
        if flow.failed.is_some() {
            received.drain(usize::MAX);
            flow.tell_dropped(machine);
            return flow.part(now);
        }
        let received = &*received;
        let halt = loop {
            if flow.must_send(machine.needs_flush()) {
                break Halt::Output;
            }
            let rest = received.filled().get(*consumed..).unwrap_or_default();
            let mut input = rest;
            let step = machine.step(&mut input, flow.unsent.room(M::MAX_OUTPUT));
            let taken = rest.len().saturating_sub(input.len());
            *consumed = consumed.saturating_add(taken);
            if taken > 0 {
                flow.waiting = Waiting::Nothing;
            }
            match step {
                Ok(Step::Write(n)) => flow.unsent.fill(n),
                Ok(Step::Event(event)) => {
                    flow.waiting = Waiting::Nothing;
                    return Next::Event { event, frame: rest.get(..taken).unwrap_or_default() };
                }
                Ok(Step::Read) if flow.is_sent() => break Halt::Input,
                Ok(Step::Read) => break Halt::Output,
                Err(Error::OutputTooSmall { .. }) if !flow.is_sent() => break Halt::Output,
                Err(error) => break Halt::Failed(error),
            }
        };
        flow.halt(halt, machine, now)
    }

    /// What is to be sent: the bytes of [`Next::Write`].
    #[must_use]
    pub fn unsent(&self) -> &[u8] {
        self.flow.unsent.filled()
    }

    /// The first `n` bytes of [`unsent`](Self::unsent) were sent. None of them: the peer takes nothing any
    /// more, and the connection is [lost](Self::lost).
    pub fn sent(&mut self, n: usize) {
        if n == 0 && !self.flow.is_sent() {
            return self.lost();
        }
        self.flow.unsent.drain(n);
        if self.flow.is_sent() && self.flow.failed.is_none() {
            self.flow.waiting = Waiting::Nothing;
        }
    }

    /// Where to receive.
    pub fn room(&mut self) -> &mut [u8] {
        self.room_for(1)
    }

    /// Where to receive: at least `wanted` bytes, if `received` can grow.
    pub fn room_for(&mut self, wanted: usize) -> &mut [u8] {
        self.discard_consumed();
        self.received.room(wanted)
    }

    /// The first `n` bytes of [`room`](Self::room) were received; 0 is the end.
    pub fn received(&mut self, n: usize) {
        if n == 0 {
            self.flow.ended = true;
        }
        self.received.fill(n);
    }

    /// These bytes were received elsewhere: they are copied to [`room`](Self::room), as many as fit. Returns
    /// how many; none at all is no end.
    pub fn receive(&mut self, bytes: &[u8]) -> usize {
        self.discard_consumed();
        let mut copied = 0;
        for ((place, byte), n) in self.received.room(bytes.len()).iter_mut().zip(bytes).zip(1..) {
            *place = *byte;
            copied = n;
        }
        self.received.fill(copied);
        copied
    }

    /// The network failed: nothing is sent or received any more. What failed before counts. The machine learns
    /// with the next [`next`](Self::next) what was never sent.
    pub fn lost(&mut self) {
        if self.flow.failed.is_none() {
            self.flow.dropped = self.flow.unsent.filled().len();
        }
        self.flow.unsent.drain(usize::MAX);
        self.flow.lingering = 0;
        self.flow.failed.get_or_insert(Error::Closed);
    }

    /// Received and not consumed.
    #[must_use]
    pub fn unread(&self) -> &[u8] {
        self.received.filled().get(self.consumed..).unwrap_or_default()
    }

    /// Drops what is [`unread`](Self::unread): it was handed to TLS.
    pub fn discard_unread(&mut self) {
        self.consumed = 0;
        self.received.drain(usize::MAX);
    }

    /// Appends to what is to be sent what `write` puts into the room it is given, of at least `most` bytes
    /// if `unsent` can grow. Returns what `write` returns: how many bytes it wrote.
    ///
    /// # Errors
    /// Those of `write`.
    pub fn write_with<E>(
        &mut self,
        most: usize,
        write: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        let written = write(self.flow.unsent.room(most))?;
        self.flow.unsent.fill(written);
        Ok(written)
    }

    /// Whether so much is [`unsent`](Self::unsent) that it is worth a write.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.unsent().len() >= FULL.min(O::CAPACITY / 2)
    }

    /// Begins to send what is [`unsent`](Self::unsent) without a machine, and says by when.
    pub fn flush(&mut self, now: Duration) -> Duration {
        self.flow.wait(Waiting::Sending, WRITE_WAIT, now);
        self.flow.deadline
    }

    /// By when what the last [`next`](Self::next) asked for has to be done.
    #[must_use]
    pub const fn deadline(&self) -> Duration {
        self.flow.deadline
    }

    /// When a wait of the caller's own ends that begins now, within the [`limits`](Self::limits) of the
    /// connection; for the TLS handshake it is at most [`HANDSHAKE_WAIT`].
    #[must_use]
    pub fn deadline_of(&self, wait: Duration, now: Duration) -> Duration {
        self.flow.limits.deadline(wait, now)
    }

    /// Why the connection failed, if it did. The last words may still be on their way.
    #[must_use]
    pub const fn failed(&self) -> Option<Error> {
        self.flow.failed
    }

    fn discard_consumed(&mut self) {
        if self.consumed > 0 {
            self.received.drain(core::mem::take(&mut self.consumed));
        }
    }
}
