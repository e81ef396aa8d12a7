use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::ops::DerefMut;
use std::time::Duration;

use rustls::{ConnectionCommon, SideData, StreamOwned};

/// A blocking stream whose waiting can be bounded.
pub trait Socket: Read + Write {
    /// Reads from the system once; `None` if what came is nothing for us yet, a part of a TLS record
    /// for example. So that whoever waits can look at the clock, however slowly octets come.
    ///
    /// # Errors
    /// Those of the operating system and of TLS.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>>;

    /// Says that nothing more will be written; TLS tells the peer so.
    ///
    /// # Errors
    /// Those of the operating system.
    fn finish(&mut self) -> io::Result<()>;

    /// Tells the operating system to acknowledge at once what comes next, where it can. A server that
    /// leaves Nagle's algorithm on keeps its reply until we have acknowledged what it said before,
    /// TLS session tickets for example, and we would take 40 ms for that on Linux.
    fn acknowledge(&self) {}

    /// Bounds each read and write from now on.
    ///
    /// # Errors
    /// Those of the operating system.
    fn set_timeout(&mut self, timeout: Duration) -> io::Result<()>;
}

impl Socket for TcpStream {
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        self.read(buffer).map(Some)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }

    fn acknowledge(&self) {
        // The system forgets it now and then, and a failure costs time only.
        #[cfg(target_os = "linux")]
        let _ = std::os::linux::net::TcpStreamExt::set_quickack(self, true);
    }

    fn set_timeout(&mut self, timeout: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(timeout))?;
        self.set_write_timeout(Some(timeout))
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

    fn finish(&mut self) -> io::Result<()> {
        self.conn.send_close_notify();
        self.flush()?;
        self.sock.finish()
    }

    fn acknowledge(&self) {
        self.sock.acknowledge();
    }

    fn set_timeout(&mut self, timeout: Duration) -> io::Result<()> {
        self.sock.set_timeout(timeout)
    }
}

pub(crate) fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
