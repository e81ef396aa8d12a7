//! A connection, with everything that passes on it kept.

use std::fmt;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};

use crate::exchange::{Exchange, Mark};

/// Why a connection does not go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The peer closed it.
    Closed,
    /// The peer did not send, or take, anything for so long.
    Silent(Duration),
    /// TLS failed.
    Tls(String),
    /// The system reports an error.
    System(String),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the peer closed the connection"),
            Self::Silent(time) => write!(f, "the peer was silent for {} s", time.as_secs_f32()),
            Self::Tls(why) => write!(f, "TLS failed: {why}"),
            Self::System(why) => f.write_str(why),
        }
    }
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
            | ErrorKind::NotConnected
            | ErrorKind::UnexpectedEof => Self::Closed,
            _ => Self::System(error.to_string()),
        }
    }
}

impl From<rustls::Error> for Broken {
    fn from(error: rustls::Error) -> Self {
        Self::Tls(error.to_string())
    }
}

/// Where the record of a connection is kept, beyond the connection itself.
pub(crate) type Kept = Arc<Mutex<Exchange>>;

/// The largest answer that is read, in bytes. Longer ones are cut, so that a peer cannot fill the memory.
const MOST: usize = 1 << 20;

/// The time for each write.
const SENDING: Duration = Duration::from_secs(10);

/// A connection of which we are one side.
pub(crate) struct Link {
    socket: TcpStream,
    tls: Option<Connection>,
    /// Received and not yet taken; inside TLS: decrypted.
    unread: Vec<u8>,
    /// What the peer said before TLS and was taken.
    said: Vec<u8>,
    kept: Kept,
    us: Mark,
    ended: bool,
}

impl Link {
    /// Connects as a client.
    pub(crate) fn connect(address: SocketAddr, patience: Duration) -> Result<Self, Broken> {
        let socket = TcpStream::connect_timeout(&address, patience)?;
        Self::new(socket, Mark::Client)
    }

    /// Takes a client's connection.
    pub(crate) fn accepted(socket: TcpStream) -> Result<Self, Broken> {
        Self::new(socket, Mark::Server)
    }

    fn new(socket: TcpStream, us: Mark) -> Result<Self, Broken> {
        // Each write is a segment of its own: what is sent together decides some cases.
        socket.set_nodelay(true)?;
        socket.set_write_timeout(Some(SENDING))?;
        let (kept, unread, said) = (Kept::default(), Vec::new(), Vec::new());
        Ok(Self { socket, tls: None, unread, said, kept, us, ended: false })
    }

    /// The record, which outlives the connection.
    pub(crate) fn kept(&self) -> Kept {
        Arc::clone(&self.kept)
    }

    /// Whether TLS is up.
    pub(crate) const fn inside(&self) -> bool {
        self.tls.is_some()
    }

    /// What was received and not yet taken.
    pub(crate) fn unread(&self) -> &[u8] {
        &self.unread
    }

    /// Takes the next bytes of what was received.
    pub(crate) fn take(&mut self, length: usize) -> Vec<u8> {
        let taken: Vec<u8> = self.unread.drain(..length.min(self.unread.len())).collect();
        if self.tls.is_none() {
            self.said.extend_from_slice(&taken);
        }
        taken
    }

    /// All that the peer said before TLS, as far as it was taken.
    pub(crate) fn said(&self) -> &[u8] {
        &self.said
    }

    fn note(&self, mark: Mark, bytes: &[u8]) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push(mark, self.tls.is_some(), bytes);
    }

    /// Notes how the connection ended, once.
    fn end(&mut self, how: &str) {
        if !std::mem::replace(&mut self.ended, true) {
            self.note(Mark::End, how.as_bytes());
        }
    }

    const fn them(&self) -> Mark {
        match self.us {
            Mark::Client => Mark::Server,
            _ => Mark::Client,
        }
    }

    /// Sends bytes, encrypted if TLS is up.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        self.note(self.us, bytes);
        let sent = self.put(bytes);
        sent.inspect_err(|why| self.end(&why.to_string()))
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        match &mut self.tls {
            None => self.socket.write_all(bytes)?,
            Some(tls) => {
                tls.writer().write_all(bytes)?;
                while tls.wants_write() {
                    tls.write_tls(&mut self.socket)?;
                }
            }
        }
        Ok(())
    }

    /// Sends bytes that are no plaintext of the protocol, such as a ClientHello of our own making.
    pub(crate) fn send_raw(&mut self, bytes: &[u8], what: &str) -> Result<(), Broken> {
        self.note(self.us, format!("({what}, {} bytes)", bytes.len()).as_bytes());
        self.socket.write_all(bytes).map_err(Broken::from)
    }

    /// Waits until `whole` says how many of the received bytes it takes, and takes them. It gets what was taken before TLS,
    /// and what is unread.
    pub(crate) fn hear(
        &mut self,
        patience: Duration,
        whole: impl Fn(&[u8], &[u8]) -> Option<usize>,
    ) -> Result<Vec<u8>, Broken> {
        let until = Instant::now() + patience;
        loop {
            if let Some(length) = whole(&self.said, &self.unread) {
                return Ok(self.take(length));
            }
            if self.unread.len() >= MOST {
                return Ok(self.take(MOST));
            }
            let waited = self.wait(until);
            match waited {
                Err(Broken::Silent(_)) => return Err(Broken::Silent(patience)),
                other => other?,
            }
        }
    }

    /// Whether something comes within `quiet`: all of it, or nothing. The end of the connection is an error only if
    /// nothing came before it.
    pub(crate) fn anything(&mut self, quiet: Duration) -> Result<Vec<u8>, Broken> {
        let until = Instant::now() + quiet;
        loop {
            match self.wait(until) {
                Ok(()) if self.unread.len() < MOST => {}
                Ok(()) | Err(Broken::Silent(_)) => return Ok(self.take(MOST)),
                Err(why) if self.unread.is_empty() => return Err(why),
                Err(_) => return Ok(self.take(MOST)),
            }
        }
    }

    /// Waits for more bytes.
    fn wait(&mut self, until: Instant) -> Result<(), Broken> {
        let got = self.get(until);
        match &got {
            Err(Broken::Silent(_)) | Ok(()) => {}
            Err(why) => self.end(&why.to_string()),
        }
        got
    }

    fn get(&mut self, until: Instant) -> Result<(), Broken> {
        let mut room = [0; 16 * 1024];
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Broken::Silent(Duration::ZERO));
            }
            self.socket.set_read_timeout(Some(left))?;
            let read = match &mut self.tls {
                None => self.socket.read(&mut room),
                Some(tls) => match tls.reader().read(&mut room) {
                    // Nothing decrypted is left: read more from the network.
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        match tls.read_tls(&mut self.socket) {
                            Ok(0) => Ok(0),
                            Ok(_) => {
                                tls.process_new_packets()?;
                                while tls.wants_write() {
                                    tls.write_tls(&mut self.socket)?;
                                }
                                continue;
                            }
                            Err(error) => Err(error),
                        }
                    }
                    read => read,
                },
            };
            match read {
                Ok(0) => return Err(Broken::Closed),
                Ok(n) => {
                    self.note(self.them(), &room[..n]);
                    self.unread.extend_from_slice(&room[..n]);
                    return Ok(());
                }
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    return Err(Broken::Silent(Duration::ZERO));
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The handshake, as a client.
    pub(crate) fn secure(
        &mut self,
        config: &Arc<ClientConfig>,
        name: ServerName<'static>,
        patience: Duration,
    ) -> Result<(), Broken> {
        let tls = ClientConnection::new(Arc::clone(config), name)?;
        self.handshake(tls.into(), patience)
    }

    /// The handshake, as a server. `first` goes in the server's own flight if the configuration allows it (TLS 1.3), so that
    /// it is there before the client can say anything.
    pub(crate) fn secure_server(
        &mut self,
        config: &Arc<ServerConfig>,
        first: &[u8],
        patience: Duration,
    ) -> Result<(), Broken> {
        let mut tls = ServerConnection::new(Arc::clone(config))?;
        tls.writer().write_all(first)?;
        self.handshake(tls.into(), patience)?;
        if !first.is_empty() {
            self.note(self.us, first);
        }
        Ok(())
    }

    fn handshake(&mut self, mut tls: Connection, patience: Duration) -> Result<(), Broken> {
        let shaken = self.shake(&mut tls, patience);
        if let Err(why) = shaken {
            // The alert tells the peer what is wrong.
            while tls.wants_write() && tls.write_tls(&mut self.socket).is_ok() {}
            let text = match &why {
                Broken::Tls(_) => why.to_string(),
                other => format!("no handshake: {other}"),
            };
            self.end(&text);
            return Err(why);
        }
        let version = match tls.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLS 1.2",
            _ => "TLS 1.3",
        };
        self.note(Mark::Tls, version.as_bytes());
        self.tls = Some(tls);
        Ok(())
    }

    fn shake(&mut self, tls: &mut Connection, patience: Duration) -> Result<(), Broken> {
        let until = Instant::now() + patience;
        // What was received already belongs to TLS now.
        let early = self.take(MOST);
        let mut early = &early[..];
        while tls.is_handshaking() || tls.wants_write() {
            while tls.wants_write() {
                tls.write_tls(&mut self.socket)?;
            }
            if !tls.is_handshaking() {
                break;
            }
            let read = if early.is_empty() {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(Broken::Silent(patience));
                }
                self.socket.set_read_timeout(Some(left))?;
                tls.read_tls(&mut self.socket)
            } else {
                tls.read_tls(&mut early)
            };
            match read {
                Ok(0) => return Err(Broken::Closed),
                Ok(_) => {
                    tls.process_new_packets()?;
                }
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    return Err(Broken::Silent(patience));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// The peer's certificate, DER.
    pub(crate) fn certificate(&self) -> Option<Vec<u8>> {
        let chain = self.tls.as_ref()?.peer_certificates()?;
        chain.first().map(|certificate| certificate.to_vec())
    }

    /// Ends TLS properly, if it is up, and the connection.
    pub(crate) fn close(mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            while tls.wants_write() && tls.write_tls(&mut self.socket).is_ok() {}
        }
        self.end("we close");
    }

    /// Ends the connection without the end of TLS.
    pub(crate) fn cut(mut self) {
        let _ = self.socket.shutdown(Shutdown::Both);
        self.end("we cut the connection");
    }
}
