use std::future::{Future, poll_fn};
use std::io;
use std::mem::MaybeUninit;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Poll, ready};
use std::time::Duration;

use starttls::{Error as Rule, Machine};
use starttls_std::shared::{Deadlines, Pump, Turn, is_end, is_gone};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::time::{Instant, timeout};

use crate::{Error, Observer, Timeouts};

/// How much is read at a time: one TLS record.
const ROOM: usize = 16 * 1024;

/// How long, and for how many reads, a peer is listened to that is being sent away.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_READS: usize = 64;

/// How long a write may take when the machine does not wait for anything.
const WRITE_WAIT: Duration = Duration::from_secs(5 * 60);

/// Drives machines over a stream: reads when they need more, writes what they say.
///
/// It reads ahead only into the buffer that the machine looks at, and hands that buffer to the next
/// machine, so that nothing is lost between two machines in plaintext and nothing can slip across
/// the upgrade unseen. While it waits it holds what is unread, and no other memory.
pub struct Driver<'o, S> {
    stream: S,
    deadlines: Deadlines,
    received: Vec<u8>,
    pump: Pump,
    /// How many octets of what is pending were sent.
    sent: usize,
    observer: &'o mut (dyn Observer + Send),
}

impl<S> std::fmt::Debug for Driver<'_, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver").field("deadlines", &self.deadlines).finish_non_exhaustive()
    }
}

impl<'o, S: AsyncRead + AsyncWrite + Unpin> Driver<'o, S> {
    /// A driver for a fresh connection; the total time starts now.
    pub fn new(stream: S, timeouts: Timeouts, observer: &'o mut (dyn Observer + Send)) -> Self {
        Self::starting(stream, Deadlines::start(timeouts, now()), observer)
    }

    pub(crate) fn starting(
        stream: S,
        deadlines: Deadlines,
        observer: &'o mut (dyn Observer + Send),
    ) -> Self {
        let (received, pump) = (Vec::new(), Pump::new());
        Self { stream, deadlines, received, pump, sent: 0, observer }
    }

    /// Received and not yet consumed.
    #[must_use]
    pub fn unread(&self) -> &[u8] {
        &self.received
    }

    /// What watches, to tell it more.
    pub fn observer(&mut self) -> &mut (dyn Observer + Send) {
        self.observer
    }

    pub(crate) const fn stream(&self) -> &S {
        &self.stream
    }

    /// Ends the driver; anything unread is lost.
    pub fn into_stream(self) -> S {
        self.stream
    }

    pub(crate) fn into_parts(self) -> (S, Deadlines, &'o mut (dyn Observer + Send)) {
        (self.stream, self.deadlines, self.observer)
    }

    /// Errors will not say what the peer said: a client may have said its password.
    pub(crate) const fn never_quote(&mut self) {
        self.pump.never_quote();
    }

    /// Counts the total time from now on.
    pub(crate) fn restart_total(&mut self) {
        self.deadlines.restart(now());
    }

    /// From now on, whether what is sent carries a credential.
    pub(crate) const fn set_secret(&mut self, secret: bool) {
        self.pump.set_secret(secret);
    }

    /// What is said next.
    pub(crate) fn say(&mut self, octets: &[u8]) {
        self.pump.say(octets);
    }

    /// Sends octets as soon as there are many or a machine has something to add, so that the end of a
    /// message leaves in one write with its last piece.
    pub(crate) async fn send_soon(&mut self, octets: &[u8]) -> Result<(), Error> {
        self.pump.say(octets);
        if self.pump.is_full() { self.flush().await } else { Ok(()) }
    }

    /// Runs a machine until `on_event` breaks; `None` if the peer ended the connection where the
    /// protocol lets it. What `on_event` puts into the vector is said next. When it breaks, what was
    /// said leaves with the next call of `run` or [`send`](Self::send), or by [`flush`](Self::flush).
    ///
    /// Cancel safe: nothing that was received or is to be sent gets lost, and the next call goes on
    /// where this one was, given the same machine.
    ///
    /// # Errors
    /// Those of the machine, of the stream and of `on_event`.
    pub async fn run<M: Machine, T>(
        &mut self,
        machine: &mut M,
        on_event: impl FnMut(&mut M, M::Event<'_>, &mut Vec<u8>) -> Result<ControlFlow<T>, Error>,
    ) -> Result<Option<T>, Error> {
        self.run_discreetly(machine, |_| false, on_event).await
    }

    /// The same, where an event tells whether its octets carry a credential.
    pub(crate) async fn run_discreetly<M: Machine, T>(
        &mut self,
        machine: &mut M,
        is_secret: impl Fn(M::Event<'_>) -> bool,
        mut on_event: impl FnMut(&mut M, M::Event<'_>, &mut Vec<u8>) -> Result<ControlFlow<T>, Error>,
    ) -> Result<Option<T>, Error> {
        loop {
            let mut input = self.received.as_slice();
            let turn = self.pump.run(machine, &mut input, self.observer, &is_secret, &mut on_event);
            let consumed = self.received.len() - input.len();
            self.received.drain(..consumed);
            match turn? {
                // Whatever was said since the last octets came leaves in one write.
                Turn::Receive => {
                    self.flush_within(machine.wait()).await?;
                    if !self.receive(machine).await? {
                        return Ok(None);
                    }
                }
                Turn::Send => self.flush_within(machine.wait()).await?,
                Turn::Done(value) => return Ok(Some(value)),
                Turn::Failed(error) => {
                    let error = self.pump.protocol(error);
                    // The machine's error counts, not that its last words did not arrive.
                    let _ = self.flush().await;
                    return Err(error);
                }
            }
        }
    }

    /// Sends octets that no machine asked for, such as the pieces of a message.
    ///
    /// Cancel safe: what was not sent is sent by the next call.
    ///
    /// # Errors
    /// Those of the stream.
    pub async fn send(&mut self, octets: &[u8]) -> Result<(), Error> {
        self.pump.say(octets);
        self.flush().await
    }

    /// Sends what was said.
    ///
    /// Cancel safe: what was not sent is sent by the next call.
    ///
    /// # Errors
    /// Those of the stream.
    pub async fn flush(&mut self) -> Result<(), Error> {
        self.flush_within(None).await
    }

    /// Says goodbye below the protocol: TLS's close_notify, TCP's FIN.
    ///
    /// # Errors
    /// Those of the stream; a peer that is gone already is none.
    pub async fn close(mut self) -> Result<(), Error> {
        match self.within(WRITE_WAIT, |stream| stream.shutdown()).await? {
            Err(error) if !is_gone(&error) => Err(Error::io("closing")(error)),
            _ => Ok(()),
        }
    }

    /// Says the last words to a peer whose mistake or silence ended the connection, and listens for
    /// a moment: closed with octets unread, TCP would take the words back. What goes wrong here does
    /// not count, the connection is lost anyway.
    pub(crate) async fn part(mut self, last: &[u8]) {
        if last.is_empty() {
            return;
        }
        // In its own time: that of the connection may be over.
        let _ = timeout(LINGER, async {
            self.stream.write_all(last).await?;
            self.observer.sent(last);
            self.stream.shutdown().await?;
            for _ in 0..LINGER_READS {
                self.received.clear();
                if self.more().await? == 0 {
                    break;
                }
            }
            io::Result::Ok(())
        })
        .await;
    }

    async fn flush_within(&mut self, wait: Option<Duration>) -> Result<(), Error> {
        if self.pump.pending().is_empty() {
            return Ok(());
        }
        let outcome = self.write_pending(wait.unwrap_or(WRITE_WAIT)).await;
        self.sent = 0;
        self.pump.sent(self.observer);
        outcome?.map_err(Error::io("sending"))
    }

    async fn write_pending(&mut self, wait: Duration) -> Result<io::Result<()>, Error> {
        while self.sent < self.pump.pending().len() {
            let Some(limit) = self.deadlines.wait(wait, now()) else {
                return Err(self.pump.protocol(Rule::TimedOut));
            };
            let rest = &self.pump.pending()[self.sent..];
            match timeout(limit, self.stream.write(rest)).await {
                Ok(Ok(0)) => return Ok(Err(io::ErrorKind::WriteZero.into())),
                Ok(Ok(n)) => self.sent += n,
                Ok(Err(error)) => return Ok(Err(error)),
                Err(_) => return Err(self.pump.protocol(Rule::TimedOut)),
            }
        }
        self.within(wait, |stream| stream.flush()).await
    }

    /// Receives more; `false` if the connection ended and may.
    async fn receive<M: Machine>(&mut self, machine: &mut M) -> Result<bool, Error> {
        let Some(reasonable) = machine.wait() else {
            return Err(self.pump.protocol(Rule::OutOfOrder));
        };
        if self.received.is_empty() {
            self.received = Vec::new();
        }
        let limit = self.deadlines.wait(reasonable, now()).unwrap_or_default();
        let received = match timeout(limit, self.more()).await {
            Ok(received) => received,
            Err(_) => return Err(self.pump.protocol(machine.timed_out())),
        };
        match received {
            Ok(1..) => return Ok(true),
            Err(error) if !is_end(&error) => return Err(Error::io("receiving")(error)),
            _ => {}
        }
        machine.end_of_input().map_err(|error| self.pump.protocol(error))?;
        Ok(false)
    }

    /// Appends what there is to what is unread; says how many octets, 0 at the end.
    fn more(&mut self) -> impl Future<Output = io::Result<usize>> {
        poll_fn(|cx| {
            // Only while there is something: ten thousand that wait have no buffer.
            let mut room = [MaybeUninit::uninit(); ROOM];
            let mut room = ReadBuf::uninit(&mut room);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut room))?;
            self.received.extend_from_slice(room.filled());
            Poll::Ready(Ok(room.filled().len()))
        })
    }

    async fn within<'s, F, T>(
        &'s mut self,
        wait: Duration,
        act: impl FnOnce(&'s mut S) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = T>,
    {
        let limit = self.deadlines.wait(wait, now()).unwrap_or_default();
        match timeout(limit, act(&mut self.stream)).await {
            Ok(outcome) => Ok(outcome),
            Err(_) => Err(self.pump.protocol(Rule::TimedOut)),
        }
    }
}

/// The runtime's time, which a test may move.
pub(crate) fn now() -> std::time::Instant {
    Instant::now().into_std()
}
