//! The one shape that every machine of this crate has.

use core::time::Duration;

use crate::Error;

/// What a machine wants next. Exhaustive: a loop that does these three things does everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Step<E> {
    /// Everything in the input was looked at; call again when there is more.
    Read,
    /// Send the first `n` octets of the output, all of them, before receiving more. They may be put
    /// into a queue, so that the writes of several steps leave at once.
    Write(usize),
    /// Something to act on.
    Event(E),
}

/// A state machine that turns received octets into events and octets to send.
///
/// It does no I/O and takes no time from the system. Call [`step`](Self::step) in a loop:
/// on [`Step::Read`] receive more and append it to what is left of the input, on
/// [`Step::Write`] send, on [`Step::Event`] act. A machine that returned an error returns
/// the same one ever after, except for the caller's mistakes (see [`Error::is_ours`]), which
/// change nothing and may be mended and tried again.
pub trait Machine {
    /// What happens; borrows from the input.
    type Event<'i>: Copy;

    /// The largest frame it may have to see whole, in octets: the least size of a receive buffer.
    const MAX_INPUT: usize;

    /// The most octets that one [`Step::Write`] can ask for with arguments of the largest allowed
    /// size. A smaller buffer is enough for smaller arguments.
    const MAX_OUTPUT: usize;

    /// Advances by one step and moves the start of `input` past what it took.
    ///
    /// # Errors
    /// The peer broke a rule or refused, or the caller did something out of order.
    fn step<'i>(
        &mut self,
        input: &mut &'i [u8],
        output: &mut [u8],
    ) -> Result<Step<Self::Event<'i>>, Error>;

    /// Tells the machine that the peer will send no more.
    ///
    /// # Errors
    /// [`Error::Closed`] everywhere but where the protocol ends there.
    fn end_of_input(&mut self) -> Result<(), Error>;

    /// Tells the machine that the time of [`wait`](Self::wait) is over; it is finished.
    fn timed_out(&mut self) -> Error;

    /// How long waiting for the peer is reasonable now; `None` when it is not the peer's turn.
    fn wait(&self) -> Option<Duration>;

    /// Tells the machine that the connection is lost, and that the last `n` bytes it wrote were never sent.
    fn never_sent(&mut self, n: usize) {
        let _ = n;
    }

    /// Whether what it wrote has to be sent before the next step: what follows is the caller's turn, the TLS
    /// handshake for example.
    fn needs_flush(&self) -> bool {
        false
    }

    /// Whether what it writes now carries a credential, and must not be logged.
    fn is_secret(&self) -> bool {
        false
    }

    /// After an error, writes the last words to a peer whose mistake or silence ended the connection; says how
    /// many bytes of `output` to send before closing. None where nothing may be said.
    ///
    /// # Errors
    /// [`Error::OutputTooSmall`].
    fn farewell(&self, output: &mut [u8]) -> Result<usize, Error> {
        let _ = output;
        Ok(0)
    }
}

/// A borrowed machine.
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

    fn farewell(&self, output: &mut [u8]) -> Result<usize, Error> {
        (**self).farewell(output)
    }
}
