//! A kind of I/O that passes its buffers to the system and gets them back: io_uring on Linux, IOCP on Windows, by
//! compio. The protocol is the same as in every adapter; this file only moves bytes.

use std::future::Future;
use std::io;
use std::net::{IpAddr, TcpStream as Blocking};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::time::Instant;

use compio::BufResult;
use compio::io::{AsyncRead, AsyncWrite};
use compio::net::TcpStream;
use compio::time::timeout_at;
use compio::tls::{TlsConnector, TlsStream};
use starttls::{Error as Rule, Policy, Verification};
use starttls_common::rustls::ClientConfig;
use starttls_common::{
    Binding, ClientTls, Connect, Dial, Doing, Error, Link, ReadMessage, Runtime, Secured,
};

/// The size of a read: one TLS record.
const READ: usize = 16 * 1024;

/// Sends mail by completions.
pub type Mailer = starttls_common::Mailer<Completion, Strict>;

/// The kind of I/O of this example.
#[derive(Clone, Copy, Debug)]
pub struct Completion;

impl<S: AsyncRead + AsyncWrite> Runtime<S> for Completion {
    fn now() -> Instant {
        Instant::now()
    }

    async fn read(stream: &mut S, link: &mut Link<'_>, until: Instant) -> io::Result<bool> {
        let Some((n, buffer)) = within(until, stream.read(Vec::with_capacity(READ))).await? else {
            return Ok(false);
        };
        match n {
            0 => link.received(0),
            n => link.receive(&buffer[..n]),
        }
        Ok(true)
    }

    async fn write(stream: &mut S, bytes: &[u8], until: Instant) -> io::Result<Option<usize>> {
        // The system owns the buffer of a write, so this is a copy. After a timeout it is lost, like the connection.
        let written = within(until, stream.write(bytes.to_vec())).await?;
        Ok(written.map(|(n, _)| n))
    }

    async fn flush(stream: &mut S, until: Instant) -> io::Result<bool> {
        timeout_at(until, stream.flush()).await.map_or(Ok(false), |flushed| flushed.map(|()| true))
    }

    async fn shutdown(stream: &mut S, until: Instant) -> io::Result<bool> {
        timeout_at(until, stream.shutdown()).await.map_or(Ok(false), |shut| shut.map(|()| true))
    }
}

/// The result at the deadline, with the buffer.
async fn within<B>(
    until: Instant,
    act: impl Future<Output = BufResult<usize, B>>,
) -> io::Result<Option<(usize, B)>> {
    match timeout_at(until, act).await {
        Ok(BufResult(done, buffer)) => done.map(|n| Some((n, buffer))),
        Err(_) => Ok(None),
    }
}

impl ReadMessage<&[u8]> for Completion {
    async fn read_message(message: &mut &[u8], buffer: &mut [u8]) -> io::Result<usize> {
        io::Read::read(message, buffer)
    }
}

impl Dial for Completion {
    type Stream = TcpStream;

    async fn dial(host: &str, port: u16, link: &mut Link<'_>) -> Result<TcpStream, Error> {
        let until = link.connect_deadline(Instant::now());
        let connected = timeout_at(until, TcpStream::connect((host, port))).await;
        let connected = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let stream = connected.map_err(Error::io(Doing::Connecting))?;
        nodelay(&stream).map_err(Error::io(Doing::SettingUp))?;
        Ok(stream)
    }

    fn local_address(stream: &TcpStream) -> Option<IpAddr> {
        stream.local_addr().ok().map(|address| address.ip())
    }
}

/// Uses another handle of the same socket.
fn nodelay(stream: &TcpStream) -> io::Result<()> {
    Blocking::from(stream.as_fd().try_clone_to_owned()?).set_nodelay(true)
}

/// TLS that fails if the server is not verified, whatever the policy is.
#[derive(Clone, Debug)]
pub struct Strict(Arc<ClientConfig>);

impl Strict {
    /// Trusts the same authorities as `tls`.
    #[must_use]
    pub fn new(tls: &ClientTls) -> Self {
        Self(tls.rustls())
    }
}

impl<S: AsyncRead + AsyncWrite + 'static> Connect<Completion, S> for Strict {
    type Stream = TlsStream<S>;

    async fn connect(
        &self,
        stream: S,
        link: &mut Link<'_>,
        name: &str,
        alpn: Option<&[u8]>,
        _: Policy,
    ) -> Result<Secured<Self::Stream>, Error> {
        let mut config = ClientConfig::clone(&self.0);
        config.alpn_protocols.extend(alpn.map(<[u8]>::to_vec));
        let connector = TlsConnector::from(Arc::new(config));
        let until = link.handshake_deadline(Instant::now());
        let stream = match timeout_at(until, connector.connect(name, stream)).await {
            Ok(shaken) => shaken.map_err(Error::handshake)?,
            Err(_) => return Err(Rule::TimedOut.into()),
        };
        let random = self.0.crypto_provider().secure_random;
        let binding = Binding::without_channel(|octets| random.fill(octets).is_ok())?;
        let alpn = stream.negotiated_alpn().map(|alpn| alpn.to_vec());
        Ok(Secured { stream, verification: Verification::Verified, binding, alpn })
    }
}
