//! A connection that reads ahead, and is switched to TLS.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustls::Connection;

/// A socket, its TLS, and what was read ahead.
#[derive(Debug)]
pub struct Channel {
    /// The socket.
    pub socket: TcpStream,
    tls: Option<Connection>,
    /// What was received and not yet read.
    pub ahead: Vec<u8>,
    patience: Option<Duration>,
    /// Whether each read of a line gains time.
    pub patient_with_lines: bool,
    /// Whether each read of a handshake gains time.
    pub patient_with_hellos: bool,
}

impl Channel {
    /// Begins in plaintext. No line and no handshake takes longer than `patience`, if there is one.
    ///
    /// # Errors
    /// The socket takes no options.
    pub fn new(socket: TcpStream, patience: Option<Duration>) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        socket.set_read_timeout(patience)?;
        Ok(Self {
            socket,
            tls: None,
            ahead: Vec::new(),
            patience,
            patient_with_lines: false,
            patient_with_hellos: false,
        })
    }

    /// The end of what begins now, unless each read gains time.
    fn end(&self, is_patient: bool) -> Option<Instant> {
        self.patience.filter(|_| !is_patient).map(|patience| Instant::now() + patience)
    }

    /// The next read takes only the time that is left.
    fn hurry(&self, end: Option<Instant>) -> io::Result<()> {
        let left = end.map(|end| end.saturating_duration_since(Instant::now()));
        if left == Some(Duration::ZERO) {
            return Err(ErrorKind::TimedOut.into());
        }
        self.socket.set_read_timeout(left.or(self.patience))
    }

    /// Whether TLS is active.
    #[must_use]
    pub const fn is_secured(&self) -> bool {
        self.tls.is_some()
    }

    /// Reads more into `ahead`.
    ///
    /// # Errors
    /// The connection fails or ends.
    pub fn fill(&mut self) -> io::Result<()> {
        let mut room = [0; 4096];
        loop {
            let n = match &mut self.tls {
                None => self.socket.read(&mut room)?,
                Some(tls) => match tls.reader().read(&mut room) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        if tls.read_tls(&mut self.socket)? == 0 {
                            return Err(ErrorKind::UnexpectedEof.into());
                        }
                        tls.process_new_packets().map_err(io::Error::other)?;
                        continue;
                    }
                    read => read?,
                },
            };
            if n == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            self.ahead.extend_from_slice(&room[..n]);
            return Ok(());
        }
    }

    /// The next line, with its end, which is LF after CR, or LF alone if `bare`.
    ///
    /// # Errors
    /// The connection fails or ends, or the line is longer than `most` bytes.
    pub fn line(&mut self, bare: bool, most: usize) -> io::Result<Vec<u8>> {
        let end = self.end(self.patient_with_lines);
        loop {
            let ends = |at: &usize| {
                self.ahead[*at] == b'\n' && (bare || *at > 0 && self.ahead[*at - 1] == b'\r')
            };
            if let Some(at) = (0..self.ahead.len()).find(ends) {
                return Ok(self.ahead.drain(..=at).collect());
            }
            if self.ahead.len() > most {
                return Err(ErrorKind::InvalidData.into());
            }
            self.hurry(end)?;
            self.fill()?;
        }
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// The connection fails.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.tls {
            None => self.socket.write_all(bytes),
            Some(tls) => {
                tls.writer().write_all(bytes)?;
                while tls.wants_write() {
                    tls.write_tls(&mut self.socket)?;
                }
                Ok(())
            }
        }
    }

    /// Switches to TLS. What was read ahead stays where it is, for better or worse.
    ///
    /// # Errors
    /// The handshake fails.
    pub fn secure(&mut self, mut tls: Connection) -> io::Result<()> {
        let shaken = self.shake(&mut tls);
        if shaken.is_err() {
            // The alert.
            while tls.wants_write() && tls.write_tls(&mut self.socket).is_ok() {}
        }
        shaken?;
        self.tls = Some(tls);
        self.socket.set_read_timeout(self.patience)
    }

    fn shake(&mut self, tls: &mut Connection) -> io::Result<()> {
        let end = self.end(self.patient_with_hellos);
        while tls.is_handshaking() || tls.wants_write() {
            if tls.wants_write() {
                tls.write_tls(&mut self.socket)?;
                continue;
            }
            self.hurry(end)?;
            if tls.read_tls(&mut self.socket)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            tls.process_new_packets().map_err(io::Error::other)?;
        }
        Ok(())
    }

    /// What comes within this time is put aside.
    ///
    /// # Errors
    /// The socket takes no options.
    pub fn linger(&mut self, time: Duration) -> io::Result<()> {
        let patience = self.socket.read_timeout()?;
        self.socket.set_read_timeout(Some(time))?;
        while self.fill().is_ok() {}
        self.socket.set_read_timeout(patience)
    }

    /// The first byte that comes next, which stays unread.
    ///
    /// # Errors
    /// The connection fails.
    pub fn peek(&self, room: &mut [u8]) -> io::Result<usize> {
        self.socket.peek(room)
    }

    /// Ends TLS properly.
    pub fn close(mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            while tls.wants_write() && tls.write_tls(&mut self.socket).is_ok() {}
        }
    }
}
