use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use starttls_common::{Dial, Doing, Link};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, ToSocketAddrs, lookup_host};
use tokio::time::timeout_at;

use crate::{Error, Silent, Timeouts, Tokio};

/// Opens a TCP connection to the first address that answers, with `TCP_NODELAY`.
///
/// Cancel safe: dropped, it leaves no connection.
///
/// # Errors
/// [`Error::Io`] if the name has no address or none of them answers.
pub async fn connect(address: impl ToSocketAddrs, timeouts: &Timeouts) -> Result<Prompt, Error> {
    connect_within(address, &mut Link::new(*timeouts, now(), Silent)).await
}

impl Dial for Tokio {
    type Stream = Prompt;

    async fn dial(host: &str, port: u16, link: &mut Link<'_>) -> Result<Prompt, Error> {
        connect_within((host, port), link).await
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

/// A TCP connection that neither waits before it sends (`TCP_NODELAY`) nor, on Linux, before it
/// acknowledges (`TCP_QUICKACK`). A server that leaves Nagle's algorithm on keeps its reply until we have
/// acknowledged what it said before, TLS session tickets for example, and we would take 40 ms for
/// that.
#[derive(Debug)]
pub struct Prompt(TcpStream);

impl Prompt {
    /// Sets `TCP_NODELAY`.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }

    /// The connection.
    #[must_use]
    pub const fn get_ref(&self) -> &TcpStream {
        &self.0
    }

    /// The connection, which takes its time to acknowledge again.
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
        // The system forgets it now and then, and a failure costs time only.
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
