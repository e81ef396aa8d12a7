//! What both loops have alike, and the loop of the blocking side.

use core::ops::ControlFlow;

use embedded_io::{Error as _, ErrorKind, Read, Write};
use starttls::driver::{Limits, Next};
use starttls::{Buffer, Driver, Error as Rule, Machine};

use crate::{Budget, Buffers, Error};

/// What a loop does next, and then tells.
#[derive(Debug)]
pub(crate) enum Do<B, F> {
    /// Write what is [`unsent`](Drive::unsent), or a part of it.
    Write,
    /// Flush.
    Flush,
    /// Read into [`room`](Drive::room).
    Read,
    /// Return it.
    Return(Result<B, Failed<F>>),
}

/// Why a loop ended.
#[derive(Debug)]
pub(crate) enum Failed<F> {
    Protocol(Rule),
    /// What an event led to.
    Event(F),
    /// The stream's own error.
    Stream,
}

/// Drives a machine, but for reading and writing.
pub(crate) struct Drive<'d, const IN: usize, const OUT: usize> {
    driver: &'d mut Driver<Buffer<IN>, Buffer<OUT>>,
    budget: &'d Budget,
    /// Something was written since the last flush.
    unflushed: bool,
    /// The stream failed by itself.
    broken: bool,
}

impl<'d, const IN: usize, const OUT: usize> Drive<'d, IN, OUT> {
    pub(crate) fn new(buffers: &'d mut Buffers<IN, OUT>, budget: &'d Budget) -> Self {
        buffers.driver.set_limits(Limits::default().with_wait(budget.most()));
        Self { driver: &mut buffers.driver, budget, unflushed: false, broken: false }
    }

    /// Runs a machine until `on_event` breaks.
    pub(crate) fn next<M: Machine, B, F>(
        &mut self,
        machine: &mut M,
        on_event: &mut impl FnMut(&mut M, M::Event<'_>) -> Result<ControlFlow<B>, F>,
    ) -> Do<B, F> {
        if self.unflushed && self.driver.unsent().is_empty() {
            return Do::Flush;
        }
        let failed = loop {
            match self.driver.next(machine, self.budget.now()) {
                Next::Write(_) => {
                    self.budget.until(self.driver.deadline());
                    return Do::Write;
                }
                Next::Read => {
                    self.budget.until(self.driver.deadline());
                    return Do::Read;
                }
                Next::Event { event, .. } => match on_event(machine, event) {
                    Ok(ControlFlow::Continue(())) => {}
                    Ok(ControlFlow::Break(value)) => return Do::Return(Ok(value)),
                    Err(fault) => return Do::Return(Err(Failed::Event(fault))),
                },
                Next::Ended => break Rule::Closed,
                // An embedded socket has no way to say that only its writing ends.
                Next::Shutdown => break self.driver.failed().unwrap_or(Rule::Closed),
                Next::Failed(_) if self.broken => return Do::Return(Err(Failed::Stream)),
                Next::Failed(error) => break error,
            }
        };
        Do::Return(Err(Failed::Protocol(failed)))
    }

    /// What is to be written.
    pub(crate) fn unsent(&self) -> &[u8] {
        self.driver.unsent()
    }

    /// Where to read.
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

    /// The stream failed. If it is for want of time, the driver knows.
    fn failed(&mut self, kind: ErrorKind) {
        self.unflushed = false;
        if !self.budget.is_over() {
            self.broken = self.driver.failed().is_none() && !is_end(kind);
            self.driver.lost();
        }
    }
}

/// Whether the peer just went away.
pub(crate) const fn is_end(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe
    )
}

impl<F> Failed<F> {
    /// The error that it is, on a stream that failed with `stream` if it did.
    pub(crate) fn into_error<S, T>(self, stream: Option<Error<S, T>>) -> Error<S, T>
    where
        Error<S, T>: From<F>,
    {
        match (self, stream) {
            (Self::Event(fault), _) => fault.into(),
            (Self::Stream, Some(error)) => error,
            (Self::Stream, None) => Error::Protocol(Rule::Closed),
            (Self::Protocol(error), _) => Error::Protocol(error),
        }
    }
}

/// Runs a machine until `on_event` breaks, on a stream whose errors `wrap` sorts.
pub(crate) fn run<M: Machine, R: Read + Write, S, T, B, F, const IN: usize, const OUT: usize>(
    machine: &mut M,
    buffers: &mut Buffers<IN, OUT>,
    budget: &Budget,
    stream: &mut R,
    wrap: impl FnOnce(R::Error) -> Error<S, T>,
    mut on_event: impl FnMut(&mut M, M::Event<'_>) -> Result<ControlFlow<B>, F>,
) -> Result<B, Error<S, T>>
where
    Error<S, T>: From<F>,
{
    let mut drive = Drive::new(buffers, budget);
    let mut failed = None;
    loop {
        let mut kind = |error: R::Error| failed.insert(error).kind();
        match drive.next(machine, &mut on_event) {
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
                return outcome.map_err(|fault| fault.into_error(failed.map(wrap)));
            }
        }
    }
}
