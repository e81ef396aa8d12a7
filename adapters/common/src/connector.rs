//! Ways to reach a server.

use std::future::Future;
use std::net::IpAddr;
use std::path::PathBuf;

use crate::{Dial, Error, Link, Proxy, Runtime};

/// How a connection reaches its server.
///
/// The route changes neither the name that the certificate has to contain nor any other check.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Route {
    /// By TCP, to the first address of the host that answers.
    #[default]
    Direct,
    /// By a Unix socket with this path, as is usual for LMTP on one machine. The host is not looked up.
    Unix(PathBuf),
    /// Through a proxy, which looks up the host.
    Proxy(Proxy),
}

/// A server to connect to.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Target<'a> {
    /// The host.
    pub host: &'a str,
    /// The TCP port.
    pub port: u16,
    /// The route of the settings.
    pub route: &'a Route,
}

impl<'a> Target<'a> {
    /// This host and port, by this route.
    #[must_use]
    pub const fn new(host: &'a str, port: u16, route: &'a Route) -> Self {
        Self { host, port, route }
    }
}

/// Opens the streams of a [`Mailer`](crate::Mailer), with the I/O of `R`.
///
/// [`Dialer`] follows the [`Route`] of the settings. Implement this trait for another transport: a stream of an SSH
/// tunnel, of a VPN in user space, or of a test.
///
/// ```
/// use std::net::TcpStream;
///
/// use starttls_common::{Connector, Doing, Error, Link, Target};
///
/// /// Reaches every host through a local end of a tunnel.
/// struct Tunnel;
///
/// impl<R> Connector<R> for Tunnel {
///     type Stream = TcpStream;
///
///     async fn connect(&self, _: Target<'_>, _: &mut Link<'_>) -> Result<TcpStream, Error> {
///         TcpStream::connect(("127.0.0.1", 2525)).map_err(Error::io(Doing::Connecting))
///     }
/// }
/// ```
pub trait Connector<R> {
    /// The stream.
    type Stream;

    /// Opens a stream to the target, within the link's [`connect_deadline`](Link::connect_deadline).
    ///
    /// Bytes of the server that were received meanwhile go to [`Link::receive`].
    ///
    /// # Errors
    /// Those of the transport, as [`Error::Io`].
    fn connect(
        &self,
        target: Target<'_>,
        link: &mut Link<'_>,
    ) -> impl Future<Output = Result<Self::Stream, Error>>;

    /// The address of the client's end, by which it introduces itself if the settings have no name. `None` if the
    /// stream has none.
    fn local_address(&self, stream: &Self::Stream) -> Option<IpAddr> {
        let _ = stream;
        None
    }
}

/// Follows the [`Route`] of the settings.
#[derive(Clone, Copy, Debug, Default)]
pub struct Dialer;

impl<R: Dial + Runtime<<R as Dial>::Stream>> Connector<R> for Dialer {
    type Stream = R::Stream;

    async fn connect(&self, target: Target<'_>, link: &mut Link<'_>) -> Result<R::Stream, Error> {
        match target.route {
            Route::Direct => R::dial(target.host, target.port, link).await,
            Route::Unix(path) => R::dial_unix(path, link).await,
            Route::Proxy(proxy) => proxy.open::<R>(target.host, target.port, link).await,
        }
    }

    fn local_address(&self, stream: &R::Stream) -> Option<IpAddr> {
        R::local_address(stream)
    }
}
