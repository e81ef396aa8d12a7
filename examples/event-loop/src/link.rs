//! A socket, the machine behind it, and who talks through them.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::time::Instant;

use mio::net::TcpStream;
use starttls_rustls::{Connection, Engine, Error, Step};

pub(crate) type Failure = Box<dyn std::error::Error>;

/// One end of a dialogue.
pub(crate) trait End<E: Engine> {
    /// Runs the machines until they need the network, or (`Event`) somebody else.
    fn go_on(&mut self, connection: &mut Connection<E>) -> Result<Step<()>, Error>;
}

/// A link, whatever its role.
pub(crate) trait Peer {
    /// `false` when it is over; failures are reported.
    fn go_on(&mut self) -> bool;
    fn deadline(&self) -> Option<Instant>;
}

pub(crate) struct Link<E: Engine, T> {
    socket: TcpStream,
    connection: Connection<E>,
    end: T,
    since: (Instant, u64),
}

impl<E: Engine, T: End<E>> Link<E, T> {
    pub(crate) fn boxed(socket: TcpStream, (connection, end): (Connection<E>, T)) -> Box<Self> {
        Box::new(Self { socket, connection, end, since: (Instant::now(), 0) })
    }

    /// The poll tells only of changes: only a socket that would block, or somebody else's turn, may
    /// stop this before the end.
    fn run(&mut self) -> Result<bool, Failure> {
        loop {
            let step = match self.deadline() {
                Some(deadline) if deadline <= Instant::now() => Err(self.connection.timed_out()),
                _ => self.end.go_on(&mut self.connection),
            };
            if self.since.1 != self.connection.progress() {
                self.since = (Instant::now(), self.connection.progress());
            }
            // Also before a failure: there may be last words, TLS's alert for example.
            let flushed = self.flush()?;
            match step? {
                Step::Read if self.receive()? => {}
                Step::Write if flushed => {}
                Step::End => return Ok(!flushed),
                _ => return Ok(true),
            }
        }
    }

    /// `false` if nothing is there.
    fn receive(&mut self) -> io::Result<bool> {
        let received = unless_blocked(self.socket.read(self.connection.receive_buffer()))?;
        match received {
            None => {}
            Some(0) => self.connection.end_of_input(),
            Some(n) => self.connection.received(n),
        }
        Ok(received.is_some())
    }

    /// `false` if not everything could be sent.
    fn flush(&mut self) -> io::Result<bool> {
        while !self.connection.to_send().is_empty() {
            match unless_blocked(self.socket.write(self.connection.to_send()))? {
                None => return Ok(false),
                Some(n) => self.connection.sent(n),
            }
        }
        Ok(true)
    }
}

impl<E: Engine, T: End<E>> Peer for Link<E, T> {
    fn go_on(&mut self) -> bool {
        self.run().inspect_err(|e| eprintln!("a connection failed: {e}")).unwrap_or(false)
    }

    fn deadline(&self) -> Option<Instant> {
        self.connection.wait().map(|wait| self.since.0 + wait)
    }
}

/// `None` where a socket would have to wait.
pub(crate) fn unless_blocked<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        result => result.map(Some),
    }
}
