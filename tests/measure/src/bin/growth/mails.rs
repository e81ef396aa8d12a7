//! Mails of any size, and the same bytes over TLS alone, with the CPU time of each side's thread.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use rustls::pki_types::ServerName;
use rustls::{
    ALL_VERSIONS, ClientConfig, ClientConnection, ServerConfig, ServerConnection, StreamOwned,
};
use starttls::mail::receiver::{Config, Limits};
use starttls::mail::{Address, Envelope};
use starttls::smtp::Smtp;
use starttls_std::{
    Answer, ClientTls, Deliver, Inbox, InboxSettings, Mail, Mailer, Settings, Silent,
};
use test_identity::{Authority, provider};

use crate::Failure;

const HOST: &str = "localhost";

/// The CPU time of the sender and of the receiver.
type Cost = (Duration, Duration);

pub(crate) struct Bench {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
    tls: ClientTls,
}

struct Accept;

impl Deliver for Accept {
    fn deliver(&mut self, _: &Mail) -> Answer {
        Answer::new(250, "2.0.0 Ok")
    }
}

/// The CPU time of this thread so far.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

fn timed<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<Duration, Failure> {
    let start = cpu();
    work()?;
    Ok(cpu().saturating_sub(start))
}

/// A small mail is sent many times, so that what is measured is longer than the clock's steps.
fn repetitions(size: usize) -> usize {
    ((1 << 20) / size).clamp(1, 200)
}

impl Bench {
    pub(crate) fn new() -> Result<Self, Failure> {
        let ca = Authority::default();
        let server = Arc::new(ca.identity([HOST]).server());
        let client = Arc::new(ca.client(ALL_VERSIONS));
        Ok(Self { server, client, tls: ClientTls::trusting(ca.roots(), provider())? })
    }

    /// Runs both sides, each on a thread of its own.
    fn both(
        sender: impl FnOnce(u16) -> Result<Duration, Failure> + Send,
        receiver: impl FnOnce(TcpStream) -> Result<Duration, Failure> + Send,
    ) -> Result<Cost, Failure> {
        let listener = TcpListener::bind((HOST, 0))?;
        let port = listener.local_addr()?.port();
        let joined = thread::scope(|scope| {
            let receiver = scope.spawn(move || receiver(listener.accept()?.0));
            (sender(port), receiver.join())
        });
        let received = joined.1.map_err(|_| "the receiver panicked")?;
        Ok((joined.0?, received?))
    }

    /// One mail over an open connection, the mean of some.
    pub(crate) fn mail(&self, size: usize) -> Result<Cost, Failure> {
        let times = repetitions(size);
        let message = message(size);
        let config = Config::from(Limits::default().with_size(Some(2 * size + 4096)));
        let inbox =
            Inbox::new(InboxSettings::new(HOST, Arc::clone(&self.server)).with_receiver(config));
        let sender = |port| {
            let mailer = Mailer::new(Settings::new(HOST, self.tls.clone()).with_port(port));
            let to = [Address::new("you@example.test")?];
            let envelope = Envelope::new(Some(Address::new("me@example.test")?), &to)?;
            let mut connection = mailer.connect_as::<Smtp>(Silent)?;
            let cost = timed(|| {
                for _ in 0..times {
                    connection.send(&envelope, message.as_slice())?;
                }
                Ok(())
            });
            connection.quit()?;
            cost
        };
        let receiver = |stream| timed(|| Ok(inbox.receive::<Smtp>(stream, &mut Accept, Silent)?));
        let (sent, received) = Self::both(sender, receiver)?;
        let times = u32::try_from(times)?;
        Ok((sent / times, received / times))
    }

    /// The same number of bytes, written and read by rustls.
    pub(crate) fn tls(&self, size: usize) -> Result<Cost, Failure> {
        let times = repetitions(size);
        let message = message(size);
        let sender = |port| {
            let tcp = TcpStream::connect((HOST, port))?;
            tcp.set_nodelay(true)?;
            let name = ServerName::try_from(HOST)?;
            let mut tls =
                StreamOwned::new(ClientConnection::new(Arc::clone(&self.client), name)?, tcp);
            tls.flush()?;
            let cost = timed(|| {
                for _ in 0..times {
                    tls.write_all(&message)?;
                }
                Ok(())
            });
            tls.conn.send_close_notify();
            tls.flush()?;
            // The server's session tickets were not read: closing now would reset the connection.
            tls.sock.shutdown(Shutdown::Write)?;
            io::copy(&mut tls.sock, &mut io::sink())?;
            cost
        };
        let receiver = |tcp| {
            timed(|| {
                let server = ServerConnection::new(Arc::clone(&self.server))?;
                let mut tls = StreamOwned::new(server, tcp);
                let mut buffer = vec![0; 16 * 1024];
                let mut sum = 0;
                while let n @ 1.. = tls.read(&mut buffer)? {
                    sum += n;
                }
                if sum == times * message.len() { Ok(()) } else { Err("bytes are missing".into()) }
            })
        };
        let (sent, received) = Self::both(sender, receiver)?;
        let times = u32::try_from(times)?;
        Ok((sent / times, received / times))
    }
}

/// A message of lines of 76 bytes.
fn message(size: usize) -> Vec<u8> {
    let mut message = b"Subject: measured\r\n\r\n".to_vec();
    while message.len() + 2 < size {
        let room = (size - 2 - message.len()).min(76);
        message.extend(std::iter::repeat_n(b'x', room));
        message.extend_from_slice(b"\r\n");
    }
    message
}
