//! The parts of a mail over loopback that several programs measure: a server, and a client written by hand.

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ServerConfig, StreamOwned};
use starttls::smtp::Smtp;
use starttls_std::{Answer, Deliver, Inbox, InboxSettings, Mail, Silent};
use test_identity::Authority;

pub const HOST: &str = "localhost";

/// A message of 1,024 bytes: a header, and lines of at most 78 bytes.
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

pub fn serve(listener: &TcpListener, tls: Arc<ServerConfig>) {
    let inbox = Inbox::new(InboxSettings::new(HOST, tls));
    for stream in listener.incoming().flatten() {
        if let Err(error) = inbox.receive::<Smtp>(stream, &mut Accept, Silent) {
            eprintln!("the server: {error}");
        }
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
pub fn by_hand(port: u16, tls: &Arc<ClientConfig>, message: &[u8]) -> Result<(), Box<dyn Error>> {
    let mut tcp = TcpStream::connect((HOST, port))?;
    tcp.set_nodelay(true)?;
    reply(&mut tcp, b"220")?;
    ask(&mut tcp, b"EHLO [127.0.0.1]\r\n", b"250")?;
    ask(&mut tcp, b"STARTTLS\r\n", b"220")?;
    let connection = ClientConnection::new(Arc::clone(tls), ServerName::try_from(HOST)?)?;
    let mut stream = StreamOwned::new(connection, tcp);
    ask(&mut stream, b"EHLO [127.0.0.1]\r\n", b"250")?;
    ask(&mut stream, b"MAIL FROM:<me@example.org>\r\n", b"250")?;
    ask(&mut stream, b"RCPT TO:<you@example.org>\r\n", b"250")?;
    ask(&mut stream, b"DATA\r\n", b"354")?;
    // No line of the message begins with a dot.
    ask(&mut stream, &[message, b".\r\n"].concat(), b"250")?;
    ask(&mut stream, b"QUIT\r\n", b"221")?;
    stream.conn.send_close_notify();
    stream.flush()?;
    Ok(())
}
