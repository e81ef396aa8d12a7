//! Runs one machine over the two buffers, with or without TLS.

use starttls::Machine;

use crate::buffer::Outgoing;
use crate::{Error, MAX_OUTPUT};

use crate::records::{Records, Side};

/// The next action of a connection's caller.
///
/// The enum is exhaustive: a loop that handles the four variants is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Step<E> {
    /// Receive more. The output can be sent meanwhile.
    Read,
    /// Send the output, then continue.
    Write,
    /// Act on the event.
    Event(E),
    /// The peer ended the connection where the protocol allows it.
    ///
    /// The output still has to be sent, for example a last reply or TLS's close_notify. Send
    /// [`to_send`](crate::Connection::to_send), then close.
    End,
}

impl<E> Step<E> {
    /// The event, or else the step: `let event = match step.event() { … }` leaves a loop with only the
    /// events.
    ///
    /// # Errors
    /// The step, if it is no event.
    pub fn event<N>(self) -> Result<E, Step<N>> {
        match self {
            Self::Event(event) => Ok(event),
            Self::Read => Err(Step::Read),
            Self::Write => Err(Step::Write),
            Self::End => Err(Step::End),
        }
    }
}

/// Where a machine stopped.
pub(crate) enum Turn<E> {
    Read,
    NoRoom,
    Event(E),
}

/// The destination of a machine's output.
pub(crate) enum Output<'o, S: Side> {
    Plain(&'o mut Outgoing),
    /// Encrypted into these records; the slice holds the received ones.
    Sealed(&'o mut Outgoing, &'o mut Records<S>, &'o mut [u8]),
}

impl<S: Side> Output<'_, S> {
    /// Calls `write` with free space, and sends as many bytes as it returns.
    pub(crate) fn write<T>(self, write: impl FnOnce(&mut [u8]) -> (usize, T)) -> Result<T, Error> {
        match self {
            Self::Plain(outgoing) => {
                let (written, value) = write(outgoing.free_mut());
                outgoing.filled_more(written);
                Ok(value)
            }
            Self::Sealed(outgoing, records, received) => {
                let room = records.room(outgoing);
                let free = outgoing.free_mut();
                let (front, plaintext) = free.split_at_mut(free.len() - room);
                let (written, value) = write(plaintext);
                let plaintext = plaintext.get(..written).unwrap_or_default();
                let written = records.seal(received, plaintext, front)?;
                outgoing.filled_more(written);
                Ok(value)
            }
        }
    }
}

/// Runs a machine until it needs input, its output has to be sent, or it has an event. The output on the way
/// leaves together.
pub(crate) fn drive<'i, M: Machine, S: Side>(
    machine: &mut M,
    plaintext: &'i [u8],
    start: &mut usize,
    output: Output<'_, S>,
) -> Result<Turn<M::Event<'i>>, Error> {
    output.write(|free| {
        let mut written = 0;
        loop {
            let free = free.get_mut(written..).unwrap_or_default();
            // This also leaves room for the reply to an event.
            if free.len() < M::MAX_OUTPUT.max(MAX_OUTPUT) {
                return (written, Ok(Turn::NoRoom));
            }
            let unread = plaintext.get(*start..).unwrap_or_default();
            let mut input = unread;
            let step = machine.step(&mut input, free);
            *start += unread.len() - input.len();
            match step {
                Ok(starttls::Step::Write(n)) => written += n,
                Ok(starttls::Step::Read) => return (written, Ok(Turn::Read)),
                Ok(starttls::Step::Event(event)) => return (written, Ok(Turn::Event(event))),
                Err(error) => return (written, Err(error.into())),
            }
        }
    })?
}
