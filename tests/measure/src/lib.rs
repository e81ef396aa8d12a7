//! What the measuring programs share.

pub mod talk;

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::linux::net::TcpStreamExt as _;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ServerConfig, StreamOwned};
use starttls::smtp::Smtp;
use starttls_std::{Answer, Deliver, Inbox, InboxSettings, Mail, Silent};
use test_identity::Authority;

/// Bytes at the start of a cache line.
///
/// The cost of reading them depends on their address. Elsewhere that depends on the rest of the program, such as
/// the path of the build: the same RCPT took 995 instructions in one clone and 1,104 in another.
#[repr(align(64))]
pub struct Aligned<const N: usize>(pub [u8; N]);

/// A byte string as an [`Aligned`] slice.
#[macro_export]
macro_rules! aligned {
    ($bytes:expr) => {{
        static ALIGNED: $crate::Aligned<{ $bytes.len() }> = $crate::Aligned(*$bytes);
        ALIGNED.0.as_slice()
    }};
}

/// The name of the server.
pub const HOST: &str = "localhost";

/// A message of 1,024 bytes: a header, and lines of at most 78 bytes.
#[must_use]
pub fn message() -> Vec<u8> {
    let mut message = b"Subject: measured\r\n\r\n".to_vec();
    while message.len() < 1024 - 2 {
        let room = (1024 - 2 - message.len()).min(76);
        message.extend(std::iter::repeat_n(b'x', room));
        message.extend_from_slice(b"\r\n");
    }
    message.truncate(1024);
    message
}

/// A P-256 CA and a server's certificate signed by it. Every handshake is a full one, because the
/// server issues no tickets.
#[must_use]
pub fn identity() -> (Arc<ServerConfig>, Authority) {
    let ca = Authority::default();
    let mut server = ca.identity([HOST]).server();
    server.send_tls13_tickets = 0;
    (Arc::new(server), ca)
}

struct Accept;

impl Deliver for Accept {
    fn deliver(&mut self, _: &Mail) -> Answer {
        Answer::new(250, "2.0.0 Ok")
    }
}

/// Takes mails until the process ends.
pub fn serve(listener: &TcpListener, tls: Arc<ServerConfig>) {
    let inbox = Inbox::new(InboxSettings::new(HOST, tls));
    for stream in listener.incoming().flatten() {
        if let Err(error) = inbox.receive::<Smtp>(stream, &mut Accept, Silent) {
            eprintln!("the server: {error}");
        }
    }
}

/// The options of a socket against delays.
#[derive(Clone, Copy, Debug)]
pub struct Delays {
    /// `TCP_NODELAY`: small writes leave at once.
    pub nodelay: bool,
    /// `TCP_QUICKACK`, set before each read: what arrives is acknowledged at once.
    pub quickack: bool,
}

impl Delays {
    /// Only `TCP_NODELAY`.
    pub const NODELAY: Self = Self { nodelay: true, quickack: false };
}

struct Socket {
    tcp: TcpStream,
    quickack: bool,
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.quickack {
            self.tcp.set_quickack(true)?;
        }
        self.tcp.read(buffer)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.tcp.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tcp.flush()
    }
}

/// Reads one reply to its last line and checks its code.
fn reply(stream: &mut impl Read, expected: &[u8]) -> io::Result<()> {
    let mut received = Vec::with_capacity(512);
    let mut piece = [0; 512];
    loop {
        let n = stream.read(&mut piece)?;
        received.extend_from_slice(&piece[..n]);
        let text = received.strip_suffix(b"\r\n").unwrap_or_default();
        let last = text.rsplit(|octet| *octet == b'\n').next().unwrap_or_default();
        if n == 0 || last.get(3) == Some(&b' ') {
            return if last.starts_with(expected) {
                Ok(())
            } else {
                Err(io::Error::other(received.escape_ascii().to_string()))
            };
        }
    }
}

fn ask(stream: &mut (impl Read + Write), request: &[u8], expected: &[u8]) -> io::Result<()> {
    stream.write_all(request)?;
    reply(stream, expected)
}

/// A careful minimal client: it sends one mail and does nothing else.
///
/// # Errors
/// Those of the connection, of TLS, and a reply with another code than expected.
pub fn by_hand(
    (host, port): (&str, u16),
    tls: &Arc<ClientConfig>,
    message: &[u8],
    delays: Delays,
) -> Result<(), Box<dyn Error>> {
    let tcp = TcpStream::connect((host, port))?;
    tcp.set_nodelay(delays.nodelay)?;
    let mut tcp = Socket { tcp, quickack: delays.quickack };
    reply(&mut tcp, b"220")?;
    ask(&mut tcp, b"EHLO [127.0.0.1]\r\n", b"250")?;
    ask(&mut tcp, b"STARTTLS\r\n", b"220")?;
    let connection =
        ClientConnection::new(Arc::clone(tls), ServerName::try_from(host.to_owned())?)?;
    let mut stream = StreamOwned::new(connection, tcp);
    ask(&mut stream, b"EHLO [127.0.0.1]\r\n", b"250")?;
    ask(&mut stream, b"MAIL FROM:<me@example.test>\r\n", b"250")?;
    ask(&mut stream, b"RCPT TO:<you@example.test>\r\n", b"250")?;
    ask(&mut stream, b"DATA\r\n", b"354")?;
    // No line of the message begins with a dot.
    ask(&mut stream, &[message, b".\r\n"].concat(), b"250")?;
    ask(&mut stream, b"QUIT\r\n", b"221")?;
    stream.conn.send_close_notify();
    stream.flush()?;
    Ok(())
}

/// The middle one of some values.
pub fn median<T: Copy + Default + PartialOrd>(values: &mut [T]) -> T {
    values.sort_unstable_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    values.get(values.len() / 2).copied().unwrap_or_default()
}
