use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::ops::DerefMut;
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustls::{ConnectionCommon, SideData, StreamOwned};

/// A blocking stream with timeouts.
pub trait Socket: Read + Write {
    /// Sets the options with which a dialogue is fast, such as `TCP_NODELAY`.
    ///
    /// # Errors
    /// Those of the operating system.
    fn prepare(&self) -> io::Result<()> {
        Ok(())
    }

    /// Reads from the system once, so that the caller can check the time however slowly bytes arrive.
    ///
    /// `None` means that the bytes contain no data for the caller yet: for example a part of a TLS record.
    ///
    /// # Errors
    /// Those of the operating system and of TLS.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>>;

    /// Writes to the system at most once, so that the caller can check the time however slowly the peer
    /// reads.
    ///
    /// `None` means that none of `octets` has left yet: only earlier TLS records have.
    ///
    /// # Errors
    /// Those of the operating system and of TLS.
    fn send(&mut self, octets: &[u8]) -> io::Result<Option<usize>> {
        self.write(octets).map(Some)
    }

    /// Flushes with one write to the system. Returns whether everything has left.
    ///
    /// # Errors
    /// Those of the operating system and of TLS.
    fn push(&mut self) -> io::Result<bool> {
        self.flush().map(|()| true)
    }

    /// Closes the sending side, with close_notify in TLS.
    ///
    /// # Errors
    /// Those of the operating system.
    fn finish(&mut self) -> io::Result<()>;

    /// Asks the operating system to acknowledge the next bytes at once, if it can.
    ///
    /// A server that uses Nagle's algorithm delays its reply until its earlier bytes are acknowledged, for
    /// example TLS session tickets. Linux would take 40 ms for that.
    fn acknowledge(&self) {}

    /// The timeouts of each read and each write. After every call of this crate the stream has its caller's
    /// again.
    ///
    /// # Errors
    /// Those of the operating system.
    fn timeouts(&self) -> io::Result<[Option<Duration>; 2]>;

    /// Sets the timeouts of each read and each write.
    ///
    /// # Errors
    /// Those of the operating system.
    fn set_timeouts(&mut self, timeouts: [Option<Duration>; 2]) -> io::Result<()>;

    /// Sets a deadline, for a TLS that reads and writes several times in one call.
    fn set_deadline(&mut self, until: Option<Instant>) {
        let _ = until;
    }
}

impl Socket for TcpStream {
    fn prepare(&self) -> io::Result<()> {
        self.set_nodelay(true)
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        self.read(buffer).map(Some)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }

    fn acknowledge(&self) {
        // Linux resets this option from time to time, so it is set before each read. A failure only costs
        // time.
        #[cfg(target_os = "linux")]
        let _ = std::os::linux::net::TcpStreamExt::set_quickack(self, true);
    }

    fn timeouts(&self) -> io::Result<[Option<Duration>; 2]> {
        Ok([self.read_timeout()?, self.write_timeout()?])
    }

    fn set_timeouts(&mut self, [read, write]: [Option<Duration>; 2]) -> io::Result<()> {
        self.set_read_timeout(read)?;
        self.set_write_timeout(write)
    }
}

#[cfg(unix)]
impl Socket for UnixStream {
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        self.read(buffer).map(Some)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }

    fn timeouts(&self) -> io::Result<[Option<Duration>; 2]> {
        Ok([self.read_timeout()?, self.write_timeout()?])
    }

    fn set_timeouts(&mut self, [read, write]: [Option<Duration>; 2]) -> io::Result<()> {
        self.set_read_timeout(read)?;
        self.set_write_timeout(write)
    }
}

/// Any blocking stream as a [`Socket`]: a pipe, a serial line, a stream of another library.
///
/// Such a stream has no timeouts that this crate can set, so a deadline is noticed only between two reads or writes: a
/// peer that is silent blocks the thread. If the stream has timeouts of its own, set them; a read that ends with
/// [`ErrorKind::WouldBlock`] or [`ErrorKind::TimedOut`] is repeated until the deadline. Its sending side is not closed
/// before it is dropped.
///
/// ```
/// use std::io::{Cursor, Read};
///
/// use starttls_std::{Socket, Untimed};
///
/// let mut stream = Untimed(Cursor::new(b"220 ready\r\n".to_vec()));
/// let mut buffer = [0; 64];
/// assert_eq!(stream.receive(&mut buffer)?, Some(11));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Untimed<S>(pub S);

impl<S: Read> Read for Untimed<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl<S: Write> Write for Untimed<S> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<S: Read + Write> Socket for Untimed<S> {
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        self.read(buffer).map(Some)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.flush()
    }

    fn timeouts(&self) -> io::Result<[Option<Duration>; 2]> {
        Ok([None; 2])
    }

    fn set_timeouts(&mut self, _: [Option<Duration>; 2]) -> io::Result<()> {
        Ok(())
    }
}

impl<C, S, D> Socket for StreamOwned<C, S>
where
    C: DerefMut<Target = ConnectionCommon<D>>,
    S: Socket,
    D: SideData,
{
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let mut plaintext = |conn: &mut C| match conn.reader().read(buffer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            other => other.map(Some),
        };
        if let Some(read) = plaintext(&mut self.conn)? {
            return Ok(Some(read));
        }
        self.conn.read_tls(&mut self.sock)?;
        self.conn
            .process_new_packets()
            .map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        plaintext(&mut self.conn)
    }

    fn send(&mut self, octets: &[u8]) -> io::Result<Option<usize>> {
        if self.conn.wants_write() {
            self.conn.write_tls(&mut self.sock)?;
            return Ok(None);
        }
        let taken = self.conn.writer().write(octets)?;
        // rustls has accepted the bytes in any case. The next call reports an error of this write.
        let _ = self.conn.write_tls(&mut self.sock);
        Ok(Some(taken))
    }

    fn push(&mut self) -> io::Result<bool> {
        if self.conn.wants_write() {
            self.conn.write_tls(&mut self.sock)?;
            return Ok(false);
        }
        self.sock.push()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.conn.send_close_notify();
        self.flush()?;
        self.sock.finish()
    }

    fn acknowledge(&self) {
        self.sock.acknowledge();
    }

    fn timeouts(&self) -> io::Result<[Option<Duration>; 2]> {
        self.sock.timeouts()
    }

    fn set_timeouts(&mut self, timeouts: [Option<Duration>; 2]) -> io::Result<()> {
        self.sock.set_timeouts(timeouts)
    }

    fn set_deadline(&mut self, until: Option<Instant>) {
        self.sock.set_deadline(until);
    }
}

pub(crate) fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
