//! Output and deadlines.

use core::time::Duration;

use super::{Limits, Next, Storage, WRITE_WAIT};
use crate::{Error, Machine};

/// How long the driver reads after its farewell.
const LINGER_WAIT: Duration = Duration::from_secs(2);

/// How many reads it does then at most.
const LINGER_READS: u8 = 64;

/// The number of unsent bytes that is worth a system call: one TLS record.
pub(super) const FULL: usize = 16 * 1024;

/// Everything but the received bytes. Events borrow those, so they are a separate field.
pub(super) struct Flow<O> {
    pub(super) unsent: O,
    pub(super) limits: Limits,
    pub(super) deadline: Duration,
    pub(super) waiting: Waiting,
    /// Whether the peer will send no more.
    pub(super) ended: bool,
    pub(super) failed: Option<Error>,
    /// The number of unsent bytes that were dropped; the machine has to know.
    pub(super) dropped: usize,
    /// How many more reads follow the farewell.
    pub(super) lingering: u8,
}

/// The purpose of the deadline.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Waiting {
    Nothing,
    Input,
    Sending,
}

/// Why a machine cannot continue.
pub(super) enum Halt {
    Input,
    Output,
    Failed(Error),
}

impl Limits {
    pub(super) fn deadline(&self, reasonable: Duration, now: Duration) -> Duration {
        let wait = self.wait.map_or(reasonable, |most| most.min(reasonable));
        let deadline = now.saturating_add(wait);
        self.end.map_or(deadline, |end| end.min(deadline))
    }
}

impl<O> Flow<O> {
    /// A flow that waits for nothing.
    pub(super) const fn new(unsent: O) -> Self {
        Self {
            unsent,
            limits: Limits { wait: None, end: None },
            deadline: Duration::MAX,
            waiting: Waiting::Nothing,
            ended: false,
            failed: None,
            dropped: 0,
            lingering: 0,
        }
    }
}

impl<O: Storage> Flow<O> {
    pub(super) fn is_sent(&self) -> bool {
        self.unsent.filled().is_empty()
    }

    /// Whether output has to be sent before the machine continues.
    pub(super) fn must_send(&self, needs_flush: bool) -> bool {
        match self.unsent.filled().len() {
            0 => false,
            FULL.. => true,
            _ => needs_flush || self.waiting == Waiting::Sending,
        }
    }

    pub(super) fn halt<'d, M: Machine, E>(
        &'d mut self,
        halt: Halt,
        machine: &mut M,
        now: Duration,
    ) -> Next<'d, E> {
        let reasonable = machine.wait().unwrap_or(WRITE_WAIT);
        match halt {
            Halt::Output if self.may_wait(Waiting::Sending, reasonable, now) => {
                return Next::Write(self.unsent.filled());
            }
            Halt::Output => {
                // A peer that does not read gets no farewell.
                self.dropped = self.unsent.filled().len();
                self.unsent.drain(usize::MAX);
                self.tell_dropped(machine);
                self.failed = Some(machine.timed_out());
            }
            Halt::Input if self.ended => match machine.end_of_input() {
                Ok(()) => return Next::Ended,
                Err(error) => self.fail(error, machine),
            },
            Halt::Input if self.may_wait(Waiting::Input, reasonable, now) => {
                self.unsent.release();
                return Next::Read;
            }
            Halt::Input => {
                let error = machine.timed_out();
                self.fail(error, machine);
            }
            Halt::Failed(error) => {
                self.fail(error, machine);
                // A caller's mistake does not end the connection.
                if error.is_ours() && self.lingering == 0 {
                    self.failed = None;
                    return Next::Failed(error);
                }
            }
        }
        self.deadline = now.saturating_add(LINGER_WAIT);
        self.take_leave(now)
    }

    pub(super) fn tell_dropped(&mut self, machine: &mut impl Machine) {
        match core::mem::take(&mut self.dropped) {
            0 => {}
            dropped => machine.never_sent(dropped),
        }
    }

    /// Whether there is time left to wait. The deadline is set when a wait begins, and not again within it
    /// (I17).
    pub(super) fn may_wait(
        &mut self,
        waiting: Waiting,
        reasonable: Duration,
        now: Duration,
    ) -> bool {
        if self.waiting != waiting {
            self.waiting = waiting;
            self.deadline = self.limits.deadline(reasonable, now);
        }
        now < self.deadline
    }

    fn fail<M: Machine>(&mut self, error: Error, machine: &M) {
        let written = machine.farewell(self.unsent.room(M::MAX_OUTPUT)).unwrap_or_default();
        self.unsent.fill(written);
        self.lingering = if written > 0 { LINGER_READS } else { 0 };
        self.failed = Some(error);
    }

    /// Sends the farewell after an error, then reads until the peer has had time to read it.
    pub(super) fn take_leave<'d, E>(&'d mut self, now: Duration) -> Next<'d, E> {
        // The peer must not hold the connection by not reading the farewell, or by sending on (I17).
        if now >= self.deadline {
            self.lingering = 0;
        } else if !self.is_sent() {
            return Next::Write(self.unsent.filled());
        }
        let first = self.lingering == LINGER_READS;
        self.lingering = if self.ended { 0 } else { self.lingering.saturating_sub(1) };
        match self.lingering {
            0 => Next::Failed(self.failed.unwrap_or(Error::Closed)),
            _ if first => Next::Shutdown,
            _ => Next::Read,
        }
    }
}
