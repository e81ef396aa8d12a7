//! What is to be done, without doing it: what both loops share.

use core::time::Duration;

use embedded_io::ErrorKind;
use starttls::Error as Rule;

use crate::error::Fault;
use crate::{Budget, Buffers};

/// For the peer to read what is sent to it.
const WRITE_WAIT: Duration = Duration::from_secs(5 * 60);

/// For the whole TLS handshake.
pub(crate) const HANDSHAKE_WAIT: Duration = Duration::from_secs(60);

/// For the last words to a peer that ends the connection by a mistake or by silence.
const FAREWELL_WAIT: Duration = Duration::from_secs(2);

/// Where a task stands.
#[derive(Debug)]
pub(crate) enum Turn {
    /// It needs more input.
    Read,
    /// It says the first so many octets of the output.
    Write(usize),
    /// It goes on.
    Again,
    /// It is done, and knows what came of it.
    Done,
}

/// A machine and what its events lead to.
pub(crate) trait Task {
    fn step(&mut self, input: &mut &[u8], output: &mut [u8]) -> Result<Turn, Fault>;

    /// The peer will send no more; whether the task is done with it.
    fn end_of_input(&mut self) -> Result<(), Fault>;

    /// The time is over.
    fn timed_out(&mut self) -> Rule;

    /// How long the peer may take for what it has to do now.
    fn wait(&mut self) -> Option<Duration>;

    /// Puts the last words after an error into the output, and says how many octets they are.
    fn farewell(&mut self, _output: &mut [u8]) -> usize {
        0
    }
}

/// How much input a task has to see.
pub(crate) trait Framed: Task {
    /// The least size of the receive buffer.
    const MAX_INPUT: usize;
}

/// What a loop does next, and then tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Do {
    /// Write what is [`said`](Driver::said), or a part of it.
    Write,
    /// Flush.
    Flush,
    /// Read into [`room`](Driver::room).
    Read,
    /// Return [`outcome`](Driver::outcome).
    Return,
}

/// A receive buffer of `IN` octets is large enough for the task, or this does not compile.
pub(crate) const fn check_size<J: Framed, const IN: usize>() {
    const {
        assert!(IN >= J::MAX_INPUT, "IN of Buffers is below Machine::MAX_INPUT");
    }
}

/// Drives a task, but for reading and writing. One for all tasks: they are told apart while it runs.
pub(crate) struct Driver<'d, const IN: usize, const OUT: usize> {
    task: &'d mut dyn Task,
    buffers: &'d mut Buffers<IN, OUT>,
    budget: &'d Budget,
    /// What is said and not written.
    start: usize,
    end: usize,
    /// Something was written since the last flush.
    unflushed: bool,
    wants_input: bool,
    /// What the loop does now.
    doing: Do,
    /// What came of it all; an error that is `None` is the stream's own.
    outcome: Option<Result<(), Option<Fault>>>,
}

impl<'d, const IN: usize, const OUT: usize> Driver<'d, IN, OUT> {
    pub(crate) fn new(
        task: &'d mut dyn Task,
        buffers: &'d mut Buffers<IN, OUT>,
        budget: &'d Budget,
    ) -> Self {
        let mut driver = Self {
            task,
            buffers,
            budget,
            start: 0,
            end: 0,
            unflushed: false,
            wants_input: false,
            doing: Do::Return,
            outcome: None,
        };
        driver.start_waiting();
        driver
    }

    #[inline(never)]
    pub(crate) fn next(&mut self) -> Do {
        while !self.wants_input && self.outcome.is_none() && self.start == self.end {
            self.step();
        }
        self.doing = if self.start < self.end {
            Do::Write
        } else if self.unflushed {
            Do::Flush
        } else if self.outcome.is_some() {
            Do::Return
        } else {
            Do::Read
        };
        self.doing
    }

    /// What came of it all; an error that is `None` is the stream's own.
    pub(crate) fn outcome(self) -> Result<(), Option<Fault>> {
        self.outcome.unwrap_or(Ok(()))
    }

    fn step(&mut self) {
        let Buffers { received, output } = &mut *self.buffers;
        let filled = received.filled().len();
        let mut input = received.filled();
        let turn = self.task.step(&mut input, output);
        let unread = input.len();
        received.keep(unread);
        if unread < filled {
            self.start_waiting();
        }
        match turn {
            Ok(Turn::Again) => {}
            Ok(Turn::Read) => self.wants_input = true,
            Ok(Turn::Write(n)) => self.say(n),
            Ok(Turn::Done) => self.outcome = Some(Ok(())),
            Err(fault) => self.fail(fault),
        }
    }

    /// The peer has all the time that is reasonable, or that the caller allows.
    fn start_waiting(&mut self) {
        self.budget.wait(self.task.wait().unwrap_or(WRITE_WAIT));
    }

    fn say(&mut self, n: usize) {
        (self.start, self.end) = (0, n.min(OUT));
        self.start_waiting();
    }

    fn fail(&mut self, fault: Fault) {
        let last = self.task.farewell(&mut self.buffers.output);
        (self.start, self.end) = (0, last.min(OUT));
        self.budget.start(Some(FAREWELL_WAIT));
        self.outcome = Some(Err(Some(fault)));
    }

    /// What is to be written.
    pub(crate) fn said(&self) -> &[u8] {
        self.buffers.output.get(self.start..self.end).unwrap_or_default()
    }

    /// Where to read.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        self.buffers.received.free_mut()
    }

    /// What was to be done is done: so many octets were written or read.
    #[inline(never)]
    pub(crate) fn told(&mut self, done: Result<usize, ErrorKind>) {
        match (self.doing, done) {
            (Do::Read, Err(_)) if self.budget.is_over() => {
                let error = self.task.timed_out();
                self.fail(error.into());
            }
            (Do::Read, Err(kind)) if is_end(kind) => self.ended(),
            (Do::Read, Ok(0)) => self.ended(),
            (Do::Read, Ok(n)) => {
                self.wants_input = false;
                self.buffers.received.received(n);
            }
            (Do::Write, Ok(n)) if n > 0 => {
                self.start = self.start.saturating_add(n).min(self.end);
                self.unflushed = true;
            }
            (Do::Flush, Ok(_)) => self.unflushed = false,
            (_, failed) => self.lost(failed.err()),
        }
    }

    /// The machine knows whether the peer may go away here.
    fn ended(&mut self) {
        match self.task.end_of_input() {
            Ok(()) => self.outcome = Some(Ok(())),
            Err(fault) => self.fail(fault),
        }
    }

    /// The stream failed, or takes nothing, and nothing can be said any more. What went wrong before
    /// counts.
    fn lost(&mut self, kind: Option<ErrorKind>) {
        (self.start, self.unflushed) = (self.end, false);
        if matches!(self.outcome, Some(Err(_))) {
            return;
        }
        self.outcome = Some(Err(match kind {
            Some(_) if self.budget.is_over() => Some(self.task.timed_out().into()),
            Some(kind) if !is_end(kind) => None,
            _ => Some(Rule::Closed.into()),
        }));
    }
}

/// Whether the peer just went away.
pub(crate) const fn is_end(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe
    )
}
