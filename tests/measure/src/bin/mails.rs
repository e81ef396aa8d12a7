//! Sends mails over loopback, alternating between `starttls-std` and a client written by hand, and
//! compares their times.
//!
//! usage: mails PAIRS MAX_RATIO

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ALL_VERSIONS, ClientConfig, ClientConnection, ServerConfig, StreamOwned};
use starttls::mail::{Address, Envelope};
use starttls::smtp::Smtp;
use starttls_std::{
    Answer, ClientTls, Deliver, Inbox, InboxSettings, Mail, Mailer, Settings, Silent,
};
use test_identity::{Authority, provider};

const HOST: &str = "localhost";
const WARM_UP: usize = 20;

/// A message of 1,024 bytes: a header, and lines of at most 78 bytes.
fn message() -> Vec<u8> {
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
fn identity() -> (Arc<ServerConfig>, Authority) {
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

fn serve(listener: &TcpListener, tls: Arc<ServerConfig>) {
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
fn by_hand(port: u16, tls: &Arc<ClientConfig>, message: &[u8]) -> Result<(), Box<dyn Error>> {
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

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn measure(pairs: usize) -> Result<(Duration, Duration), Box<dyn Error>> {
    let (server, ca) = identity();
    let listener = TcpListener::bind((HOST, 0))?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || serve(&listener, server));

    let tls = Arc::new(ca.client(ALL_VERSIONS));
    let settings = Settings::new(HOST, ClientTls::trusting(ca.roots(), provider())?);
    let mailer = Mailer::new(settings.with_port(port));
    let to = [Address::new("you@example.org")?];
    let envelope = Envelope::new(Some(Address::new("me@example.org")?), &to)?;
    let message = message();

    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for n in 0..WARM_UP + pairs {
        // The first one alternates.
        for turn in [n % 2 == 0, n % 2 != 0] {
            let start = Instant::now();
            if turn {
                mailer.send(&envelope, message.as_slice())?;
            } else {
                by_hand(port, &tls, &message)?;
            }
            if n >= WARM_UP {
                if turn { &mut ours } else { &mut theirs }.push(start.elapsed());
            }
        }
    }
    Ok((median(&mut ours), median(&mut theirs)))
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let (Some(pairs), Some(limit)) = (
        arguments.get(1).and_then(|n| n.parse().ok()),
        arguments.get(2).and_then(|n| n.parse::<f64>().ok()),
    ) else {
        eprintln!("usage: mails PAIRS MAX_RATIO");
        return ExitCode::FAILURE;
    };
    match measure(pairs) {
        Ok((ours, theirs)) => {
            let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
            println!("{} {} {ratio:.2}", ours.as_micros(), theirs.as_micros());
            if ratio <= limit { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
