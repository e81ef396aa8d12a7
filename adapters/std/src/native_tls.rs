//! The system's TLS in the place of rustls.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use native_tls::{HandshakeError, TlsStream};
use starttls::{Error as Rule, Policy};
use starttls_common::native_tls::NativeTls;
use starttls_common::{Connect, Error, Link, Secured};

use crate::{Blocking, Socket};

/// A stream each call of which ends by a deadline, however often TLS reads from it.
#[derive(Debug)]
pub struct Timed<S> {
    stream: S,
    until: Instant,
}

impl<S: Socket> Timed<S> {
    fn bound(&mut self) -> io::Result<()> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_timeout(left)
    }
}

impl<S: Socket> Read for Timed<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.bound()?;
        self.stream.acknowledge();
        self.stream.read(buffer)
    }
}

impl<S: Socket> Write for Timed<S> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.bound()?;
        self.stream.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl<S: Socket> Socket for TlsStream<Timed<S>> {
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        self.read(buffer).map(Some)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.shutdown()?;
        self.get_mut().stream.finish()
    }

    fn set_timeout(&mut self, timeout: Duration) -> io::Result<()> {
        self.get_mut().until = Instant::now() + timeout;
        Ok(())
    }
}

impl<S: Socket> Connect<Blocking, S> for NativeTls {
    type Stream = TlsStream<Timed<S>>;

    async fn connect(
        &self,
        stream: S,
        link: &mut Link<'_>,
        name: &str,
        alpn: Option<&[u8]>,
        policy: Policy,
    ) -> Result<Secured<Self::Stream>, Error> {
        let (connector, verification) = self.connector(alpn, policy)?;
        let until = link.handshake_deadline(Instant::now());
        match connector.connect(name, Timed { stream, until }) {
            Ok(stream) => Ok(Secured { stream, verification, binding: self.binding()? }),
            Err(HandshakeError::Failure(error)) if Instant::now() < until => {
                Err(NativeTls::error(error))
            }
            // Interrupted, for want of time.
            Err(_) => Err(Rule::TimedOut.into()),
        }
    }
}
