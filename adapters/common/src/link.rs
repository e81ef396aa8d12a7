use std::fmt;
use std::io;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use starttls::driver::{Limits, Next, WRITE_WAIT};
use starttls::{Driver, Error as Rule, Machine, Untrusted};

use crate::{Doing, Error, Growing, Observer, Timeouts};

/// How much of the last thing said an error can quote.
const QUOTE: usize = 512;

/// Longer than any connection lasts, and short enough for any clock.
const FOREVER: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// Drives the machines of a connection, but for reading and writing: a [`Driver`] with buffers that grow, the
/// timeouts of its caller, and an observer.
pub struct Link<'o> {
    driver: Driver<Growing>,
    timeouts: Timeouts,
    start: Instant,
    observer: Box<dyn Observer + Send + 'o>,
    /// The last thing that the peer said.
    said: Vec<u8>,
    quotes: bool,
    /// How many of the unsent bytes the observer knows of.
    told: usize,
    /// Something was written since the last flush.
    unflushed: bool,
}

/// What a loop does next.
#[derive(Debug)]
pub enum Turn<T> {
    /// Write what is [`unsent`](Link::unsent), or the front of it, until then; tell [`Link::sent`].
    Write(Instant),
    /// Flush the stream, until then; tell [`Link::flushed`].
    Flush(Instant),
    /// Receive until then; tell [`Link::received`] or [`Link::receive`].
    Read(Instant),
    /// Tell the peer that nothing more will be sent; an error of that is to be ignored.
    Shutdown,
    /// `on_event` broke, or without a value the peer ended the connection where the protocol lets it.
    Done(Option<T>),
}

impl<'o> Link<'o> {
    /// For a fresh connection; the total time starts now.
    pub fn new(timeouts: Timeouts, now: Instant, observer: impl Observer + Send + 'o) -> Self {
        let mut driver = Driver::new(Growing::default(), Growing::default());
        driver.set_limits(Limits::default().with_wait(timeouts.wait).with_end(timeouts.total));
        Self {
            driver,
            timeouts,
            start: now,
            observer: Box::new(observer),
            said: Vec::new(),
            quotes: true,
            told: 0,
            unflushed: false,
        }
    }

    /// Counts the total time from now on.
    pub fn restart_total(&mut self, now: Instant) {
        let now = self.since_start(now);
        let end = self.timeouts.total.map(|total| now.saturating_add(total));
        self.driver.set_limits(self.driver.limits().with_end(end));
    }

    /// By when a TCP connection to one address has to be there.
    #[must_use]
    pub fn connect_deadline(&mut self, now: Instant) -> Instant {
        self.deadline(self.timeouts.connect, now)
    }

    /// By when a TLS handshake that begins now has to be over.
    #[must_use]
    pub fn handshake_deadline(&mut self, now: Instant) -> Instant {
        self.deadline(self.timeouts.handshake, now)
    }

    /// By when a peer has to have read what is written now, where no machine has an opinion.
    #[must_use]
    pub fn write_deadline(&mut self, now: Instant) -> Instant {
        self.deadline(WRITE_WAIT, now)
    }

    fn deadline(&mut self, wait: Duration, now: Instant) -> Instant {
        let deadline = self.since_start(now).saturating_add(wait);
        let end = self.driver.limits().end();
        self.at(end.map_or(deadline, |end| end.min(deadline)))
    }

    fn since_start(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.start)
    }

    fn at(&self, since_start: Duration) -> Instant {
        self.start.checked_add(since_start.min(FOREVER)).unwrap_or(self.start)
    }

    /// Runs a machine until the loop has something to do. `is_credential` tells of an event whether its bytes
    /// carry a credential. What `on_event` puts into the vector is sent next.
    ///
    /// # Errors
    /// Those of the machine and of `on_event`.
    pub fn next<M: Machine, T>(
        &mut self,
        machine: &mut M,
        now: Instant,
        is_credential: impl Fn(M::Event<'_>) -> bool,
        on_event: &mut impl FnMut(&mut M, M::Event<'_>, &mut Vec<u8>) -> Result<ControlFlow<T>, Error>,
    ) -> Result<Turn<T>, Error> {
        let now = self.since_start(now);
        let mut said = Vec::new();
        loop {
            if self.unflushed && self.driver.unsent().is_empty() {
                return Ok(Turn::Flush(self.at(self.driver.deadline())));
            }
            let flow = match self.driver.next(machine, now) {
                Next::Event { event, frame } => {
                    if !frame.is_empty() {
                        if self.quotes {
                            self.said.clear();
                            self.said.extend_from_slice(&frame[..frame.len().min(QUOTE)]);
                        }
                        if is_credential(event) && !frame.trim_ascii().is_empty() {
                            self.observer.credential(frame.len());
                        } else {
                            self.observer.received(frame);
                        }
                    }
                    on_event(machine, event, &mut said)?
                }
                Next::Write(_) => {
                    self.tell_sent(machine.is_secret());
                    return Ok(Turn::Write(self.at(self.driver.deadline())));
                }
                Next::Read => return Ok(Turn::Read(self.at(self.driver.deadline()))),
                Next::Shutdown => return Ok(Turn::Shutdown),
                Next::Ended => return Ok(Turn::Done(None)),
                Next::Failed(error) => return Err(self.error(error)),
            };
            if !said.is_empty() {
                self.say(&said);
                said.clear();
            }
            if let ControlFlow::Break(value) = flow {
                return Ok(Turn::Done(Some(value)));
            }
        }
    }

    /// Until when what is unsent may be written without a machine; `None` when nothing is left to write or flush.
    pub fn flush(&mut self, now: Instant) -> Option<Turn<()>> {
        let now = self.since_start(now);
        if !self.driver.unsent().is_empty() {
            self.tell_sent(false);
            let deadline = self.driver.flush(now);
            return Some(Turn::Write(self.at(deadline)));
        }
        self.unflushed.then(|| Turn::Flush(self.at(self.driver.deadline())))
    }

    /// Appends to what is to be sent.
    pub fn say(&mut self, bytes: &[u8]) {
        let copied = self.driver.write_with(bytes.len(), |room| {
            room[..bytes.len()].copy_from_slice(bytes);
            Ok::<_, Rule>(bytes.len())
        });
        debug_assert_eq!(copied, Ok(bytes.len()));
    }

    /// Appends what `write` puts into the room that it is given, of at least `most` bytes.
    ///
    /// # Errors
    /// Those of `write`.
    pub fn write_with<E>(
        &mut self,
        most: usize,
        write: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        self.driver.write_with(most, write)
    }

    /// Whether so much is unsent that it is worth a write.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.driver.is_full()
    }

    /// What is to be sent.
    #[must_use]
    pub fn unsent(&self) -> &[u8] {
        self.driver.unsent()
    }

    /// The first `n` bytes of what is unsent were written; 0 means that the stream takes no more.
    pub fn sent(&mut self, n: usize) {
        self.unflushed = true;
        self.told = self.told.saturating_sub(n);
        self.driver.sent(n);
    }

    /// The stream was flushed.
    pub const fn flushed(&mut self) {
        self.unflushed = false;
    }

    /// Where to receive: room for at least `wanted` bytes.
    pub fn room(&mut self, wanted: usize) -> &mut [u8] {
        self.driver.room_for(wanted)
    }

    /// So many bytes were put into [`room`](Self::room); 0 is the end.
    pub fn received(&mut self, n: usize) {
        self.driver.received(n);
    }

    /// These bytes were received.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.driver.receive(bytes);
    }

    /// Received and not yet consumed.
    #[must_use]
    pub fn unread(&self) -> &[u8] {
        self.driver.unread()
    }

    /// What is unread was handed to TLS, and the connection goes on inside it.
    pub fn discard_unread(&mut self) {
        self.driver.discard_unread();
    }

    /// The stream failed while `doing`. What failed before counts; otherwise a peer that just went away is for
    /// the machine to judge, with the next [`next`](Self::next).
    ///
    /// # Errors
    /// The stream's own.
    pub fn failed(&mut self, doing: Doing, error: io::Error) -> Result<(), Error> {
        self.unflushed = false;
        match (self.driver.failed(), error.kind()) {
            (None, kind) if doing == Doing::Receiving && is_end(kind) => self.driver.received(0),
            (failed, _) => {
                self.driver.lost();
                if failed.is_none() {
                    return Err(Error::io(doing)(error));
                }
            }
        }
        Ok(())
    }

    /// Errors will not say what the peer said: a client may have said its password.
    pub const fn never_quote(&mut self) {
        self.quotes = false;
    }

    /// A machine's error, with the last thing that the peer said.
    #[must_use]
    pub fn error(&self, error: Rule) -> Error {
        Error::Protocol { error, said: Untrusted::new(self.said.trim_ascii_end()).to_string() }
    }

    /// What watches, to tell it more.
    pub fn observer(&mut self) -> &mut (dyn Observer + Send + 'o) {
        &mut *self.observer
    }

    fn tell_sent(&mut self, is_secret: bool) {
        let unsent = self.driver.unsent();
        match unsent.get(self.told..) {
            None | Some([]) => {}
            Some(new) if is_secret => self.observer.withheld(new.len()),
            Some(new) => self.observer.sent(new),
        }
        self.told = unsent.len();
    }
}

impl fmt::Debug for Link<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("timeouts", &self.timeouts).finish_non_exhaustive()
    }
}

/// Whether the peer just went away. Without TLS's own goodbye the end is an end all the same: the
/// machine knows whether it may be here.
fn is_end(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
    )
}
