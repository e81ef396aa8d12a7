//! The system's TLS instead of rustls.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use native_tls::{HandshakeError, TlsStream};
use starttls::{Error as Rule, Policy};
use starttls_common::native_tls::NativeTls;
use starttls_common::{Connect, Doing, Error, Link, Secured};

use crate::{Blocking, Socket};

/// A stream whose calls end by a deadline, however often TLS reads and writes in one call.
#[derive(Debug)]
pub struct Timed<S> {
    stream: S,
    until: Option<Instant>,
}

impl<S: Socket> Timed<S> {
    fn bound(&mut self) -> io::Result<()> {
        let Some(until) = self.until else { return Ok(()) };
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_timeouts([Some(left); 2])
    }
}

impl<S: Socket> Read for Timed<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.bound()?;
        self.stream.acknowledge();
        match self.stream.read(buffer) {
            // After close_notify TLS does not read on, so an end here is a truncation. Some TLS libraries do
            // not distinguish the two.
            Ok(0) if !buffer.is_empty() => Err(io::ErrorKind::UnexpectedEof.into()),
            read => read,
        }
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

    fn timeouts(&self) -> io::Result<[Option<Duration>; 2]> {
        self.get_ref().stream.timeouts()
    }

    fn set_timeouts(&mut self, timeouts: [Option<Duration>; 2]) -> io::Result<()> {
        self.get_mut().stream.set_timeouts(timeouts)
    }

    fn set_deadline(&mut self, until: Option<Instant>) {
        self.get_mut().until = until;
    }
}

impl<S: Socket> Connect<Blocking, S> for NativeTls {
    type Stream = TlsStream<Timed<S>>;

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
        let (connector, verification) = self.connector(alpn, policy)?;
        let until = link.handshake_deadline(Instant::now());
        let had = stream.timeouts().map_err(Error::io(Doing::SettingUp))?;
        match connector.connect(name, Timed { stream, until: Some(until) }) {
            Ok(mut stream) => {
                let alpn = stream.negotiated_alpn().map_err(NativeTls::error)?;
                stream.set_deadline(None);
                let _ = stream.set_timeouts(had);
                Ok(Secured { stream, verification, binding: self.binding()?, alpn })
            }
            Err(HandshakeError::Failure(error)) if Instant::now() < until => {
                Err(NativeTls::error(error))
            }
            // The deadline interrupted the handshake.
            Err(_) => Err(Rule::TimedOut.into()),
        }
    }
}
