use std::fmt;
use std::io;
use std::mem;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ServerConnection;
use starttls::driver::{Limits, Next, WRITE_WAIT};
use starttls::{Driver, Error as Rule, Machine};

use crate::said::Said;
use crate::{Doing, Error, Growing, Observer, PeerCertificate, PeerTls, Silent, Timeouts};

/// The size of the first buffer to receive into, in bytes. Most replies fit.
const RECEIVE: usize = 1024;

/// How long the client waits for the reply to its goodbye after the total time has elapsed.
const GOODBYE_WAIT: Duration = Duration::from_secs(2);

/// A stand-in for "no limit": longer than any connection lasts, and short enough for every clock's
/// arithmetic.
const FOREVER: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// Drives the machines of a connection; the caller reads and writes.
///
/// It is a [`Driver`] with growing buffers, the caller's timeouts and an observer.
pub struct Link<'o> {
    driver: Driver<Growing>,
    timeouts: Timeouts,
    start: Instant,
    observer: Box<dyn Observer + Send + 'o>,
    said: Said,
    quotes: bool,
    /// How many of the unsent bytes the observer has been shown.
    told: usize,
    /// The size of the next buffer to receive into, and that of the last one, in bytes.
    receive: usize,
    offered: usize,
    /// Whether bytes were written since the last flush.
    unflushed: bool,
    /// The deadline of the handshake, once it has started.
    handshake: Option<Instant>,
    /// On a server: the TLS with the client.
    tls: Option<Arc<PeerTls>>,
}

/// The next action of a loop.
#[derive(Debug)]
pub enum Turn<T> {
    /// Write the bytes of [`unsent`](Link::unsent), or the first of them, by this time. Then call
    /// [`Link::sent`].
    Write(Instant),
    /// Flush the stream by this time. Then call [`Link::flushed`].
    Flush(Instant),
    /// Receive by this time. Then call [`Link::received`] or [`Link::receive`].
    Read(Instant),
    /// Shut down the sending side. Ignore an error of it: the connection ends anyway.
    Shutdown,
    /// Stop: `on_event` returned this value. `None` means that the peer ended the connection where the
    /// protocol allows it.
    Done(Option<T>),
}

impl<'o> Link<'o> {
    /// A link for a new connection. The total time starts now.
    pub fn new(timeouts: Timeouts, now: Instant, observer: impl Observer + Send + 'o) -> Self {
        let mut driver = Driver::new(Growing::default(), Growing::default());
        driver.set_limits(Limits::default().with_wait(timeouts.wait).with_end(timeouts.total));
        Self {
            driver,
            timeouts,
            start: now,
            observer: Box::new(observer),
            said: Said::default(),
            quotes: true,
            told: 0,
            receive: RECEIVE,
            offered: 0,
            unflushed: false,
            handshake: None,
            tls: None,
        }
    }

    /// Keeps the memory of the buffers while the connection waits, instead of allocating it for each reply.
    /// For a runtime in which a connection has a thread of its own, before the first byte.
    pub fn keep_memory(&mut self) {
        let limits = self.driver.limits();
        self.driver = Driver::new(Growing::lasting(), Growing::lasting());
        self.driver.set_limits(limits);
    }

    /// Restarts the total time.
    pub fn restart_total(&mut self, now: Instant) {
        let now = self.since_start(now);
        let end = self.timeouts.total.map(|total| now.saturating_add(total));
        self.driver.set_limits(self.driver.limits().with_end(end));
    }

    /// Ends the total time after `wait`, unless it ends earlier.
    pub(crate) fn end_within(&mut self, wait: Duration, now: Instant) {
        let moment = self.since_start(now).saturating_add(wait);
        let end = self.driver.limits().end().map_or(moment, |end| end.min(moment));
        self.driver.set_limits(self.driver.limits().with_end(Some(end)));
    }

    /// Allows two more seconds for the goodbye if the total time has elapsed.
    pub(crate) fn say_goodbye(&mut self, now: Instant) {
        let moment = self.since_start(now).saturating_add(GOODBYE_WAIT);
        let end = self.driver.limits().end().map(|end| end.max(moment));
        self.driver.set_limits(self.driver.limits().with_end(end));
    }

    /// The deadline of a TCP connection to one address.
    #[must_use]
    pub fn connect_deadline(&mut self, now: Instant) -> Instant {
        self.deadline(self.timeouts.connect, now)
    }

    /// The deadline of the TLS handshake. The first call starts its time.
    #[must_use]
    pub fn handshake_deadline(&mut self, now: Instant) -> Instant {
        let deadline = self.deadline(self.timeouts.handshake, now);
        *self.handshake.get_or_insert(deadline)
    }

    /// The deadline of a write that no machine limits.
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

    /// Runs a machine until the loop has something to do.
    ///
    /// `is_credential` tells whether an event's bytes carry a credential. The bytes that `on_event` appends
    /// to the vector are sent next.
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
            // Before any wait: a stream may buffer, and the peer would wait for the buffered bytes.
            if self.unflushed && self.driver.unsent().is_empty() {
                return Ok(Turn::Flush(self.at(self.driver.deadline())));
            }
            let flow = match self.driver.next(machine, now) {
                Next::Event { event, frame } => {
                    if !frame.is_empty() {
                        if self.quotes {
                            self.said.hear(frame, machine.is_cut());
                            self.said.meaning =
                                machine.in_words(frame).map(|said| said.to_string());
                        }
                        // An empty line carries no credential.
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

    /// The next write or flush, without a machine. `None` if nothing is left.
    pub fn flush(&mut self, now: Instant) -> Option<Turn<()>> {
        let now = self.since_start(now);
        if !self.driver.unsent().is_empty() {
            self.tell_sent(false);
            let deadline = self.driver.flush(now);
            return Some(Turn::Write(self.at(deadline)));
        }
        self.unflushed.then(|| Turn::Flush(self.at(self.driver.deadline())))
    }

    /// Appends bytes to the output.
    pub fn say(&mut self, bytes: &[u8]) {
        let copied = self.driver.write_with(bytes.len(), |room| {
            room[..bytes.len()].copy_from_slice(bytes);
            Ok::<_, Rule>(bytes.len())
        });
        debug_assert_eq!(copied, Ok(bytes.len()));
    }

    /// Appends the bytes that `write` puts into its buffer, which has at least `most` bytes.
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

    /// Whether enough bytes are unsent to be worth a write.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.driver.is_full()
    }

    /// The bytes to send.
    #[must_use]
    pub fn unsent(&self) -> &[u8] {
        self.driver.unsent()
    }

    /// The first `n` unsent bytes were written. 0 means that the stream accepts no more.
    pub fn sent(&mut self, n: usize) {
        self.unflushed = true;
        self.told = self.told.saturating_sub(n);
        self.driver.sent(n);
    }

    /// Bytes were written that were never in the buffer.
    pub(crate) const fn passed(&mut self) {
        self.unflushed = true;
    }

    /// The stream was flushed.
    pub const fn flushed(&mut self) {
        self.unflushed = false;
    }

    /// A buffer to receive into, of at least one byte. It is small at first and has `most` bytes or more
    /// once each receive fills it.
    pub fn room(&mut self, most: usize) -> &mut [u8] {
        let room = self.driver.room_for(self.receive.min(most));
        self.offered = room.len();
        room
    }

    /// `n` bytes were received into [`room`](Self::room). 0 is the end of input.
    pub fn received(&mut self, n: usize) {
        let is_filled = n > 0 && n == self.offered;
        self.receive = if is_filled { self.receive.saturating_mul(4) } else { RECEIVE };
        self.driver.received(n);
    }

    /// Copies these received bytes into the buffer.
    pub fn receive(&mut self, bytes: &[u8]) {
        let received = self.driver.receive(bytes);
        debug_assert_eq!(received, bytes.len(), "growing storage has room");
    }

    /// The bytes that were received and not yet consumed.
    #[must_use]
    pub fn unread(&self) -> &[u8] {
        self.driver.unread()
    }

    /// Drops the unread bytes, because TLS has taken them and the connection continues inside it.
    pub fn discard_unread(&mut self) {
        self.driver.discard_unread();
    }

    /// The stream failed during `doing`. The next [`next`](Self::next) decides whether an end of the
    /// connection is allowed here.
    ///
    /// # Errors
    /// The stream's error, unless the peer is only gone. An earlier failure takes precedence.
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

    /// Keeps the peer's words out of errors: on a server they may contain a password.
    pub const fn never_quote(&mut self) {
        self.quotes = false;
    }

    /// Adds the peer's words to a machine's error: the unconsumed bytes, or else the last consumed frame.
    #[must_use]
    pub fn error(&self, error: Rule) -> Error {
        let said = match error {
            Rule::BareCr
            | Rule::BareLf
            | Rule::Nul
            | Rule::FrameTooLong
            | Rule::Unsolicited
            | Rule::PlaintextAfterGoAhead { .. }
                if self.quotes && !self.unread().is_empty() =>
            {
                let mut said = Said::default();
                let line = self.unread().split_inclusive(|octet| *octet == b'\n').next();
                said.hear(line.unwrap_or_default(), false);
                said.to_string()
            }
            // A peer of another protocol may have sent nothing that is a frame of this one.
            _ if self.quotes && self.said.is_empty() => {
                let mut said = Said::default();
                said.hear(self.unread(), false);
                said.to_string()
            }
            _ => self.said.to_string(),
        };
        Error::Protocol { error, said }
    }

    /// Takes the link, and leaves one that is not usable in its place.
    pub(crate) fn take(&mut self) -> Self {
        mem::replace(self, Self::new(self.timeouts, self.start, Silent))
    }

    /// Replaces the observer, and forgets what the peer said. Returns the old one.
    pub(crate) fn observed_by(
        &mut self,
        observer: Box<dyn Observer + Send + 'o>,
    ) -> Box<dyn Observer + Send + 'o> {
        self.said = Said::default();
        mem::replace(&mut self.observer, observer)
    }

    /// The observer.
    pub fn observer(&mut self) -> &mut (dyn Observer + Send + 'o) {
        &mut *self.observer
    }

    /// A server's handshake is complete: tells the observer and stores what is known about the client.
    pub fn accepted(&mut self, tls: &ServerConnection) {
        self.tls = Some(Arc::new(PeerTls::new(tls)));
        self.observer.secured(tls, None);
    }

    /// On a server: the agreed TLS, after the handshake.
    #[must_use]
    pub const fn tls(&self) -> Option<&Arc<PeerTls>> {
        self.tls.as_ref()
    }

    /// On a server: the client's certificate, if the configuration requests one.
    #[must_use]
    pub fn certificate(&self) -> Option<&PeerCertificate> {
        self.tls.as_ref().and_then(|tls| tls.certificate.as_ref())
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

/// Whether the error only means that the peer is gone. An end without close_notify counts too: the machine
/// accepts an end only where the protocol allows one, which stops a truncation attack.
fn is_end(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
    )
}
