use std::io::{self, ErrorKind};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use starttls::{Buffer, Machine};

use crate::Error;
use crate::observer::Observer;
use crate::pump::{FULL, Pump, Turn};
use crate::socket::{Socket, is_end, is_gone, is_timeout};
use crate::timeouts::{Deadlines, Timeouts};

/// The receive buffer, in octets; no machine needs more for a frame.
const BUFFER: usize = 16 * 1024;

/// How long, and for how many reads, a peer is listened to that is being sent away.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_READS: usize = 64;

/// How long a write may take when the machine does not wait for anything.
const WRITE_WAIT: Duration = Duration::from_secs(5 * 60);

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
    pump: Pump,
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
        Self::starting(stream, Deadlines::start(timeouts, Instant::now()), observer)
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
            pump: Pump::new(),
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
        self.pump.never_quote();
    }

    /// Counts the total time from now on.
    pub(crate) fn restart_total(&mut self) {
        self.deadlines.restart(Instant::now());
    }

    /// From now on, whether what is sent carries a credential.
    pub(crate) const fn set_secret(&mut self, secret: bool) {
        self.pump.set_secret(secret);
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
        loop {
            let mut input = self.buffer.filled();
            let turn = self.pump.run(machine, &mut input, self.observer, &is_secret, &mut on_event);
            let unread = input.len();
            self.buffer.keep(unread);
            match turn? {
                // Whatever was said since the last octets came leaves in one write.
                Turn::Receive => {
                    self.flush(machine.wait())?;
                    if !self.receive(machine)? {
                        return Ok(None);
                    }
                }
                Turn::Send => self.flush(machine.wait())?,
                Turn::Done(value) => {
                    self.flush(machine.wait())?;
                    return Ok(Some(value));
                }
                Turn::Failed(error) => {
                    let error = self.pump.protocol(error);
                    // The machine's error counts, not that its last words did not arrive.
                    let _ = self.flush(None);
                    return Err(error);
                }
            }
        }
    }

    /// Sends octets that no machine asked for, such as the pieces of a message.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn send(&mut self, octets: &[u8]) -> Result<(), Error> {
        self.pump.say(octets);
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
        self.pump.say(octets);
        if self.pump.is_full() { self.flush(None) } else { Ok(()) }
    }

    fn flush(&mut self, wait: Option<Duration>) -> Result<(), Error> {
        let mut sent = Ok(());
        let mut start = 0;
        while start < self.pump.pending().len() && sent.is_ok() {
            self.bound(wait.unwrap_or(WRITE_WAIT))?;
            let rest = &self.pump.pending()[start..];
            let piece = &rest[..rest.len().min(FULL)];
            start += piece.len();
            sent = self.stream.write_all(piece).and_then(|()| self.stream.flush());
        }
        self.pump.sent(self.observer);
        match sent {
            Err(error) if is_timeout(&error) => Err(self.pump.protocol(starttls::Error::TimedOut)),
            other => other.map_err(Error::io("sending")),
        }
    }

    /// Receives more; `false` if the connection ended and may.
    fn receive<M: Machine>(&mut self, machine: &mut M) -> Result<bool, Error> {
        let Some(reasonable) = machine.wait() else {
            return Err(self.pump.protocol(starttls::Error::OutOfOrder));
        };
        loop {
            if self.bound(reasonable).is_err() {
                return Err(self.pump.protocol(machine.timed_out()));
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
                    return Err(self.pump.protocol(machine.timed_out()));
                }
                Err(error) if is_end(&error) => break,
                Err(error) => return Err(Error::io("receiving")(error)),
            }
        }
        machine.end_of_input().map_err(|error| self.pump.protocol(error))?;
        Ok(false)
    }

    fn bound(&mut self, reasonable: Duration) -> Result<(), Error> {
        let Some(timeout) = self.deadlines.wait(reasonable, Instant::now()) else {
            return Err(self.pump.protocol(starttls::Error::TimedOut));
        };
        if self.timeout != Some(timeout) {
            self.stream.set_timeout(timeout).map_err(Error::io("setting a timeout"))?;
            self.timeout = Some(timeout);
        }
        Ok(())
    }
}
