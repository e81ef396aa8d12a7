use std::io::{self, ErrorKind, Read};
use std::net::{IpAddr, TcpStream, ToSocketAddrs};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
#[cfg(unix)]
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::{
    ClientConnection, ConnectionCommon, ServerConfig, ServerConnection, SideData, StreamOwned,
};
use starttls::{Error as Rule, Policy};
use starttls_common::{
    Accept, Binding, ClientTls, Connect, Dial, Doing, Error, Link, ReadMessage, Runtime, Secured,
    check_alpn, hello, take_early,
};

use crate::exclusive::Exclusive;
use crate::socket::{Socket, is_timeout};

/// How many bytes are read and written at once: one TLS record.
const RECORD: usize = 16 * 1024;

/// The I/O of this crate: blocking streams.
#[derive(Clone, Copy, Debug)]
pub struct Blocking;

impl<S: Socket> Runtime<S> for Blocking {
    fn now() -> Instant {
        Instant::now()
    }

    async fn read(stream: &mut S, link: &mut Link<'_>, until: Instant) -> io::Result<bool> {
        stream.acknowledge();
        let received = within(stream, until, |stream| stream.receive(link.room(RECORD)))?.flatten();
        received.into_iter().for_each(|n| link.received(n));
        Ok(received.is_some())
    }

    async fn write(stream: &mut S, bytes: &[u8], until: Instant) -> io::Result<Option<usize>> {
        let bytes = &bytes[..bytes.len().min(RECORD)];
        Ok(within(stream, until, |stream| stream.send(bytes))?.flatten())
    }

    async fn flush(stream: &mut S, until: Instant) -> io::Result<bool> {
        Ok(within(stream, until, S::push)?.unwrap_or(false))
    }

    async fn shutdown(stream: &mut S, until: Instant) -> io::Result<bool> {
        Ok(within(stream, until, S::finish)?.is_some())
    }
}

/// The result of an operation with a deadline, or `None` if the time is up. It restores the timeouts of the
/// stream, which belong to its caller.
pub(crate) fn within<S: Socket, T>(
    stream: &mut S,
    until: Instant,
    act: impl FnOnce(&mut S) -> io::Result<T>,
) -> io::Result<Option<T>> {
    let had = stream.timeouts()?;
    let left = until.saturating_duration_since(Instant::now());
    // A socket rejects a timeout of zero.
    stream.set_timeouts([Some(left.max(Duration::from_millis(1))); 2])?;
    stream.set_deadline(Some(until));
    let done = act(stream);
    stream.set_deadline(None);
    // The result counts. Restoring the timeouts fails if the peer is gone and the socket with it.
    let _ = stream.set_timeouts(had);
    match done {
        Err(error) if is_timeout(&error) || error.kind() == ErrorKind::Interrupted => Ok(None),
        done => done.map(Some),
    }
}

impl<M: Read> ReadMessage<M> for Blocking {
    async fn read_message(message: &mut M, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match message.read(buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }
}

impl Dial for Blocking {
    type Stream = Exclusive;

    async fn dial(host: &str, port: u16, link: &mut Link<'_>) -> Result<Exclusive, Error> {
        link.keep_memory();
        connect_within((host, port), link).map(Exclusive::from)
    }

    /// A Unix socket connects at once, or waits while its server's queue is full.
    #[cfg(unix)]
    async fn dial_unix(path: &Path, link: &mut Link<'_>) -> Result<Exclusive, Error> {
        link.keep_memory();
        UnixStream::connect(path).map(Exclusive::from).map_err(Error::io(Doing::Connecting))
    }

    fn local_address(stream: &Exclusive) -> Option<IpAddr> {
        stream.local_address()
    }
}

pub(crate) fn connect_within(
    address: impl ToSocketAddrs,
    link: &mut Link<'_>,
) -> Result<TcpStream, Error> {
    let addresses = address.to_socket_addrs().map_err(Error::io(Doing::LookingUp))?;
    let mut last = io::Error::new(ErrorKind::NotFound, "the host has no address");
    for address in addresses {
        let now = Instant::now();
        let left = link.connect_deadline(now).saturating_duration_since(now);
        if left.is_zero() {
            last = ErrorKind::TimedOut.into();
            break;
        }
        match TcpStream::connect_timeout(&address, left) {
            Ok(stream) => {
                stream.set_nodelay(true).map_err(Error::io(Doing::SettingUp))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(Error::io(Doing::Connecting)(last))
}

impl<S: Socket> Connect<Blocking, S> for ClientTls {
    type Stream = StreamOwned<ClientConnection, S>;

    fn is_certified(&self) -> bool {
        ClientTls::is_certified(self)
    }

    async fn connect(
        &self,
        mut stream: S,
        link: &mut Link<'_>,
        name: &str,
        alpn: Option<&[u8]>,
        policy: Policy,
    ) -> Result<Secured<Self::Stream>, Error> {
        let opening = self.open(name, alpn, policy)?;
        let mut tls = hello::<Blocking, S>(&mut stream, link, &opening).await?;
        shake_hands(&mut tls, &mut stream, link)?;
        let verification = opening.judge(&tls, link.observer())?;
        let binding = Binding::over(&tls, self)?;
        let alpn = tls.alpn_protocol().map(<[u8]>::to_vec);
        Ok(Secured { stream: StreamOwned::new(tls, stream), verification, binding, alpn })
    }
}

impl<S: Socket> Accept<Blocking, S> for Arc<ServerConfig> {
    type Stream = StreamOwned<ServerConnection, S>;

    async fn accept(
        &self,
        mut stream: S,
        link: &mut Link<'_>,
        mut early: &[u8],
        alpn: Option<&[u8]>,
    ) -> Result<Self::Stream, Error> {
        let mut tls = ServerConnection::new(Arc::clone(self))?;
        take_early(&mut tls, &mut early)?;
        shake_hands(&mut tls, &mut stream, link)?;
        link.accepted(&tls);
        check_alpn(alpn, &tls)?;
        Ok(StreamOwned::new(tls, stream))
    }
}

/// A whole handshake, read by read, so that a peer that sends single bytes cannot extend it.
fn shake_hands<D: SideData>(
    tls: &mut ConnectionCommon<D>,
    stream: &mut impl Socket,
    link: &mut Link<'_>,
) -> Result<(), Error> {
    let failed = Error::io(Doing::Handshake);
    let end = link.handshake_deadline(Instant::now());
    while tls.is_handshaking() || tls.wants_write() {
        if Instant::now() >= end {
            return Err(Rule::TimedOut.into());
        }
        if tls.wants_write() {
            within(stream, end, |stream| tls.write_tls(stream)).map_err(&failed)?;
            continue;
        }
        stream.acknowledge();
        match within(stream, end, |stream| tls.read_tls(stream)).map_err(&failed)? {
            Some(0) => return Err(failed(ErrorKind::UnexpectedEof.into())),
            Some(_) => {}
            None => continue,
        }
        if let Err(error) = tls.process_new_packets() {
            // Sends the alert that explains the failure. The handshake has failed already, so its error is
            // ignored.
            let _ = within(stream, end, |stream| tls.write_tls(stream));
            return Err(error.into());
        }
    }
    Ok(())
}
