use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::ops::DerefMut;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::{ConnectionCommon, SideData, StreamOwned};

use crate::socket::Socket as _;

/// How much is read from the network at a time: a TLS record and its frame.
const RECORD: usize = 16 * 1024 + 512;

#[derive(Debug)]
struct Shared<C> {
    connection: Mutex<C>,
    /// Whoever writes holds it from the encryption on, so that records leave in their order; nobody
    /// waits for the network with the connection in hand, so that reading never waits for writing.
    socket: Mutex<TcpStream>,
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

/// Splits a TLS stream, so that two threads can receive and send at the same time, with each
/// direction ending on its own. Neither half has a timeout.
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
    let shared = Arc::new(Shared { connection: Mutex::new(conn), socket: Mutex::new(sock) });
    let read = ReadHalf { shared: Arc::clone(&shared), socket, records: Vec::new(), unread: 0 };
    Ok((read, WriteHalf { shared }))
}

impl<C, D> Read for ReadHalf<C>
where
    C: DerefMut<Target = ConnectionCommon<D>>,
    D: SideData,
{
    /// 0 once the peer said that it sends no more; a peer that just went away is an
    /// [`UnexpectedEof`](ErrorKind::UnexpectedEof), for who knows what it still wanted to say.
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
            // An answer, to new keys for example, or an alert. Who is writing now takes it along.
            if answer && let Ok(mut socket) = self.shared.socket.try_lock() {
                let _ = self.shared.encrypted().and_then(|records| socket.write_all(&records));
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
        let mut socket = lock(&self.shared.socket);
        let taken = lock(&self.shared.connection).writer().write(octets)?;
        socket.write_all(&self.shared.encrypted()?)?;
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
    /// Says that nothing more comes, in TLS and in TCP; the other half goes on. By TLS 1.2 the peer
    /// drops what it still wanted to say (RFC 5246 §7.2.1).
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn finish(self) -> io::Result<()> {
        let mut socket = lock(&self.shared.socket);
        lock(&self.shared.connection).send_close_notify();
        socket.write_all(&self.shared.encrypted()?)?;
        socket.shutdown(Shutdown::Write)
    }
}

impl<C, D> Shared<C>
where
    C: DerefMut<Target = ConnectionCommon<D>>,
    D: SideData,
{
    /// What the connection has to send.
    fn encrypted(&self) -> io::Result<Vec<u8>> {
        let mut connection = lock(&self.connection);
        let mut records = Vec::new();
        while connection.wants_write() {
            connection.write_tls(&mut records)?;
        }
        Ok(records)
    }
}

/// A thread that panicked with the lock in hand did so between two calls, not within one.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
