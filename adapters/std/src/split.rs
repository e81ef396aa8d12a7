use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::ops::DerefMut;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::{ConnectionCommon, SideData, StreamOwned};

use crate::socket::Socket as _;

/// How many bytes are read from the network at once: a TLS record with its header.
const RECORD: usize = 16 * 1024 + 512;

/// How long a reader waits for the network to accept an answer of TLS.
const AT_ONCE: Duration = Duration::from_millis(1);

#[derive(Debug)]
struct Shared<C> {
    connection: Mutex<C>,
    /// A writer holds this lock from the encryption on, so that records leave in order. No thread waits for
    /// the network while it holds the connection's lock, so reading never waits for writing.
    sender: Mutex<Sender>,
}

/// The bytes to the network, in order.
#[derive(Debug)]
struct Sender {
    socket: TcpStream,
    /// Encrypted bytes that the network has not accepted yet.
    unsent: Vec<u8>,
}

impl Sender {
    /// Sends the pending bytes, as long as the network accepts some in time.
    fn send(&mut self) -> io::Result<()> {
        while !self.unsent.is_empty() {
            match self.socket.write(&self.unsent) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(n) => drop(self.unsent.drain(..n)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Sends what the network accepts at once. The rest leaves with the next write.
    fn offer(&mut self) -> io::Result<()> {
        self.socket.set_write_timeout(Some(AT_ONCE))?;
        let sent = self.send();
        self.socket.set_write_timeout(None)?;
        sent
    }
}

/// The receiving half of a TLS stream, from [`split`].
#[derive(Debug)]
pub struct ReadHalf<C> {
    shared: Arc<Shared<C>>,
    socket: TcpStream,
    records: Vec<u8>,
    unread: usize,
}

/// The sending half of a TLS stream, from [`split`].
#[derive(Debug)]
pub struct WriteHalf<C> {
    shared: Arc<Shared<C>>,
}

/// Splits a TLS stream, so that two threads can receive and send at the same time.
///
/// Each direction ends separately. Neither half has a timeout.
///
/// # Errors
/// Those of the operating system.
pub fn split<C, D>(stream: StreamOwned<C, TcpStream>) -> io::Result<(ReadHalf<C>, WriteHalf<C>)>
where
    C: DerefMut<Target = ConnectionCommon<D>>,
    D: SideData,
{
    let StreamOwned { conn, sock } = stream;
    sock.set_read_timeout(None)?;
    sock.set_write_timeout(None)?;
    let socket = sock.try_clone()?;
    let sender = Mutex::new(Sender { socket: sock, unsent: Vec::new() });
    let shared = Arc::new(Shared { connection: Mutex::new(conn), sender });
    let read = ReadHalf { shared: Arc::clone(&shared), socket, records: Vec::new(), unread: 0 };
    Ok((read, WriteHalf { shared }))
}

impl<C, D> Read for ReadHalf<C>
where
    C: DerefMut<Target = ConnectionCommon<D>>,
    D: SideData,
{
    /// Returns 0 after close_notify. An end without it is an [`UnexpectedEof`](ErrorKind::UnexpectedEof),
    /// because an attacker may have truncated the stream.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match lock(&self.shared.connection).reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                other => return other,
            }
            if self.unread == self.records.len() {
                self.records.resize(RECORD, 0);
                self.unread = 0;
                self.socket.acknowledge();
                let received = self.socket.read(&mut self.records);
                self.records.truncate(*received.as_ref().unwrap_or(&0));
                received?;
            }
            let mut rest = &self.records[self.unread..];
            let mut connection = lock(&self.shared.connection);
            let outcome = connection.read_tls(&mut rest).and_then(|_| {
                connection
                    .process_new_packets()
                    .map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
            });
            self.unread = self.records.len() - rest.len();
            let answer = connection.wants_write();
            drop(connection);
            // TLS has an answer, for example an alert. If a writer holds the lock, it sends the answer too.
            if answer && let Ok(mut sender) = self.shared.sender.try_lock() {
                let _ = self.shared.encrypt(&mut sender).and_then(|()| sender.offer());
            }
            outcome?;
        }
    }
}

impl<C, D> Write for WriteHalf<C>
where
    C: DerefMut<Target = ConnectionCommon<D>>,
    D: SideData,
{
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let mut sender = lock(&self.shared.sender);
        let taken = lock(&self.shared.connection).writer().write(octets)?;
        self.shared.encrypt(&mut sender)?;
        sender.send()?;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<C, D> WriteHalf<C>
where
    C: DerefMut<Target = ConnectionCommon<D>>,
    D: SideData,
{
    /// Closes the sending side, in TLS and in TCP. The other half continues.
    ///
    /// A TLS 1.2 peer then discards what it still had to send (RFC 5246 §7.2.1).
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn finish(self) -> io::Result<()> {
        let mut sender = lock(&self.shared.sender);
        lock(&self.shared.connection).send_close_notify();
        self.shared.encrypt(&mut sender)?;
        sender.send()?;
        sender.socket.shutdown(Shutdown::Write)
    }
}

impl<C, D> Shared<C>
where
    C: DerefMut<Target = ConnectionCommon<D>>,
    D: SideData,
{
    /// Moves the connection's pending output to the sender.
    fn encrypt(&self, sender: &mut Sender) -> io::Result<()> {
        let mut connection = lock(&self.connection);
        while connection.wants_write() {
            connection.write_tls(&mut sender.unsent)?;
        }
        Ok(())
    }
}

/// Ignores poisoning: no panic happens while the state is inconsistent, since the lock covers whole calls.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
