//! The system's TLS instead of rustls.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use starttls::{Error as Rule, Policy, Verification};
use starttls_common::native_tls::NativeTls;
use starttls_common::{Connect, Error, Link, Secured};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout_at;
use tokio_native_tls::{TlsConnector, TlsStream};

use crate::Tokio;

/// A stream whose end is an error. After close_notify TLS does not read on, so an end here is a truncation;
/// some TLS libraries do not distinguish the two.
#[derive(Debug)]
pub struct Whole<S>(S);

impl<S: AsyncRead + Unpin> AsyncRead for Whole<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.0).poll_read(cx, buffer))?;
        if buffer.filled().len() == before && buffer.remaining() > 0 {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Whole<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connect<Tokio, S> for NativeTls {
    type Stream = TlsStream<Whole<S>>;

    fn is_certified(&self) -> bool {
        NativeTls::is_certified(self)
    }

    async fn connect(
        &self,
        stream: S,
        link: &mut Link<'_>,
        name: &str,
        alpn: Option<&[u8]>,
        policy: Policy,
    ) -> Result<Secured<Self::Stream>, Error> {
        let (connector, verification): (_, Verification) = self.connector(alpn, policy)?;
        let connector = TlsConnector::from(connector);
        let now: Instant = tokio::time::Instant::now().into_std();
        let connect = connector.connect(name, Whole(stream));
        match timeout_at(link.handshake_deadline(now).into(), connect).await {
            Ok(Ok(stream)) => {
                let alpn = stream.get_ref().negotiated_alpn().map_err(NativeTls::error)?;
                Ok(Secured { stream, verification, binding: self.binding()?, alpn })
            }
            Ok(Err(error)) => Err(NativeTls::error(error)),
            Err(_) => Err(Rule::TimedOut.into()),
        }
    }
}
