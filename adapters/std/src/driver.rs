use std::io::{self, ErrorKind};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use starttls::{Buffer, Machine, Step, Untrusted};

use crate::Error;
use crate::socket::{Socket, is_end, is_gone, is_timeout};
use crate::timeouts::{Deadlines, Timeouts};

/// The receive buffer, in octets; no machine needs more for a frame.
const BUFFER: usize = 16 * 1024;

/// How many octets make a write worth its system call: one TLS record.
const FULL: usize = 16 * 1024;

/// How long, and for how many reads, a peer is listened to that is being sent away.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_READS: usize = 64;

/// How long a write may take when the machine does not wait for anything.
const WRITE_WAIT: Duration = Duration::from_secs(5 * 60);

/// Somebody who watches a connection: a log, a ladder, a test. All methods do nothing by default.
pub trait Observer {
    /// These octets were sent.
    fn sent(&mut self, octets: &[u8]) {
        let _ = octets;
    }

    /// So many octets were sent that carry a credential.
    fn withheld(&mut self, octets: usize) {
        let _ = octets;
    }

    /// These octets were received and consumed: one line, or a piece of a message. On a server they
    /// are whatever clients say; inside TLS, or where the protocol goes on without, passwords included.
    fn received(&mut self, octets: &[u8]) {
        let _ = octets;
    }

    /// So many octets were received and consumed on the way to TLS that carry a credential, which a
    /// client should not have said there.
    fn credential(&mut self, octets: usize) {
        let _ = octets;
    }

    /// TLS is up, and `problem` says why the peer's certificate does not verify. What came before was
    /// plaintext, what follows is encrypted.
    fn secured(&mut self, tls: &rustls::CommonState, problem: Option<&rustls::Error>) {
        let _ = (tls, problem);
    }
}

/// Nobody watches.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {}

/// Drives machines over a blocking stream: reads when they need more, writes what they say.
///
/// It reads ahead only into the buffer that the machine looks at, and hands that buffer to the next
/// machine, so that nothing is lost between two machines in plaintext and nothing can slip across
/// the upgrade unseen.
pub struct Driver<'o, S> {
    stream: S,
    deadlines: Deadlines,
    timeout: Option<Duration>,
    buffer: Box<Buffer<BUFFER>>,
    output: Vec<u8>,
    pending: Vec<u8>,
    said: Vec<u8>,
    secret: bool,
    quotes: bool,
    observer: &'o mut dyn Observer,
}

impl<S> std::fmt::Debug for Driver<'_, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver").field("deadlines", &self.deadlines).finish_non_exhaustive()
    }
}

impl<'o, S: Socket> Driver<'o, S> {
    /// A driver for a fresh connection; the total time starts now.
    pub fn new(stream: S, timeouts: Timeouts, observer: &'o mut dyn Observer) -> Self {
        Self::starting(stream, Deadlines::start(timeouts), observer)
    }

    pub(crate) fn starting(
        stream: S,
        deadlines: Deadlines,
        observer: &'o mut dyn Observer,
    ) -> Self {
        Self {
            stream,
            deadlines,
            timeout: None,
            buffer: Box::default(),
            output: Vec::new(),
            pending: Vec::new(),
            said: Vec::new(),
            secret: false,
            quotes: true,
            observer,
        }
    }

    /// Received and not yet consumed.
    #[must_use]
    pub fn unread(&self) -> &[u8] {
        self.buffer.filled()
    }

    /// What watches, to tell it more.
    pub fn observer(&mut self) -> &mut dyn Observer {
        self.observer
    }

    #[must_use]
    pub(crate) const fn stream(&self) -> &S {
        &self.stream
    }

    /// Ends the driver; anything unread is lost.
    pub fn into_stream(self) -> S {
        self.stream
    }

    pub(crate) fn into_parts(self) -> (S, Deadlines, &'o mut dyn Observer) {
        (self.stream, self.deadlines, self.observer)
    }

    /// Errors will not say what the peer said: a client may have said its password.
    pub(crate) const fn never_quote(&mut self) {
        self.quotes = false;
    }

    /// Counts the total time from now on.
    pub(crate) fn restart_total(&mut self) {
        self.deadlines.restart();
    }

    /// From now on, whether what is sent carries a credential.
    pub(crate) const fn set_secret(&mut self, secret: bool) {
        self.secret = secret;
    }

    /// Runs a machine until `on_event` breaks; `None` if the peer ended the connection where the
    /// protocol lets it. What `on_event` puts into the vector is sent next.
    ///
    /// # Errors
    /// Those of the machine, of the stream and of `on_event`.
    pub fn run<M: Machine, T>(
        &mut self,
        machine: &mut M,
        on_event: impl FnMut(&mut M, M::Event<'_>, &mut Vec<u8>) -> Result<ControlFlow<T>, Error>,
    ) -> Result<Option<T>, Error> {
        self.run_discreetly(machine, |_| false, on_event)
    }

    /// The same, where an event tells whether its octets carry a credential.
    pub(crate) fn run_discreetly<M: Machine, T>(
        &mut self,
        machine: &mut M,
        is_secret: impl Fn(M::Event<'_>) -> bool,
        mut on_event: impl FnMut(&mut M, M::Event<'_>, &mut Vec<u8>) -> Result<ControlFlow<T>, Error>,
    ) -> Result<Option<T>, Error> {
        const { assert!(M::MAX_INPUT <= BUFFER) };
        if self.output.len() < M::MAX_OUTPUT {
            self.output.resize(M::MAX_OUTPUT, 0);
        }
        loop {
            let filled = self.buffer.filled();
            let mut input = filled;
            let step = machine.step(&mut input, &mut self.output);
            let unread = input.len();
            if unread < filled.len() {
                let consumed = &filled[..filled.len() - unread];
                self.said.clear();
                self.said.extend_from_slice(&consumed[..consumed.len().min(512)]);
                match step {
                    Ok(Step::Event(event))
                        if is_secret(event) && !consumed.trim_ascii().is_empty() =>
                    {
                        self.observer.credential(consumed.len());
                    }
                    _ => self.observer.received(consumed),
                }
            }
            let ended = match step {
                Ok(Step::Event(event)) => {
                    let flow = on_event(machine, event, &mut self.pending);
                    self.buffer.keep(unread);
                    match flow? {
                        ControlFlow::Break(value) => Some(Some(value)),
                        ControlFlow::Continue(()) => None,
                    }
                }
                Ok(Step::Write(n)) => {
                    self.buffer.keep(unread);
                    self.pending.extend_from_slice(&self.output[..n]);
                    None
                }
                Ok(Step::Read) => {
                    self.buffer.keep(unread);
                    // Whatever was said since the last octets came leaves in one write.
                    self.flush(machine.wait())?;
                    if self.receive(machine)? { None } else { Some(None) }
                }
                Err(error) => {
                    self.buffer.keep(unread);
                    let error = self.protocol(error);
                    // The machine's error counts, not that its last words did not arrive.
                    let _ = self.flush(None);
                    return Err(error);
                }
            };
            if let Some(value) = ended {
                self.flush(machine.wait())?;
                return Ok(value);
            }
            if self.pending.len() >= FULL {
                self.flush(machine.wait())?;
            }
        }
    }

    /// Sends octets that no machine asked for, such as the pieces of a message.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn send(&mut self, octets: &[u8]) -> Result<(), Error> {
        self.pending.extend_from_slice(octets);
        self.flush(None)
    }

    /// Says goodbye below the protocol: TLS's close_notify, TCP's FIN.
    ///
    /// # Errors
    /// Those of the stream; a peer that is gone already is none.
    pub fn close(mut self) -> Result<(), Error> {
        match self.stream.finish() {
            Err(error) if !is_gone(&error) => Err(Error::io("closing")(error)),
            _ => Ok(()),
        }
    }

    /// Says the last words to a peer whose mistake or silence ended the connection, and listens for
    /// a moment: closed with octets unread, TCP would take the words back. What goes wrong here does
    /// not count, the connection is lost anyway.
    pub(crate) fn part(mut self, last: &[u8]) {
        if last.is_empty() || self.send(last).is_err() || self.stream.finish().is_err() {
            return;
        }
        let end = Instant::now() + LINGER;
        let mut ignored = [0; 1024];
        for _ in 0..LINGER_READS {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || self.stream.set_timeout(left).is_err() {
                return;
            }
            if !matches!(self.stream.read(&mut ignored), Ok(1..)) {
                return;
            }
        }
    }

    /// Sends octets as soon as there are many or a machine has something to add, so that the end of a
    /// message leaves in one write with its last piece.
    pub(crate) fn send_soon(&mut self, octets: &[u8]) -> Result<(), Error> {
        self.pending.extend_from_slice(octets);
        if self.pending.len() < FULL { Ok(()) } else { self.flush(None) }
    }

    fn flush(&mut self, wait: Option<Duration>) -> Result<(), Error> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut sent = Ok(());
        for start in (0..self.pending.len()).step_by(FULL) {
            self.bound(wait.unwrap_or(WRITE_WAIT))?;
            let end = self.pending.len().min(start + FULL);
            sent =
                self.stream.write_all(&self.pending[start..end]).and_then(|()| self.stream.flush());
            if sent.is_err() {
                break;
            }
        }
        if self.secret {
            self.observer.withheld(self.pending.len());
        } else {
            self.observer.sent(&self.pending);
        }
        self.pending.clear();
        match sent {
            Err(error) if is_timeout(&error) => Err(self.protocol(starttls::Error::TimedOut)),
            other => other.map_err(Error::io("sending")),
        }
    }

    /// Receives more; `false` if the connection ended and may.
    fn receive<M: Machine>(&mut self, machine: &mut M) -> Result<bool, Error> {
        let Some(reasonable) = machine.wait() else {
            return Err(self.protocol(starttls::Error::OutOfOrder));
        };
        loop {
            if self.bound(reasonable).is_err() {
                return Err(self.protocol(machine.timed_out()));
            }
            let stream = &mut self.stream;
            stream.acknowledge();
            let mut ended = false;
            let received = self.buffer.fill(|free| {
                let received = stream.receive(free)?;
                ended = received == Some(0);
                io::Result::Ok(received.unwrap_or_default())
            });
            match received {
                Ok(0) if ended => break,
                Ok(0) => {}
                Ok(_) => return Ok(true),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_timeout(&error) => {
                    return Err(self.protocol(machine.timed_out()));
                }
                Err(error) if is_end(&error) => break,
                Err(error) => return Err(Error::io("receiving")(error)),
            }
        }
        machine.end_of_input().map_err(|error| self.protocol(error))?;
        Ok(false)
    }

    fn bound(&mut self, reasonable: Duration) -> Result<(), Error> {
        let Some(timeout) = self.deadlines.wait(reasonable) else {
            return Err(self.protocol(starttls::Error::TimedOut));
        };
        if self.timeout != Some(timeout) {
            self.stream.set_timeout(timeout).map_err(Error::io("setting a timeout"))?;
            self.timeout = Some(timeout);
        }
        Ok(())
    }

    fn protocol(&self, error: starttls::Error) -> Error {
        let said = if self.quotes { self.said.trim_ascii_end() } else { b"" };
        let said = Untrusted::new(said).to_string();
        Error::Protocol { error, said }
    }
}
