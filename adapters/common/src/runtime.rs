//! What one kind of I/O has to do for the rest of this crate.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use starttls::{Policy, Verification};

use crate::{Binding, Error, Link};

/// A kind of I/O, over streams `S`. Everything is bounded by a deadline of the kind's own clock.
///
/// A blocking kind has futures that are ready at once, see [`ready`].
pub trait Runtime<S> {
    /// The time.
    fn now() -> Instant;

    /// Receives what there is and tells the link, the end included; `false` if nothing came by then.
    ///
    /// # Errors
    /// Those of the stream.
    fn read(
        stream: &mut S,
        link: &mut Link<'_>,
        until: Instant,
    ) -> impl Future<Output = io::Result<bool>>;

    /// Writes the front of `bytes` and says how many; `None` if none by then. Cancel safe.
    ///
    /// # Errors
    /// Those of the stream.
    fn write(
        stream: &mut S,
        bytes: &[u8],
        until: Instant,
    ) -> impl Future<Output = io::Result<Option<usize>>>;

    /// Flushes; `false` if it is not done by then. Cancel safe.
    ///
    /// # Errors
    /// Those of the stream.
    fn flush(stream: &mut S, until: Instant) -> impl Future<Output = io::Result<bool>>;

    /// Says that nothing more will be written: TLS's close_notify, TCP's FIN; `false` if it is not done by then.
    ///
    /// # Errors
    /// Those of the stream.
    fn shutdown(stream: &mut S, until: Instant) -> impl Future<Output = io::Result<bool>>;
}

/// A kind of I/O that reads messages `M`.
pub trait ReadMessage<M> {
    /// Reads the next bytes; 0 is the end.
    ///
    /// # Errors
    /// Those of the reader.
    fn read_message(message: &mut M, buffer: &mut [u8]) -> impl Future<Output = io::Result<usize>>;
}

/// A kind of I/O that opens TCP connections.
pub trait Dial {
    /// A connection.
    type Stream;

    /// Opens a connection to the first address of the host that answers, with `TCP_NODELAY`, within the timeouts of the
    /// link.
    ///
    /// # Errors
    /// [`Error::Io`] if the name has no address or none of them answers.
    fn dial(
        host: &str,
        port: u16,
        link: &mut Link<'_>,
    ) -> impl Future<Output = Result<Self::Stream, Error>>;
}

/// A TLS of clients, over streams `S` of the kind of I/O `R`. The one seam between a connection and its TLS.
pub trait Connect<R, S> {
    /// The encrypted stream.
    type Stream;

    /// The whole handshake, within the deadline of the link, whose observer is told. `name` is whom the
    /// certificate must be for; `alpn` is offered besides the ids of the configuration.
    ///
    /// # Errors
    /// [`Error::Tls`] if it fails, or if the certificate does not verify and the policy requires it; those of the
    /// network.
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
    /// How far the server was identified.
    pub verification: Verification,
    /// What binds a login to it.
    pub binding: Binding,
}

/// A TLS of servers, over streams `S` of the kind of I/O `R`.
pub trait Accept<R, S> {
    /// The encrypted stream.
    type Stream;

    /// The whole handshake, with `early` bytes of it first, within the deadline of the link, whose observer is told.
    /// `alpn` is the id that it has to end with, if there is one.
    ///
    /// # Errors
    /// [`Error::Tls`] if it fails, [`Foreign`](starttls::Error::Foreign) without the ALPN id; those of the network.
    fn accept(
        &self,
        stream: S,
        link: &mut Link<'_>,
        early: &[u8],
        alpn: Option<&[u8]>,
    ) -> impl Future<Output = Result<Self::Stream, Error>>;
}

/// The output of a future of a blocking kind of I/O, which is ready at once.
pub fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}
