//! A socket, its machine, and the role that uses them.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::time::Instant;

use mio::net::TcpStream;
use starttls_rustls::{Connection, Engine, Error, Step};

pub(crate) type Failure = Box<dyn std::error::Error>;

/// One side of a dialogue.
pub(crate) trait End<E: Engine> {
    /// Runs the machine until it needs the network, or (`Event`) another connection.
    fn go_on(&mut self, connection: &mut Connection<E>) -> Result<Step<()>, Error>;
}

/// A link, whatever its role.
pub(crate) trait Peer {
    /// Returns `false` when the connection is over; failures are reported.
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

    /// The poll reports only changes, so only a socket that would block, or another
    /// connection's turn, may stop this before the end.
    fn run(&mut self) -> Result<bool, Failure> {
        loop {
            let step = match self.deadline() {
                Some(deadline) if deadline <= Instant::now() => Err(self.connection.timed_out()),
                _ => self.end.go_on(&mut self.connection),
            };
            if self.since.1 != self.connection.progress() {
                self.since = (Instant::now(), self.connection.progress());
            }
            // Even before a failure: the output may contain a farewell, for example TLS's alert.
            let flushed = self.flush()?;
            match step? {
                Step::Read if self.receive()? => {}
                Step::Write if flushed => {}
                Step::End => return Ok(!flushed),
                _ => return Ok(true),
            }
        }
    }

    /// Returns `false` if no input is available.
    fn receive(&mut self) -> io::Result<bool> {
        let received = unless_blocked(self.socket.read(self.connection.receive_buffer()))?;
        match received {
            None => {}
            Some(0) => self.connection.end_of_input(),
            Some(n) => self.connection.received(n),
        }
        Ok(received.is_some())
    }

    /// Returns `false` if not everything could be sent.
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

/// `None` if the socket would block.
pub(crate) fn unless_blocked<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        result => result.map(Some),
    }
}
