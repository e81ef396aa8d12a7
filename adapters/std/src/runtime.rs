use std::io::{self, ErrorKind, Read};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::{
    ClientConnection, ConnectionCommon, ServerConfig, ServerConnection, SideData, StreamOwned,
};
use starttls::{Error as Rule, Policy};
use starttls_common::{
    Accept, Binding, ClientTls, Connect, Dial, Doing, Error, Link, ReadMessage, Runtime, Secured,
    check_alpn, take_early,
};

use crate::socket::{Socket, is_timeout};

/// How much is read and written at a time: one TLS record.
const RECORD: usize = 16 * 1024;

/// The kind of I/O of this crate: blocking streams.
#[derive(Clone, Copy, Debug)]
pub struct Blocking;

impl<S: Socket> Runtime<S> for Blocking {
    fn now() -> Instant {
        Instant::now()
    }

    async fn read(stream: &mut S, link: &mut Link<'_>, until: Instant) -> io::Result<bool> {
        bound(stream, until)?;
        stream.acknowledge();
        match in_time(stream.receive(link.room(RECORD)))? {
            Some(Some(n)) => link.received(n),
            Some(None) | None => return Ok(false),
        }
        Ok(true)
    }

    async fn write(stream: &mut S, bytes: &[u8], until: Instant) -> io::Result<Option<usize>> {
        bound(stream, until)?;
        in_time(stream.write(&bytes[..bytes.len().min(RECORD)]))
    }

    async fn flush(stream: &mut S, until: Instant) -> io::Result<bool> {
        bound(stream, until)?;
        Ok(in_time(stream.flush())?.is_some())
    }

    async fn shutdown(stream: &mut S, until: Instant) -> io::Result<bool> {
        bound(stream, until)?;
        Ok(in_time(stream.finish())?.is_some())
    }
}

/// Has the next call of the stream end then.
fn bound<S: Socket>(stream: &mut S, until: Instant) -> io::Result<()> {
    let left = until.saturating_duration_since(Instant::now());
    stream.set_timeout(left.max(Duration::from_millis(1)))
}

/// What was done, unless it was for want of time that it was not.
fn in_time<T>(done: io::Result<T>) -> io::Result<Option<T>> {
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
    type Stream = TcpStream;

    async fn dial(host: &str, port: u16, link: &mut Link<'_>) -> Result<TcpStream, Error> {
        connect_within((host, port), link)
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

    async fn connect(
        &self,
        mut stream: S,
        link: &mut Link<'_>,
        name: &str,
        alpn: Option<&[u8]>,
        policy: Policy,
    ) -> Result<Secured<Self::Stream>, Error> {
        let opening = self.open(name, alpn, policy)?;
        let mut tls = ClientConnection::new(opening.config_with_alpn(), opening.name.clone())?;
        shake_hands(&mut tls, &mut stream, link)?;
        let verification = opening.judge(&tls, link.observer())?;
        let binding = Binding::over(&tls, self)?;
        Ok(Secured { stream: StreamOwned::new(tls, stream), verification, binding })
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
        link.observer().secured(&tls, None);
        check_alpn(alpn, &tls)?;
        Ok(StreamOwned::new(tls, stream))
    }
}

/// A whole handshake, read by read, so that a peer that drips octets cannot make it last.
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
        bound(stream, end).map_err(Error::io(Doing::SettingUp))?;
        if tls.wants_write() {
            in_time(tls.write_tls(stream)).map_err(&failed)?;
            continue;
        }
        stream.acknowledge();
        match in_time(tls.read_tls(stream)).map_err(&failed)? {
            Some(0) => return Err(failed(ErrorKind::UnexpectedEof.into())),
            Some(_) => {}
            None => continue,
        }
        if let Err(error) = tls.process_new_packets() {
            // The alert that says why; it is only a courtesy.
            let _ = tls.write_tls(stream);
            return Err(error.into());
        }
    }
    Ok(())
}
