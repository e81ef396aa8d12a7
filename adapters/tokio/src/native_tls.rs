//! The system's TLS in the place of rustls.

use std::time::Instant;

use starttls::{Error as Rule, Policy, Verification};
use starttls_common::native_tls::NativeTls;
use starttls_common::{Connect, Error, Link, Secured};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout_at;
use tokio_native_tls::{TlsConnector, TlsStream};

use crate::Tokio;

impl<S: AsyncRead + AsyncWrite + Unpin> Connect<Tokio, S> for NativeTls {
    type Stream = TlsStream<S>;

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
        let connect = connector.connect(name, stream);
        match timeout_at(link.handshake_deadline(now).into(), connect).await {
            Ok(Ok(stream)) => Ok(Secured { stream, verification, binding: self.binding()? }),
            Ok(Err(error)) => Err(NativeTls::error(error)),
            Err(_) => Err(Rule::TimedOut.into()),
        }
    }
}
