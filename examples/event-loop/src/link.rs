//! A connection's machine and the role that uses it, whatever moves its bytes.

use std::time::Instant;

use starttls_rustls::{Connection, Engine, Error, Step};

pub(crate) type Failure = Box<dyn std::error::Error>;

/// One side of a dialogue.
pub(crate) trait End<E: Engine> {
    /// Runs the machine until it needs the network, or (`Event`) another connection.
    fn go_on(&mut self, connection: &mut Connection<E>) -> Result<Step<()>, Error>;
}

/// What a connection needs to continue.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Need {
    /// Input.
    Read,
    /// That its output leaves.
    Write,
    /// Another connection's turn.
    Turn,
    /// Nothing: it is over once its output has left.
    End,
}

/// A link, whatever its role.
pub(crate) trait Peer {
    /// Runs the machine as far as it goes. Afterwards, and after a failure too, there may be output: a farewell, for
    /// example TLS's alert.
    fn go_on(&mut self, now: Instant) -> Result<Need, Failure>;
    fn receive_buffer(&mut self) -> &mut [u8];
    /// 0 is the end of the input.
    fn received(&mut self, n: usize);
    fn to_send(&self) -> &[u8];
    fn sent(&mut self, n: usize);
    /// The time until which the peer may take.
    fn deadline(&self) -> Option<Instant>;
}

pub(crate) struct Link<E: Engine, T> {
    connection: Connection<E>,
    end: T,
    since: (Instant, u64),
}

impl<E: Engine, T: End<E>> Link<E, T> {
    pub(crate) fn boxed((connection, end): (Connection<E>, T)) -> Box<Self> {
        Box::new(Self { connection, end, since: (Instant::now(), 0) })
    }
}

impl<E: Engine, T: End<E>> Peer for Link<E, T> {
    fn go_on(&mut self, now: Instant) -> Result<Need, Failure> {
        let step = match self.deadline() {
            Some(deadline) if deadline <= now => Err(self.connection.timed_out()),
            _ => self.end.go_on(&mut self.connection),
        };
        // A failure begins the wait for its farewell to leave.
        if step.is_err() || self.since.1 != self.connection.progress() {
            self.since = (now, self.connection.progress());
        }
        Ok(match step? {
            Step::Read => Need::Read,
            Step::Write => Need::Write,
            Step::Event(()) => Need::Turn,
            Step::End => Need::End,
        })
    }

    fn receive_buffer(&mut self) -> &mut [u8] {
        self.connection.receive_buffer()
    }

    fn received(&mut self, n: usize) {
        match n {
            0 => self.connection.end_of_input(),
            n => self.connection.received(n),
        }
    }

    fn to_send(&self) -> &[u8] {
        self.connection.to_send()
    }

    fn sent(&mut self, n: usize) {
        self.connection.sent(n);
    }

    fn deadline(&self) -> Option<Instant> {
        self.connection.wait().map(|wait| self.since.0 + wait)
    }
}
