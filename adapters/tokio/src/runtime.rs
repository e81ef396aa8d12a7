use std::future::{Future, poll_fn};
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Instant;

use rustls::{ClientConnection, ServerConfig, ServerConnection};
use starttls::{Error as Rule, Policy};
use starttls_common::{
    Accept, Binding, ClientTls, Connect, Error, Link, ReadMessage, Runtime, Secured, Wait,
    check_alpn, hello, take_early,
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::time::timeout_at;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

/// How many bytes are read at once: one TLS record.
const READ: usize = 16 * 1024;

/// The I/O of this crate: streams and timers of tokio.
#[derive(Clone, Copy, Debug)]
pub struct Tokio;

impl<S: AsyncRead + AsyncWrite + Unpin> Runtime<S> for Tokio {
    /// The runtime's clock, which a test can pause.
    fn now() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    async fn read(stream: &mut S, link: &mut Link<'_>, until: Instant) -> io::Result<bool> {
        let read = poll_fn(|cx| {
            // Created only when bytes are ready, so that ten thousand waiting connections hold no buffers.
            let mut room = [MaybeUninit::uninit(); READ];
            let mut room = ReadBuf::uninit(&mut room);
            ready!(Pin::new(&mut *stream).poll_read(cx, &mut room))?;
            match room.filled() {
                [] => link.received(0),
                bytes => link.receive(bytes),
            }
            Poll::Ready(Ok(()))
        });
        within(until, read).await.map(|read| read.is_some())
    }

    async fn write(stream: &mut S, bytes: &[u8], until: Instant) -> io::Result<Option<usize>> {
        within(until, stream.write(bytes)).await
    }

    async fn flush(stream: &mut S, until: Instant) -> io::Result<bool> {
        within(until, stream.flush()).await.map(|flushed| flushed.is_some())
    }

    async fn shutdown(stream: &mut S, until: Instant) -> io::Result<bool> {
        within(until, stream.shutdown()).await.map(|done| done.is_some())
    }
}

impl Wait for Tokio {
    async fn within<F: Future>(until: Instant, future: F) -> Option<F::Output> {
        timeout_at(until.into(), future).await.ok()
    }
}

impl<M: AsyncRead + Unpin> ReadMessage<M> for Tokio {
    async fn read_message(message: &mut M, buffer: &mut [u8]) -> io::Result<usize> {
        message.read(buffer).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connect<Tokio, S> for ClientTls {
    type Stream = client::TlsStream<S>;

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
        let hello = hello::<Tokio, S>(&mut stream, link, &opening).await?;
        let connector = TlsConnector::from(opening.placeholder());
        // Continues the handshake that [`hello`] started.
        let go_on = |tls: &mut ClientConnection| *tls = hello;
        let connect = connector.connect_with(opening.name.clone(), stream, go_on);
        let stream = shake_hands(link, connect).await?;
        let tls = stream.get_ref().1;
        let verification = opening.judge(tls, link.observer())?;
        let binding = Binding::over(tls, self)?;
        let alpn = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
        Ok(Secured { stream, verification, binding, alpn })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Accept<Tokio, S> for Arc<ServerConfig> {
    type Stream = server::TlsStream<S>;

    async fn accept(
        &self,
        stream: S,
        link: &mut Link<'_>,
        mut early: &[u8],
        alpn: Option<&[u8]>,
    ) -> Result<Self::Stream, Error> {
        let mut taken = Ok(());
        let take = |tls: &mut ServerConnection| taken = take_early(tls, &mut early);
        let mut accept = TlsAcceptor::from(Arc::clone(self)).accept_with(stream, take);
        if let Err(error) = taken {
            // Sends the alert that explains the failure. The handshake has failed already, so its error is
            // ignored.
            let alert = poll_fn(|cx| Poll::Ready(Pin::new(&mut accept).poll(cx).is_ready()));
            let _ = alert.await;
            return Err(error);
        }
        let stream = shake_hands(link, accept).await?;
        link.accepted(stream.get_ref().1);
        check_alpn(alpn, stream.get_ref().1)?;
        Ok(stream)
    }
}

/// Waits for a whole handshake, however slowly its bytes arrive.
async fn shake_hands<T>(
    link: &mut Link<'_>,
    handshake: impl Future<Output = io::Result<T>>,
) -> Result<T, Error> {
    let now = tokio::time::Instant::now().into_std();
    match within(link.handshake_deadline(now), handshake).await {
        Ok(Some(stream)) => Ok(stream),
        Ok(None) => Err(Rule::TimedOut.into()),
        Err(error) => Err(Error::handshake(error)),
    }
}

/// The output of a future, or `None` if the time is up.
async fn within<T>(
    until: Instant,
    act: impl Future<Output = io::Result<T>>,
) -> io::Result<Option<T>> {
    match timeout_at(until.into(), act).await {
        Ok(done) => done.map(Some),
        Err(_) => Ok(None),
    }
}
