//! The shared part of the blocking and the async loop, and the blocking loop.

use core::ops::ControlFlow;
use core::time::Duration;

use embedded_io::{Error as _, ErrorKind, Read, Write};
use starttls::driver::{Limits, Next};
use starttls::{Buffer, Driver, Error as Rule, Machine, Step};

use crate::{Budget, Buffers, Error};

/// The next action of a loop, which then reports its result.
#[derive(Debug)]
pub(crate) enum Do {
    /// Write the bytes of [`unsent`](Drive::unsent), or some of them.
    Write,
    /// Flush.
    Flush,
    /// Read into [`room`](Drive::room).
    Read,
    /// The task is complete, or the machine or the stream failed.
    Return(Result<(), Failed>),
}

/// Why a loop ended.
#[derive(Debug)]
pub(crate) enum Failed {
    Protocol(Rule),
    /// The stream failed.
    Stream,
}

/// A machine together with the reaction to its events; its only event is the end. As a trait object it needs
/// one driver in an image for all machines.
pub(crate) trait Task {
    /// An event tells whether the loop continues.
    fn step(&mut self, input: &mut &[u8], output: &mut [u8])
    -> Result<Step<ControlFlow<()>>, Rule>;
    fn end_of_input(&mut self) -> Result<(), Rule>;
    fn timed_out(&mut self) -> Rule;
    fn wait(&self) -> Option<Duration>;
    fn begins_wait(&self) -> bool;
    fn never_sent(&mut self, n: usize);
    fn needs_flush(&self) -> bool;
    fn farewell(&self, output: &mut [u8]) -> Result<usize, Rule>;
}

/// A machine, and a function that receives its events and decides whether the loop continues.
pub(crate) struct Told<'m, M, F> {
    pub(crate) machine: &'m mut M,
    pub(crate) on_event: F,
}

impl<M: Machine, F> Task for Told<'_, M, F>
where
    F: FnMut(&mut M, M::Event<'_>) -> Result<ControlFlow<()>, Rule>,
{
    fn step(
        &mut self,
        input: &mut &[u8],
        output: &mut [u8],
    ) -> Result<Step<ControlFlow<()>>, Rule> {
        Ok(match self.machine.step(input, output)? {
            Step::Read => Step::Read,
            Step::Write(n) => Step::Write(n),
            Step::Event(event) => Step::Event((self.on_event)(self.machine, event)?),
        })
    }

    fn end_of_input(&mut self) -> Result<(), Rule> {
        self.machine.end_of_input()
    }

    fn timed_out(&mut self) -> Rule {
        self.machine.timed_out()
    }

    fn wait(&self) -> Option<Duration> {
        self.machine.wait()
    }

    fn begins_wait(&self) -> bool {
        self.machine.begins_wait()
    }

    fn never_sent(&mut self, n: usize) {
        self.machine.never_sent(n);
    }

    fn needs_flush(&self) -> bool {
        self.machine.needs_flush()
    }

    fn farewell(&self, output: &mut [u8]) -> Result<usize, Rule> {
        self.machine.farewell(output)
    }
}

/// Any task.
struct Any<'t>(&'t mut dyn Task);

impl Machine for Any<'_> {
    type Event<'i> = ControlFlow<()>;

    // `run` checks the buffer size for each machine at compile time.
    const MAX_INPUT: usize = 0;
    const MAX_OUTPUT: usize = 0;

    fn step(
        &mut self,
        input: &mut &[u8],
        output: &mut [u8],
    ) -> Result<Step<ControlFlow<()>>, Rule> {
        self.0.step(input, output)
    }

    fn end_of_input(&mut self) -> Result<(), Rule> {
        self.0.end_of_input()
    }

    fn timed_out(&mut self) -> Rule {
        self.0.timed_out()
    }

    fn wait(&self) -> Option<Duration> {
        self.0.wait()
    }

    fn begins_wait(&self) -> bool {
        self.0.begins_wait()
    }

    fn never_sent(&mut self, n: usize) {
        self.0.never_sent(n);
    }

    fn needs_flush(&self) -> bool {
        self.0.needs_flush()
    }

    fn farewell(&self, output: &mut [u8]) -> Result<usize, Rule> {
        self.0.farewell(output)
    }
}

/// Fails to compile if a receive buffer of `IN` bytes is too small for the machine.
pub(crate) const fn check_size<M: Machine, const IN: usize>() {
    const { assert!(IN >= M::MAX_INPUT, "IN of Buffers is below Machine::MAX_INPUT") }
}

/// Drives a task; the loop reads and writes.
pub(crate) struct Drive<'d, const IN: usize, const OUT: usize> {
    task: Any<'d>,
    driver: &'d mut Driver<Buffer<IN>, Buffer<OUT>>,
    budget: &'d Budget,
    /// Whether bytes were written since the last flush.
    unflushed: bool,
    /// Whether the stream itself failed.
    broken: bool,
}

impl<'d, const IN: usize, const OUT: usize> Drive<'d, IN, OUT> {
    pub(crate) fn new(
        task: &'d mut dyn Task,
        buffers: &'d mut Buffers<IN, OUT>,
        budget: &'d Budget,
    ) -> Self {
        let driver = &mut buffers.driver;
        driver.set_limits(Limits::default().with_wait(budget.most()));
        Self { task: Any(task), driver, budget, unflushed: false, broken: false }
    }

    #[inline(never)]
    pub(crate) fn next(&mut self) -> Do {
        if self.unflushed && self.driver.unsent().is_empty() {
            return Do::Flush;
        }
        let failed = loop {
            break match self.driver.next(&mut self.task, self.budget.now()) {
                Next::Write(_) => {
                    self.budget.until(self.driver.deadline());
                    return Do::Write;
                }
                Next::Read => {
                    self.budget.until(self.driver.deadline());
                    return Do::Read;
                }
                Next::Event { event: ControlFlow::Continue(()), .. } => continue,
                Next::Event { event: ControlFlow::Break(()), .. } => return Do::Return(Ok(())),
                Next::Ended => Rule::Closed,
                // An embedded socket cannot close only its sending side, so the connection ends here.
                Next::Shutdown => self.driver.failed().unwrap_or(Rule::Closed),
                Next::Failed(_) if self.broken => return Do::Return(Err(Failed::Stream)),
                Next::Failed(error) => error,
            };
        };
        Do::Return(Err(Failed::Protocol(failed)))
    }

    /// The bytes to write.
    pub(crate) fn unsent(&self) -> &[u8] {
        self.driver.unsent()
    }

    /// The buffer to read into.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        self.driver.room()
    }

    pub(crate) fn written(&mut self, done: Result<usize, ErrorKind>) {
        match done {
            Ok(n) => {
                self.unflushed = true;
                self.driver.sent(n);
            }
            Err(kind) => self.failed(kind),
        }
    }

    pub(crate) fn flushed(&mut self, done: Result<(), ErrorKind>) {
        self.unflushed = false;
        if let Err(kind) = done {
            self.failed(kind);
        }
    }

    pub(crate) fn read(&mut self, done: Result<usize, ErrorKind>) {
        match done {
            Ok(n) => self.driver.received(n),
            Err(kind) if is_end(kind) => self.driver.received(0),
            Err(kind) => self.failed(kind),
        }
    }

    /// The stream failed. If the budget is used up, the driver reports the timeout.
    fn failed(&mut self, kind: ErrorKind) {
        self.unflushed = false;
        if !self.budget.is_over() {
            self.broken = self.driver.failed().is_none() && !is_end(kind);
            self.driver.lost();
        }
    }
}

/// Whether the error only means that the peer is gone.
pub(crate) const fn is_end(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe
    )
}

impl Failed {
    /// The error of the loop. `stream` is the stream's error, if it failed.
    pub(crate) fn into_error<S, T>(self, stream: Option<Error<S, T>>) -> Error<S, T> {
        match (self, stream) {
            (Self::Stream, Some(error)) => error,
            (Self::Stream, None) => Error::Protocol(Rule::Closed),
            (Self::Protocol(error), _) => Error::Protocol(error),
        }
    }
}

/// Runs a machine until `on_event` breaks, on a stream whose errors `wrap` converts.
#[inline(always)]
pub(crate) fn run<M: Machine, R: Read + Write, S, T, const IN: usize, const OUT: usize>(
    machine: &mut M,
    buffers: &mut Buffers<IN, OUT>,
    budget: &Budget,
    stream: &mut R,
    wrap: impl FnOnce(R::Error) -> Error<S, T>,
    on_event: impl FnMut(&mut M, M::Event<'_>) -> Result<ControlFlow<()>, Rule>,
) -> Result<(), Error<S, T>> {
    check_size::<M, IN>();
    run_on(&mut Told { machine, on_event }, buffers, budget, stream, wrap)
}

/// One instance for all tasks: an image contains it once for each kind of stream.
#[inline(never)]
fn run_on<R: Read + Write, S, T, const IN: usize, const OUT: usize>(
    task: &mut dyn Task,
    buffers: &mut Buffers<IN, OUT>,
    budget: &Budget,
    stream: &mut R,
    wrap: impl FnOnce(R::Error) -> Error<S, T>,
) -> Result<(), Error<S, T>> {
    let mut drive = Drive::new(task, buffers, budget);
    let mut failed = None;
    loop {
        let mut kind = |error: R::Error| failed.insert(error).kind();
        match drive.next() {
            Do::Write => {
                let written = stream.write(drive.unsent()).map_err(&mut kind);
                drive.written(written);
            }
            Do::Flush => drive.flushed(stream.flush().map_err(&mut kind)),
            Do::Read => {
                let read = stream.read(drive.room()).map_err(&mut kind);
                drive.read(read);
            }
            Do::Return(outcome) => {
                return outcome.map_err(|failure| failure.into_error(failed.map(wrap)));
            }
        }
    }
}
