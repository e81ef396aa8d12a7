use std::io::{self, IoSlice};
use std::net::IpAddr;
#[cfg(unix)]
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use starttls_common::{Dial, Doing, Link};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::net::{TcpStream, ToSocketAddrs, lookup_host};
use tokio::time::timeout_at;

use crate::{Driver, Error, Proxy, Silent, TcpOrUnix, Timeouts, Tokio};

/// Opens a TCP connection to the first address that answers, with `TCP_NODELAY`.
///
/// This function is cancel safe: if it is dropped, no connection remains.
///
/// # Errors
/// [`Error::Io`] if the name has no address or no address answers.
pub async fn connect(address: impl ToSocketAddrs, timeouts: &Timeouts) -> Result<Prompt, Error> {
    connect_within(address, &mut Link::new(*timeouts, now(), Silent)).await
}

/// Opens a connection to `host` and `port` through a proxy.
///
/// The driver may already have received bytes of the server. This function is cancel safe: if it is dropped, no
/// connection remains.
///
/// # Errors
/// [`Error::Proxy`] if the proxy cannot be reached, refuses or breaks its protocol, and [`Error::Argument`].
pub async fn connect_through(
    proxy: &Proxy,
    host: &str,
    port: u16,
    timeouts: &Timeouts,
) -> Result<Driver<'static, TcpOrUnix>, Error> {
    proxy.connect::<Tokio>(host, port, timeouts, Silent).await
}

impl Dial for Tokio {
    type Stream = TcpOrUnix;

    async fn dial(host: &str, port: u16, link: &mut Link<'_>) -> Result<TcpOrUnix, Error> {
        connect_within((host, port), link).await.map(TcpOrUnix::Tcp)
    }

    #[cfg(unix)]
    async fn dial_unix(path: &Path, link: &mut Link<'_>) -> Result<TcpOrUnix, Error> {
        let until = link.connect_deadline(now());
        let connected = timeout_at(until.into(), UnixStream::connect(path)).await;
        let connected = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        connected.map(TcpOrUnix::Unix).map_err(Error::io(Doing::Connecting))
    }

    fn local_address(stream: &TcpOrUnix) -> Option<IpAddr> {
        stream.local_address()
    }
}

fn now() -> std::time::Instant {
    tokio::time::Instant::now().into_std()
}

pub(crate) async fn connect_within(
    address: impl ToSocketAddrs,
    link: &mut Link<'_>,
) -> Result<Prompt, Error> {
    let timed_out = || io::Error::from(io::ErrorKind::TimedOut);
    let until = link.connect_deadline(now());
    let addresses = timeout_at(until.into(), lookup_host(address)).await;
    let addresses = addresses.unwrap_or_else(|_| Err(timed_out()));
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in addresses.map_err(Error::io(Doing::LookingUp))? {
        let until = link.connect_deadline(now());
        match timeout_at(until.into(), TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                return Prompt::new(stream).map_err(Error::io(Doing::SettingUp));
            }
            Ok(Err(error)) => last = error,
            Err(_) => last = timed_out(),
        }
    }
    Err(Error::io(Doing::Connecting)(last))
}

/// A TCP connection that sends at once (`TCP_NODELAY`) and, on Linux, acknowledges at once (`TCP_QUICKACK`).
///
/// A server that uses Nagle's algorithm delays its reply until its earlier bytes are acknowledged, for
/// example TLS session tickets. Linux would take 40 ms for that.
#[derive(Debug)]
pub struct Prompt(TcpStream);

impl Prompt {
    /// Wraps a connection and sets `TCP_NODELAY`.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }

    /// The address of this end, if the system knows it.
    pub(crate) fn local_address(&self) -> Option<IpAddr> {
        self.0.local_addr().ok().map(|address| address.ip())
    }

    /// The TCP connection.
    #[must_use]
    pub const fn get_ref(&self) -> &TcpStream {
        &self.0
    }

    /// The TCP connection. Its acknowledgements may be delayed again.
    #[must_use]
    pub fn into_inner(self) -> TcpStream {
        self.0
    }
}

impl AsyncRead for Prompt {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Linux resets this option from time to time, so it is set before each read. A failure only costs
        // time.
        #[cfg(target_os = "linux")]
        let _ = self.0.set_quickack(true);
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Prompt {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, octets)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, octets)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
