//! Listeners, and plaintext streams whose abort differs visibly from an end.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::pin::Pin;
use std::str::FromStr;
use std::task::{Context, Poll, ready};

use starttls_tokio::{Listen, TcpOrUnix};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpListener;
#[cfg(unix)]
use tokio::net::{TcpSocket, UnixListener};

use crate::outcome::Failure;
use crate::values::host_and_port;

/// A value of `--listen`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Host and port; all usable addresses of the host.
    Tcp(String),
    /// A Unix socket.
    Unix(PathBuf),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains('/') {
            return match cfg!(unix) {
                true => Ok(Self::Unix(text.into())),
                false => Err("there are no Unix sockets on this system; write HOST:PORT".into()),
            };
        }
        host_and_port(text)
            .map(Self::Tcp)
            .map_err(|why| format!("{why}, or /PATH of a Unix socket"))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => f.write_str(address),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

impl Place {
    /// The names and addresses for the certificate of a server here.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
        if let Self::Tcp(address) = self {
            let host = address.rsplit_once(':').map_or("", |(host, _)| host);
            let host = host.trim_start_matches('[').trim_end_matches(']');
            let anywhere = host.parse().is_ok_and(|address: IpAddr| address.is_unspecified());
            if !anywhere && !names.iter().any(|name| name == host) {
                names.push(host.to_owned());
            }
        }
        names
    }

    /// Listens. Others may listen on the same port if all of them are `shared`.
    pub(crate) async fn bind(&self, shared: bool) -> Result<Listener, Failure> {
        let failed = |error: io::Error| Failure::local(format!("listening on {self}: {error}"));
        match self {
            Self::Tcp(address) if shared => share(address).await.map(Listener::Tcp).map_err(failed),
            Self::Tcp(address) => {
                TcpListener::bind(address).await.map(Listener::Tcp).map_err(failed)
            }
            Self::Unix(path) if shared => Err(Failure::local(format!(
                "--reuse-port is for TCP ports: {} is a Unix socket, on which only one process listens",
                path.display()
            ))),
            #[cfg(unix)]
            Self::Unix(path) => {
                if is_left_behind(path) {
                    let _ = std::fs::remove_file(path);
                }
                let listener = UnixListener::bind(path).map_err(failed)?;
                Ok(Listener::Unix(listener, Socket(path.clone())))
            }
            #[cfg(not(unix))]
            Self::Unix(_) => Err(failed(io::ErrorKind::Unsupported.into())),
        }
    }
}

/// Like [`TcpListener::bind`], with SO_REUSEPORT.
#[cfg(unix)]
async fn share(address: &str) -> io::Result<TcpListener> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in tokio::net::lookup_host(address).await? {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        }?;
        socket.set_reuseaddr(true)?;
        socket.set_reuseport(true)?;
        // The length of the queue that TcpListener::bind asks for.
        match socket.bind(address).and_then(|()| socket.listen(1024)) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(not(unix))]
async fn share(_: &str) -> io::Result<TcpListener> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this system has no SO_REUSEPORT"))
}

/// Whether a killed server left its socket there: a running one accepts connections. Any other file refuses connections,
/// too, but belongs to the user.
#[cfg(unix)]
fn is_left_behind(path: &std::path::Path) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    is_socket
        && std::os::unix::net::UnixStream::connect(path)
            .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

/// Accepts connections.
#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener, Socket),
}

/// The file of a Unix socket, removed with the server.
#[cfg(unix)]
#[derive(Debug)]
pub(crate) struct Socket(PathBuf);

#[cfg(unix)]
impl Drop for Socket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Listener {
    /// The address and the port, or the path.
    pub(crate) fn place(&self) -> Result<String, Failure> {
        match self {
            Self::Tcp(listener) => listener
                .local_addr()
                .map(|address| format!("{} {}", address.ip(), address.port()))
                .map_err(|error| Failure::local(format!("listening: {error}"))),
            #[cfg(unix)]
            Self::Unix(_, Socket(path)) => Ok(path.display().to_string()),
        }
    }
}

impl Listen for Listener {
    type Stream = TcpOrUnix;

    fn poll_next(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpOrUnix, Option<SocketAddr>)>> {
        Poll::Ready(Ok(match self {
            Self::Tcp(listener) => {
                let (stream, peer) = ready!(listener.poll_next(cx))?;
                (TcpOrUnix::Tcp(stream), peer)
            }
            #[cfg(unix)]
            Self::Unix(listener, _) => {
                let (stream, peer) = ready!(listener.poll_next(cx))?;
                (TcpOrUnix::Unix(stream), peer)
            }
        }))
    }
}

/// Sends this at once or not at all.
pub(crate) fn try_say(stream: &TcpOrUnix, words: &[u8]) {
    let _ = match stream {
        TcpOrUnix::Tcp(stream) => stream.get_ref().try_write(words),
        #[cfg(unix)]
        TcpOrUnix::Unix(stream) => stream.try_write(words),
    };
}

/// A stream that is reset (RST) if it is dropped before its shutdown, so that the peer does not mistake partial data
/// for the whole. Unix sockets have no reset: there the peer sees only an end.
#[derive(Debug)]
pub(crate) struct Abrupt {
    stream: TcpOrUnix,
    ended: bool,
}

impl Abrupt {
    pub(crate) const fn new(stream: TcpOrUnix) -> Self {
        Self { stream, ended: false }
    }
}

impl Drop for Abrupt {
    fn drop(&mut self) {
        if let (false, TcpOrUnix::Tcp(stream)) = (self.ended, &self.stream) {
            let _ = stream.get_ref().set_zero_linger();
        }
    }
}

impl AsyncRead for Abrupt {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Abrupt {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, octets)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let done = ready!(Pin::new(&mut this.stream).poll_shutdown(cx));
        this.ended |= done.is_ok();
        Poll::Ready(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        let place = |text: &str| text.parse::<Place>();
        assert_eq!(place("[::]:25"), Ok(Place::Tcp("[::]:25".into())));
        assert_eq!(place("localhost:0"), Ok(Place::Tcp("localhost:0".into())));
        assert!(place("localhost").is_err_and(|why| why.contains("HOST:PORT")));
        if cfg!(unix) {
            assert_eq!(place("/run/lmtp.sock"), Ok(Place::Unix("/run/lmtp.sock".into())));
        }
        let names = |text: &str| place(text).expect("a place").names().split_off(3);
        assert_eq!(names("0.0.0.0:25"), [""; 0]);
        assert_eq!(names("[2001:db8::1]:25"), ["2001:db8::1"]);
        assert_eq!(names("mx.example.org:25"), ["mx.example.org"]);
    }
}
