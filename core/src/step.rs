//! The common interface of all machines.
//!
//! ```text
//!                ┌── Read: append received bytes to the input ◄──┐
//! step(input) ───┼── Write(n): send output[..n] ─────────────────┼── call step again
//!                └── Event: act on it ───────────────────────────┘
//! ```

use core::time::Duration;

use crate::{Error, Meaning};

/// What a machine needs next.
///
/// The enum is exhaustive: a loop that handles these three cases is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Step<E> {
    /// The machine has looked at the whole input. Call again when there is more.
    Read,
    /// Send the first `n` bytes of the output, all of them, before receiving more. They may be queued, so
    /// that the output of several steps leaves in one write.
    Write(usize),
    /// An event to act on.
    Event(E),
}

/// A state machine that turns received bytes into events and bytes to send.
///
/// A machine does no I/O and does not read a clock. Call [`step`](Self::step) in a loop:
///
/// - on [`Step::Read`] receive more bytes and append them to the rest of the input;
/// - on [`Step::Write`] send;
/// - on [`Step::Event`] act.
///
/// After an error, every further step returns the same error. The caller's mistakes ([`Error::is_ours`])
/// are different: they change nothing, and the call may be repeated once they are corrected.
/// [`Driver`](crate::Driver) does the bookkeeping for such a loop.
pub trait Machine {
    /// An event; it borrows from the input.
    type Event<'i>: Copy;

    /// The largest frame that the machine needs as a whole, in bytes: the minimum size of a receive buffer.
    ///
    /// A SASL challenge may be longer (RFC 4954 §4). If the buffer is full and the machine needs more, end
    /// the connection with [`Error::FrameTooLong`].
    const MAX_INPUT: usize;

    /// The most bytes that one [`Step::Write`] takes with arguments of the largest allowed size. For
    /// smaller arguments a smaller buffer is enough.
    const MAX_OUTPUT: usize;

    /// Advances by one step and moves the start of `input` past the consumed bytes.
    ///
    /// Bytes that the machine discards are consumed even with [`Step::Read`], and even if a write does not
    /// fit.
    ///
    /// # Errors
    /// The peer broke a rule or refused, or the caller called a method out of order.
    fn step<'i>(
        &mut self,
        input: &mut &'i [u8],
        output: &mut [u8],
    ) -> Result<Step<Self::Event<'i>>, Error>;

    /// Tells the machine that the peer will send no more.
    ///
    /// # Errors
    /// [`Error::Closed`], unless the protocol allows the end here.
    fn end_of_input(&mut self) -> Result<(), Error>;

    /// Tells the machine that the time of [`wait`](Self::wait) has passed. The machine is finished.
    fn timed_out(&mut self) -> Error;

    /// How long to wait for the peer now; `None` if it is not the peer's turn.
    fn wait(&self) -> Option<Duration>;

    /// Tells the machine that the connection is lost, and that the last `n` bytes it wrote were never sent.
    fn never_sent(&mut self, n: usize) {
        let _ = n;
    }

    /// Whether all output has to be sent before the next step, because the caller acts next, for example
    /// with the TLS handshake.
    fn needs_flush(&self) -> bool {
        false
    }

    /// Whether the last output carries a credential. Do not log it.
    fn is_secret(&self) -> bool {
        false
    }

    /// Whether the frame of the last event is only the front of a longer one. The machine drops the rest.
    fn is_cut(&self) -> bool {
        false
    }

    /// Whether a new [`wait`](Self::wait) begins after the last event.
    ///
    /// A reply or a command has one time limit as a whole (I17). So a peer gains no time by sending it line
    /// by line, or by sending frames that mean nothing.
    fn begins_wait(&self) -> bool {
        true
    }

    /// The meaning of the last event's frame, for people. `None` if the frame is text.
    fn in_words<'i>(&self, frame: &'i [u8]) -> Option<Meaning<'i>> {
        let _ = frame;
        None
    }

    /// Writes a farewell to a peer whose mistake or silence ended the connection, and returns its length in
    /// bytes.
    ///
    /// Call it after an error and send the bytes before closing. The length is 0 if the protocol allows no
    /// farewell here.
    ///
    /// # Errors
    /// [`Error::OutputTooSmall`] if the farewell does not fit.
    fn farewell(&self, output: &mut [u8]) -> Result<usize, Error> {
        let _ = output;
        Ok(0)
    }
}

/// A machine by reference.
impl<M: Machine> Machine for &mut M {
    type Event<'i> = M::Event<'i>;

    const MAX_INPUT: usize = M::MAX_INPUT;
    const MAX_OUTPUT: usize = M::MAX_OUTPUT;

    fn step<'i>(
        &mut self,
        input: &mut &'i [u8],
        output: &mut [u8],
    ) -> Result<Step<Self::Event<'i>>, Error> {
        (**self).step(input, output)
    }

    fn end_of_input(&mut self) -> Result<(), Error> {
        (**self).end_of_input()
    }

    fn timed_out(&mut self) -> Error {
        (**self).timed_out()
    }

    fn wait(&self) -> Option<Duration> {
        (**self).wait()
    }

    fn never_sent(&mut self, n: usize) {
        (**self).never_sent(n);
    }

    fn needs_flush(&self) -> bool {
        (**self).needs_flush()
    }

    fn is_secret(&self) -> bool {
        (**self).is_secret()
    }

    fn is_cut(&self) -> bool {
        (**self).is_cut()
    }

    fn begins_wait(&self) -> bool {
        (**self).begins_wait()
    }

    fn in_words<'i>(&self, frame: &'i [u8]) -> Option<Meaning<'i>> {
        (**self).in_words(frame)
    }

    fn farewell(&self, output: &mut [u8]) -> Result<usize, Error> {
        (**self).farewell(output)
    }
}
