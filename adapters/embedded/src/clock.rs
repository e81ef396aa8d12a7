//! Limits on waiting for a socket.

use core::fmt;

use embedded_hal::delay::DelayNs;
use embedded_io::{ErrorKind, ErrorType, Read, ReadReady, Write, WriteReady};

use crate::Budget;
use crate::conceal::conceal;

/// The interval between two checks of an idle socket, in milliseconds.
const TICK: u32 = 1;

/// Waits for a socket and counts the time.
///
/// Every [`DelayNs`] implements it and checks the socket once a millisecond. [`Unbounded`] waits in the
/// socket, without a limit.
pub trait Clock<S: ErrorType> {
    /// Waits until a read does not block or no budget remains.
    ///
    /// # Errors
    /// Those of the socket.
    fn until_readable(&mut self, socket: &mut S, budget: &Budget) -> Result<(), S::Error>;

    /// Waits until a write does not block or no budget remains.
    ///
    /// # Errors
    /// Those of the socket.
    fn until_writable(&mut self, socket: &mut S, budget: &Budget) -> Result<(), S::Error>;
}

impl<D: DelayNs, S: ReadReady + WriteReady> Clock<S> for D {
    fn until_readable(&mut self, socket: &mut S, budget: &Budget) -> Result<(), S::Error> {
        while !budget.is_over() && !socket.read_ready()? {
            self.delay_ms(TICK);
            budget.spend(TICK);
        }
        Ok(())
    }

    fn until_writable(&mut self, socket: &mut S, budget: &Budget) -> Result<(), S::Error> {
        while !budget.is_over() && !socket.write_ready()? {
            self.delay_ms(TICK);
            budget.spend(TICK);
        }
        Ok(())
    }
}

/// No clock. A silent peer is waited for until the socket itself gives up.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Unbounded;

impl<S: ErrorType> Clock<S> for Unbounded {
    fn until_readable(&mut self, _: &mut S, _: &Budget) -> Result<(), S::Error> {
        Ok(())
    }

    fn until_writable(&mut self, _: &mut S, _: &Budget) -> Result<(), S::Error> {
        Ok(())
    }
}

/// A borrowed socket whose waits end with a [`Budget`]. TLS runs on it.
pub struct Timed<'t, S, C> {
    pub(crate) socket: &'t mut S,
    pub(crate) clock: &'t mut C,
    pub(crate) budget: &'t Budget,
}

conceal!("Timed", Timed<'_, S, C> [S, C]);

/// Why a [`Timed`] socket failed.
///
/// The enum is exhaustive: there is no fourth reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum TimedError<E> {
    /// The peer took too long: no time of the budget remains.
    TimedOut,
    /// The socket accepts no more bytes.
    Closed,
    /// The socket failed.
    Socket(E),
}

impl<E: fmt::Display> fmt::Display for TimedError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut => f.write_str("the peer took too long"),
            Self::Closed => f.write_str("the socket accepts no more bytes"),
            Self::Socket(error) => error.fmt(f),
        }
    }
}

// No source: the socket's error may borrow, and a source must be `'static`.
impl<E: fmt::Debug + fmt::Display> core::error::Error for TimedError<E> {}

impl<E: embedded_io::Error> embedded_io::Error for TimedError<E> {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::TimedOut => ErrorKind::TimedOut,
            Self::Closed => ErrorKind::BrokenPipe,
            Self::Socket(error) => error.kind(),
        }
    }
}

impl<S: ErrorType, C> ErrorType for Timed<'_, S, C> {
    type Error = TimedError<S::Error>;
}

/// Rejects a write of 0 bytes: `write_all` of embedded-io, which TLS libraries call, panics on it.
pub(crate) fn taken<E>(octets: &[u8], written: Result<usize, E>) -> Result<usize, TimedError<E>> {
    match written {
        Ok(0) if !octets.is_empty() => Err(TimedError::Closed),
        Ok(n) => Ok(n.min(octets.len())),
        Err(error) => Err(TimedError::Socket(error)),
    }
}

impl<S, C> Timed<'_, S, C> {
    /// Whether a millisecond was counted. An error if no budget remains.
    pub(crate) fn check<E>(&self) -> Result<bool, TimedError<E>> {
        let counts = self.budget.work();
        if self.budget.is_over() { Err(TimedError::TimedOut) } else { Ok(counts) }
    }
}

impl<S: Read, C: Clock<S>> Read for Timed<'_, S, C> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Self::Error> {
        self.clock.until_readable(self.socket, self.budget).map_err(TimedError::Socket)?;
        self.check()?;
        self.socket.read(buf).map(|n| n.min(buf.len())).map_err(TimedError::Socket)
    }
}

impl<S: Write, C: Clock<S>> Write for Timed<'_, S, C> {
    fn write(&mut self, buf: &[u8]) -> Result<usize, Self::Error> {
        self.clock.until_writable(self.socket, self.budget).map_err(TimedError::Socket)?;
        self.check()?;
        taken(buf, self.socket.write(buf))
    }

    fn flush(&mut self) -> Result<(), Self::Error> {
        self.socket.flush().map_err(TimedError::Socket)
    }
}
