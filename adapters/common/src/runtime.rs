//! The I/O that a runtime provides for this crate.

use std::future::{self, Future};
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use starttls::smtp::Domain;
use starttls::{Policy, Verification};

use crate::{Binding, Doing, Error, Link};

/// A runtime's I/O over streams `S`. Every operation has a deadline by the runtime's clock.
///
/// A blocking runtime's futures are ready at once; run them with [`ready`].
pub trait Runtime<S> {
    /// The current time.
    fn now() -> Instant;

    /// Receives the available bytes and passes them to the link, including the end of input. `false` if
    /// nothing arrives in time.
    ///
    /// # Errors
    /// Those of the stream.
    fn read(
        stream: &mut S,
        link: &mut Link<'_>,
        until: Instant,
    ) -> impl Future<Output = io::Result<bool>>;

    /// Writes the first of `bytes` and returns how many. `None` if the stream accepts none in time. Must be
    /// cancel safe.
    ///
    /// # Errors
    /// Those of the stream.
    fn write(
        stream: &mut S,
        bytes: &[u8],
        until: Instant,
    ) -> impl Future<Output = io::Result<Option<usize>>>;

    /// Flushes the stream. `false` if that takes too long. Must be cancel safe.
    ///
    /// # Errors
    /// Those of the stream.
    fn flush(stream: &mut S, until: Instant) -> impl Future<Output = io::Result<bool>>;

    /// Closes the sending side: TLS's close_notify and TCP's FIN. `false` if that takes too long.
    ///
    /// # Errors
    /// Those of the stream.
    fn shutdown(stream: &mut S, until: Instant) -> impl Future<Output = io::Result<bool>>;
}

/// A runtime that reads messages `M`.
pub trait ReadMessage<M> {
    /// Reads the next bytes of the message. 0 is its end.
    ///
    /// # Errors
    /// Those of the reader.
    fn read_message(message: &mut M, buffer: &mut [u8]) -> impl Future<Output = io::Result<usize>>;
}

/// A runtime that opens connections.
pub trait Dial {
    /// The stream: a TCP connection, or a Unix socket where the runtime has them.
    type Stream;

    /// Opens a connection to the first address of the host that answers, with `TCP_NODELAY`, within the
    /// link's timeouts.
    ///
    /// # Errors
    /// [`Error::Io`] if the name has no address or no address answers.
    fn dial(
        host: &str,
        port: u16,
        link: &mut Link<'_>,
    ) -> impl Future<Output = Result<Self::Stream, Error>>;

    /// Opens a connection to a Unix socket, within the link's timeouts.
    ///
    /// # Errors
    /// [`Error::Io`] if the system has no such socket, or this runtime has none.
    fn dial_unix(
        path: &Path,
        link: &mut Link<'_>,
    ) -> impl Future<Output = Result<Self::Stream, Error>> {
        let _ = (path, link);
        let why = "this runtime opens no Unix sockets; pass it an open stream";
        future::ready(Err(Error::io(Doing::Connecting)(io::Error::new(
            io::ErrorKind::Unsupported,
            why,
        ))))
    }

    /// The local address of a connection, if the system knows it.
    fn local_address(stream: &Self::Stream) -> Option<IpAddr>;
}

/// The name by which a client without a domain introduces itself: the address of its end of the connection
/// (RFC 5321 §4.1.3, §4.1.4).
#[must_use]
pub fn address_literal(address: Option<IpAddr>) -> String {
    match address.map(|address| address.to_canonical()) {
        Some(IpAddr::V4(address)) => format!("[{address}]"),
        Some(IpAddr::V6(address)) => format!("[IPv6:{address}]"),
        None => Domain::LOCALHOST.as_str().to_owned(),
    }
}

/// A client's TLS over streams `S` with the I/O of `R`. A connection reaches its TLS library only through
/// this trait.
pub trait Connect<R, S> {
    /// The encrypted stream.
    type Stream;

    /// Whether the client has a certificate, which `EXTERNAL` needs.
    fn is_certified(&self) -> bool {
        false
    }

    /// Performs the whole handshake, by the link's deadline, and tells the link's observer.
    ///
    /// `name` is the name that the certificate has to contain. `alpn` is offered in addition to the ids of
    /// the configuration.
    ///
    /// # Errors
    /// [`Error::Tls`] if the handshake fails, or if the certificate does not verify and the policy requires
    /// it. Those of the network.
    fn connect(
        &self,
        stream: S,
        link: &mut Link<'_>,
        name: &str,
        alpn: Option<&[u8]>,
        policy: Policy,
    ) -> impl Future<Output = Result<Secured<Self::Stream>, Error>>;
}

/// A client's stream after the handshake.
#[derive(Debug)]
pub struct Secured<S> {
    /// The encrypted stream.
    pub stream: S,
    /// How far the server was verified.
    pub verification: Verification,
    /// The binding of a login to this connection.
    pub binding: Binding,
    /// The ALPN id that the server chose, if any.
    pub alpn: Option<Vec<u8>>,
}

/// A server's TLS over streams `S` with the I/O of `R`.
pub trait Accept<R, S> {
    /// The encrypted stream.
    type Stream;

    /// Performs the whole handshake, by the link's deadline, and tells the link's observer.
    ///
    /// `early` are the first bytes of the handshake. If there is an `alpn`, the client has to choose it.
    ///
    /// # Errors
    /// [`Error::Tls`] if the handshake fails, and [`Foreign`](starttls::Error::Foreign) without the ALPN id.
    /// Those of the network.
    fn accept(
        &self,
        stream: S,
        link: &mut Link<'_>,
        early: &[u8],
        alpn: Option<&[u8]>,
    ) -> impl Future<Output = Result<Self::Stream, Error>>;
}

/// Runs a future of a blocking runtime, which is ready at once.
pub fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_literal_names_a_client_without_a_domain() {
        for (address, literal) in [
            ("192.0.2.1", "[192.0.2.1]"),
            ("2001:db8::1", "[IPv6:2001:db8::1]"),
            ("::ffff:192.0.2.1", "[192.0.2.1]"),
        ] {
            let address = address.parse().expect("an address");
            assert_eq!(address_literal(Some(address)), literal);
            assert!(Domain::new(literal).is_ok());
        }
        assert_eq!(address_literal(None), "[127.0.0.1]");
    }
}
