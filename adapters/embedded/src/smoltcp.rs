//! A blocking TCP socket on [`smoltcp`].

use crate::conceal::conceal;
use core::fmt;

use embedded_io::{ErrorKind, ErrorType, Read, ReadReady, Write, WriteReady};
use smoltcp::iface::{Interface, SocketHandle, SocketSet};
use smoltcp::phy::Device;
use smoltcp::socket::tcp::{RecvError, Socket, State};
use smoltcp::time::Instant;
use smoltcp::wire::{IpEndpoint, IpListenEndpoint};

/// The time limit of a TCP handshake, in microseconds.
const CONNECT_WAIT: i64 = 30_000_000;

/// The time limit of closing a connection, in microseconds.
const CLOSE_WAIT: i64 = 2_000_000;

/// Why a socket failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Error {
    /// The socket is already in use, or the address cannot be reached from it.
    Unusable,
    /// The peer refused the connection or did not answer in time.
    Unreachable,
    /// The connection was reset.
    Reset,
}

impl embedded_io::Error for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Unusable => ErrorKind::InvalidInput,
            Self::Unreachable => ErrorKind::ConnectionRefused,
            Self::Reset => ErrorKind::ConnectionReset,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unusable => "the socket is in use, or the address is not usable",
            Self::Unreachable => "the peer refused the connection or did not answer",
            Self::Reset => "the connection was reset",
        })
    }
}

impl core::error::Error for Error {}

/// A TCP socket and its network stack. The stack runs only during calls that wait or ask for data.
///
/// `now` returns the current time.
pub struct TcpSocket<'s, 'n, D: ?Sized, N> {
    interface: &'s mut Interface,
    device: &'s mut D,
    sockets: &'s mut SocketSet<'n>,
    handle: SocketHandle,
    now: N,
}

impl<'s, 'n, D: Device + ?Sized, N: FnMut() -> Instant> TcpSocket<'s, 'n, D, N> {
    /// A TCP socket of the set. It turns off Nagle's algorithm and delayed acknowledgements.
    ///
    /// Otherwise a server that uses Nagle's algorithm delays its reply until its previous packet is
    /// acknowledged.
    ///
    /// # Panics
    /// If the handle does not belong to a TCP socket of the set, as in smoltcp.
    pub fn new(
        interface: &'s mut Interface,
        device: &'s mut D,
        sockets: &'s mut SocketSet<'n>,
        handle: SocketHandle,
        now: N,
    ) -> Self {
        let socket = sockets.get_mut::<Socket<'_>>(handle);
        socket.set_nagle_enabled(false);
        socket.set_ack_delay(None);
        Self { interface, device, sockets, handle, now }
    }

    /// Connects within 30 seconds.
    ///
    /// # Errors
    /// [`Error::Unusable`] and [`Error::Unreachable`]. [`Error::Unusable`], [`Error::Unreachable`].
    pub fn connect(
        &mut self,
        remote: impl Into<IpEndpoint>,
        local: impl Into<IpListenEndpoint>,
    ) -> Result<(), Error> {
        let socket = self.sockets.get_mut::<Socket<'_>>(self.handle);
        socket
            .connect(self.interface.context(), remote.into(), local)
            .map_err(|_| Error::Unusable)?;
        let connected = self.until_or(CONNECT_WAIT, |socket| match socket.state() {
            State::Closed => Some(false),
            _ => socket.may_send().then_some(true),
        });
        if connected == Some(true) {
            return Ok(());
        }
        self.abort();
        Err(Error::Unreachable)
    }

    /// Listens and waits for a client.
    ///
    /// A client that does not complete the TCP handshake within 30 seconds is dropped, and the next one is
    /// accepted.
    ///
    /// # Errors
    /// [`Error::Unusable`].
    pub fn accept(&mut self, local: impl Into<IpListenEndpoint>) -> Result<(), Error> {
        let local = local.into();
        loop {
            self.socket().listen(local).map_err(|_| Error::Unusable)?;
            self.until(|socket| (socket.state() != State::Listen).then_some(()));
            let accepted = self.until_or(CONNECT_WAIT, |socket| match socket.state() {
                State::SynReceived => None,
                // A client may close its sending side with the last packet of the TCP handshake.
                _ => Some(socket.may_send() || socket.can_recv()),
            });
            if accepted == Some(true) {
                return Ok(());
            }
            self.abort();
        }
    }

    /// Closes the sending side and waits until the peer acknowledges it, for at most 2 seconds.
    pub fn close(&mut self) {
        self.socket().close();
        self.until_or(CLOSE_WAIT, |socket| {
            let told = !matches!(socket.state(), State::FinWait1 | State::Closing | State::LastAck);
            told.then_some(())
        });
    }

    /// Resets the connection.
    pub fn abort(&mut self) {
        self.socket().abort();
        self.poll();
    }

    fn socket(&mut self) -> &mut Socket<'n> {
        self.sockets.get_mut(self.handle)
    }

    fn poll(&mut self) {
        self.interface.poll((self.now)(), self.device, self.sockets);
    }

    /// Runs the stack until `state` returns a value, or for this many microseconds.
    fn until_or<T>(
        &mut self,
        wait: i64,
        mut state: impl FnMut(&mut Socket<'n>) -> Option<T>,
    ) -> Option<T> {
        let end = (self.now)().total_micros().saturating_add(wait);
        loop {
            self.poll();
            let value = state(self.socket());
            if value.is_some() || (self.now)().total_micros() >= end {
                return value;
            }
        }
    }

    /// Runs the stack until `state` returns a value.
    fn until<T>(&mut self, mut state: impl FnMut(&mut Socket<'n>) -> Option<T>) -> T {
        loop {
            self.poll();
            if let Some(value) = state(self.socket()) {
                return value;
            }
        }
    }
}

conceal!("TcpSocket", TcpSocket<'_, '_, D, N> [D: ?Sized, N]);

impl<D: ?Sized, N> ErrorType for TcpSocket<'_, '_, D, N> {
    type Error = Error;
}

impl<D: Device + ?Sized, N: FnMut() -> Instant> Read for TcpSocket<'_, '_, D, N> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Error> {
        if buf.is_empty() {
            return Ok(0);
        }
        self.until(|socket| match socket.recv_slice(buf) {
            Ok(0) => None,
            Ok(n) => Some(Ok(n)),
            Err(RecvError::Finished) => Some(Ok(0)),
            Err(RecvError::InvalidState) => Some(Err(Error::Reset)),
        })
    }
}

impl<D: Device + ?Sized, N: FnMut() -> Instant> ReadReady for TcpSocket<'_, '_, D, N> {
    fn read_ready(&mut self) -> Result<bool, Error> {
        self.poll();
        let socket = self.socket();
        Ok(socket.can_recv() || !socket.may_recv())
    }
}

impl<D: Device + ?Sized, N: FnMut() -> Instant> Write for TcpSocket<'_, '_, D, N> {
    fn write(&mut self, buf: &[u8]) -> Result<usize, Error> {
        if buf.is_empty() {
            return Ok(0);
        }
        let written = self.until(|socket| match socket.send_slice(buf) {
            Ok(0) => None,
            Ok(n) => Some(Ok(n)),
            Err(_) => Some(Err(Error::Reset)),
        });
        self.poll();
        written
    }

    /// Gives the device all packets that it accepts now. The rest leaves during later waits.
    fn flush(&mut self) -> Result<(), Error> {
        self.poll();
        Ok(())
    }
}

impl<D: Device + ?Sized, N: FnMut() -> Instant> WriteReady for TcpSocket<'_, '_, D, N> {
    fn write_ready(&mut self) -> Result<bool, Error> {
        self.poll();
        let socket = self.socket();
        Ok(socket.can_send() || !socket.may_send())
    }
}
