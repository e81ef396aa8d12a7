//! The bookkeeping around a machine: buffers, deadlines and the end of input.
//!
//! ```text
//!             ┌── Write: send, then driver.sent(n) ────────────────────┐
//! driver.next ┼── Read: receive into room(), then driver.received(n) ──┼── driver.next
//!             ├── Event: act on it ────────────────────────────────────┘
//!             └── Ended, Failed: close the connection
//! ```
//!
//! A [`Driver`] does no I/O and reads no clock. A loop does what [`Next`] asks for, with whatever moves its
//! bytes:
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
//!                 // Wait until `driver.deadline()`; 0 means the end of input.
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

/// The time limit for a peer to read what is sent, if the machine sets none.
pub const WRITE_WAIT: Duration = Duration::from_secs(5 * 60);

/// The time limit for a whole TLS handshake.
pub const HANDSHAKE_WAIT: Duration = Duration::from_secs(60);

/// What a loop does next.
///
/// The enum is exhaustive: a loop that handles every variant is complete.
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Next<'d, E> {
    /// Send these bytes, or the first of them, and call [`Driver::sent`]. When [`Driver::unsent`] is empty,
    /// flush all buffers between this loop and the network.
    Write(&'d [u8]),
    /// Receive into [`Driver::room`] and call [`Driver::received`]. If nothing arrives by
    /// [`Driver::deadline`], call [`Driver::next`] again: it handles the timeout.
    Read,
    /// Act on the event, then call [`Driver::next`] again.
    Event {
        /// The machine's event.
        event: E,
        /// The received bytes of the event; empty if it has none.
        frame: &'d [u8],
    },
    /// Nothing more will be sent. Send TLS's close_notify and TCP's FIN, then call [`Driver::next`] again.
    ///
    /// The driver still reads for a moment: a TCP socket closed with unread bytes is reset, and the peer
    /// may lose the farewell.
    Shutdown,
    /// The peer ended the connection where the protocol allows it. Everything was sent: [`Driver::unsent`]
    /// is empty.
    Ended,
    /// The connection failed. After a caller's mistake ([`Error::is_ours`]) it is intact: correct the
    /// mistake and continue.
    Failed(Error),
}

settings! {
    /// Time limits of a connection, by the caller's clock.
    ///
    /// ```
    /// use core::time::Duration;
    /// use starttls::driver::Limits;
    ///
    /// let limits = Limits::default().with_wait(Some(Duration::from_secs(30)));
    /// assert_eq!(limits.end(), None);
    /// ```
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Limits {
        /// The maximum length of each wait for the peer. It shortens the protocol's own waits and never
        /// extends them.
        wait, with_wait: Option<Duration>,
        /// The time at which everything has to be done.
        end, with_end: Option<Duration>,
    }
}

/// Drives machines: it holds both buffers and the deadline of each wait.
///
/// One driver belongs to one connection and serves its machines one after the other: a client up to the
/// upgrade, then the tasks of a session.
///
/// The next machine starts with the bytes that the last one left unread, so no plaintext is lost. No
/// plaintext crosses the boundary either, because [`into_upgrade`](crate::Client::into_upgrade) takes
/// [`unread`](Self::unread).
///
/// All times are [`Duration`]s since the same moment, which the caller chooses.
///
/// - A wait lasts until a whole command, or a whole reply with all its lines, has arrived. A peer gains no
///   time by sending single bytes, or lines without meaning (I17).
/// - The output of several steps leaves in one write, unless the peer has to receive it first
///   ([`Machine::needs_flush`]).
/// - After an error the driver sends the machine's [farewell](Machine::farewell) and reads for at most two
///   seconds more.
///
/// ```
/// use core::time::Duration;
/// use starttls::driver::{Driver, Next};
/// use starttls::{Buffer, Policy};
/// # #[cfg(feature = "smtp")] {
/// let name = starttls::smtp::Domain::new("sensor.example.org").unwrap();
/// let mut client = starttls::smtp::Client::new(name, Policy::Required);
/// let mut driver = Driver::new(Buffer::<512>::new(), Buffer::<64>::new());
/// assert_eq!(driver.next(&mut client, Duration::ZERO), Next::Read);
/// assert_eq!(driver.deadline(), Duration::from_secs(5 * 60)); // for the greeting
/// # }
/// ```
pub struct Driver<I, O = I> {
    received: I,
    /// How many bytes at the front of `received` are consumed.
    consumed: usize,
    flow: Flow<O>,
}

conceal!("Driver", Driver<I, O> [I: Storage, O: Storage], |driver| driver.unread().len());

impl<I: Storage, O: Storage> Driver<I, O> {
    /// A driver for a fresh connection.
    ///
    /// `received` has to hold [`Machine::MAX_INPUT`] bytes of each machine; else the code does not compile.
    /// `unsent` has to hold the output of each step with the actual arguments. [`Machine::MAX_OUTPUT`] is
    /// always enough, and [`Error::OutputTooSmall`] tells how many bytes are needed.
    #[must_use]
    pub const fn new(received: I, unsent: O) -> Self {
        Self { received, consumed: 0, flow: Flow::new(unsent) }
    }

    /// Resets everything but the [`limits`](Self::limits), for another connection.
    pub fn restart(&mut self) {
        self.discard_unread();
        self.flow.unsent.drain(usize::MAX);
        (self.flow.waiting, self.flow.ended) = (Waiting::Nothing, false);
        (self.flow.failed, self.flow.lingering, self.flow.dropped) = (None, 0, 0);
    }

    /// The time limits of the connection.
    #[must_use]
    pub const fn limits(&self) -> Limits {
        self.flow.limits
    }

    /// Sets the time limits of the connection, from the next wait on.
    pub const fn set_limits(&mut self, limits: Limits) {
        self.flow.limits = limits;
    }

    /// Runs `machine` until it needs the caller.
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
            return flow.take_leave(now);
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
            // Dropped bytes are no progress: a peer must not gain time with them (I17).
            if taken > 0 && matches!(step, Ok(Step::Write(_))) {
                flow.waiting = Waiting::Nothing;
            }
            match step {
                Ok(Step::Write(n)) => flow.unsent.fill(n),
                Ok(Step::Event(event)) => {
                    if machine.begins_wait() {
                        flow.waiting = Waiting::Nothing;
                    }
                    return Next::Event { event, frame: rest.get(..taken).unwrap_or_default() };
                }
                Ok(Step::Read) if input.len() >= I::CAPACITY => {
                    break Halt::Failed(Error::FrameTooLong);
                }
                Ok(Step::Read) if flow.is_sent() => break Halt::Input,
                Ok(Step::Read) => break Halt::Output,
                Err(Error::OutputTooSmall { .. }) if !flow.is_sent() => break Halt::Output,
                Err(error) => break Halt::Failed(error),
            }
        };
        flow.halt(halt, machine, now)
    }

    /// The bytes to send: those of [`Next::Write`].
    #[must_use]
    pub fn unsent(&self) -> &[u8] {
        self.flow.unsent.filled()
    }

    /// Reports that the first `n` bytes of [`unsent`](Self::unsent) were sent. If `n` is 0, the peer
    /// accepts no more bytes and the connection is [lost](Self::lost).
    pub fn sent(&mut self, n: usize) {
        if n == 0 && !self.flow.is_sent() {
            return self.lost();
        }
        self.flow.unsent.drain(n);
        if self.flow.is_sent() && self.flow.failed.is_none() {
            self.flow.waiting = Waiting::Nothing;
        }
    }

    /// The free part of the receive buffer.
    pub fn room(&mut self) -> &mut [u8] {
        self.room_for(1)
    }

    /// The free part of the receive buffer: at least `wanted` bytes, if `received` can grow.
    pub fn room_for(&mut self, wanted: usize) -> &mut [u8] {
        self.discard_consumed();
        self.received.room(wanted)
    }

    /// Reports that the first `n` bytes of [`room`](Self::room) were received; 0 means the end of input.
    pub fn received(&mut self, n: usize) {
        if n == 0 {
            self.flow.ended = true;
        }
        self.received.fill(n);
    }

    /// Copies bytes that were received elsewhere to [`room`](Self::room), as many as fit, and returns how
    /// many. An empty slice is not the end of input.
    #[must_use = "bytes that do not fit are not taken"]
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

    /// Reports that the network failed: nothing is sent or received any more. An earlier error stays. The
    /// next call of [`next`](Self::next) tells the machine which bytes were never sent.
    pub fn lost(&mut self) {
        if self.flow.failed.is_none() {
            self.flow.dropped = self.flow.unsent.filled().len();
        }
        self.flow.unsent.drain(usize::MAX);
        self.flow.lingering = 0;
        self.flow.failed.get_or_insert(Error::Closed);
    }

    /// The bytes that were received and not yet consumed.
    #[must_use]
    pub fn unread(&self) -> &[u8] {
        self.received.filled().get(self.consumed..).unwrap_or_default()
    }

    /// Drops the [`unread`](Self::unread) bytes, once TLS has them.
    pub fn discard_unread(&mut self) {
        self.consumed = 0;
        self.received.drain(usize::MAX);
    }

    /// Appends the caller's own bytes to the output. `write` gets room for at least `most` bytes if
    /// `unsent` can grow, and returns how many bytes it wrote.
    ///
    /// # Errors
    /// Those that `write` returns.
    pub fn write_with<E>(
        &mut self,
        most: usize,
        write: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        let written = write(self.flow.unsent.room(most))?;
        self.flow.unsent.fill(written);
        Ok(written)
    }

    /// Whether enough bytes are [`unsent`](Self::unsent) to be worth a write.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.unsent().len() >= FULL.min(O::CAPACITY / 2)
    }

    /// Starts to send the [`unsent`](Self::unsent) bytes without a machine; returns the deadline.
    pub fn flush(&mut self, now: Duration) -> Duration {
        self.flow.may_wait(Waiting::Sending, WRITE_WAIT, now);
        self.flow.deadline
    }

    /// The deadline of what the last [`next`](Self::next) asked for.
    #[must_use]
    pub const fn deadline(&self) -> Duration {
        self.flow.deadline
    }

    /// The deadline of a wait of `wait` that starts now, within the [`limits`](Self::limits). For the TLS
    /// handshake pass [`HANDSHAKE_WAIT`].
    #[must_use]
    pub fn deadline_of(&self, wait: Duration, now: Duration) -> Duration {
        self.flow.limits.deadline(wait, now)
    }

    /// The reason why the connection failed, if it did. A farewell may still be unsent.
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
