use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
#[cfg(unix)]
use tokio::net::UnixStream;

use crate::Prompt;

/// A TCP connection or a Unix socket.
///
/// The enum is exhaustive: there is no third kind.
#[derive(Debug)]
pub enum TcpOrUnix {
    /// A TCP connection.
    Tcp(Prompt),
    /// A Unix socket.
    #[cfg(unix)]
    Unix(UnixStream),
}

impl TcpOrUnix {
    /// The address of this end. `None` for a Unix socket, or if the system does not know it.
    #[must_use]
    pub fn local_address(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(stream) => stream.local_address(),
            #[cfg(unix)]
            Self::Unix(_) => None,
        }
    }
}

impl From<Prompt> for TcpOrUnix {
    fn from(stream: Prompt) -> Self {
        Self::Tcp(stream)
    }
}

#[cfg(unix)]
impl From<UnixStream> for TcpOrUnix {
    fn from(stream: UnixStream) -> Self {
        Self::Unix(stream)
    }
}

/// Runs `$then` with the stream as `$stream`.
macro_rules! either {
    ($self:ident, $stream:ident => $then:expr) => {
        match $self.get_mut() {
            Self::Tcp(stream) => {
                let $stream = Pin::new(stream);
                $then
            }
            #[cfg(unix)]
            Self::Unix(stream) => {
                let $stream = Pin::new(stream);
                $then
            }
        }
    };
}

impl AsyncRead for TcpOrUnix {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_read(cx, buffer))
    }
}

impl AsyncWrite for TcpOrUnix {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        either!(self, stream => stream.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self, stream => stream.poll_write_vectored(cx, bytes))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            #[cfg(unix)]
            Self::Unix(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_shutdown(cx))
    }
}
