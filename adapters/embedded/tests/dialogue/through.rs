//! A placeholder for TLS that passes its stream through.

use std::cell::RefCell;

use embedded_io::{ErrorKind, ErrorType};
use starttls::Verification;
use starttls_embedded::{Accept, Connect, Stream, asynch};

/// Sends `TLS` and expects `TLS`.
pub(crate) struct Through {
    pub(crate) verification: Verification,
    pub(crate) log: RefCell<Vec<Option<&'static [u8]>>>,
}

impl Through {
    pub(crate) fn verified() -> Self {
        Self { verification: Verification::Verified, log: RefCell::default() }
    }
}

pub(crate) struct Passed<S>(S);

/// Why the handshake failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failed(pub(crate) ErrorKind);

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl std::error::Error for Failed {}

impl embedded_io::Error for Failed {
    fn kind(&self) -> ErrorKind {
        self.0
    }
}

fn failed(error: impl embedded_io::Error) -> Failed {
    Failed(error.kind())
}

fn hello(read: usize, octets: &[u8]) -> Result<(), Failed> {
    match (read, octets) {
        (0, _) => Err(Failed(ErrorKind::ConnectionAborted)),
        (_, b"T" | b"L" | b"S") => Ok(()),
        _ => Err(Failed(ErrorKind::InvalidData)),
    }
}

impl<S: ErrorType> ErrorType for Passed<S> {
    type Error = Failed;
}

impl<S: embedded_io::Read> embedded_io::Read for Passed<S> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Failed> {
        self.0.read(buf).map_err(failed)
    }
}

impl<S: embedded_io::Write> embedded_io::Write for Passed<S> {
    fn write(&mut self, buf: &[u8]) -> Result<usize, Failed> {
        self.0.write(buf).map_err(failed)
    }

    fn flush(&mut self) -> Result<(), Failed> {
        self.0.flush().map_err(failed)
    }
}

impl<S: embedded_io_async::Read> embedded_io_async::Read for Passed<S> {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, Failed> {
        self.0.read(buf).await.map_err(failed)
    }
}

impl<S: embedded_io_async::Write> embedded_io_async::Write for Passed<S> {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, Failed> {
        self.0.write(buf).await.map_err(failed)
    }

    async fn flush(&mut self) -> Result<(), Failed> {
        self.0.flush().await.map_err(failed)
    }
}

impl<S: embedded_io::Read + embedded_io::Write> Stream for Passed<S> {
    fn close(mut self) -> Result<(), Failed> {
        self.0.write_all(b"BYE").map_err(failed)
    }
}

impl<S: embedded_io_async::Read + embedded_io_async::Write> asynch::Stream for Passed<S> {
    async fn close(mut self) -> Result<(), Failed> {
        self.0.write_all(b"BYE").await.map_err(failed)
    }
}

impl Connect for Through {
    type Error = Failed;
    type Stream<'t, S: embedded_io::Read + embedded_io::Write + 't> = Passed<S>;

    fn connect<'t, S: embedded_io::Read + embedded_io::Write + 't>(
        &'t mut self,
        mut socket: S,
        alpn: Option<&'static [u8]>,
    ) -> Result<(Passed<S>, Verification), Failed> {
        self.log.borrow_mut().push(alpn);
        socket.write_all(b"TLS").map_err(failed)?;
        for _ in 0..3 {
            let mut octet = [0];
            hello(socket.read(&mut octet).map_err(failed)?, &octet)?;
        }
        Ok((Passed(socket), self.verification))
    }
}

impl asynch::Connect for Through {
    type Error = Failed;
    type Stream<'t, S: embedded_io_async::Read + embedded_io_async::Write + 't> = Passed<S>;

    async fn connect<'t, S: embedded_io_async::Read + embedded_io_async::Write + 't>(
        &'t mut self,
        mut socket: S,
        alpn: Option<&'static [u8]>,
    ) -> Result<(Passed<S>, Verification), Failed> {
        self.log.borrow_mut().push(alpn);
        socket.write_all(b"TLS").await.map_err(failed)?;
        for _ in 0..3 {
            let mut octet = [0];
            hello(socket.read(&mut octet).await.map_err(failed)?, &octet)?;
        }
        Ok((Passed(socket), self.verification))
    }
}

impl Accept for Through {
    type Error = Failed;
    type Stream<'t, S: embedded_io::Read + embedded_io::Write + 't> = Passed<S>;

    fn accept<'t, S: embedded_io::Read + embedded_io::Write + 't>(
        &'t mut self,
        mut socket: S,
        early: &[u8],
    ) -> Result<Passed<S>, Failed> {
        socket.write_all(early).map_err(failed)?;
        Ok(Passed(socket))
    }
}

impl asynch::Accept for Through {
    type Error = Failed;
    type Stream<'t, S: embedded_io_async::Read + embedded_io_async::Write + 't> = Passed<S>;

    async fn accept<'t, S: embedded_io_async::Read + embedded_io_async::Write + 't>(
        &'t mut self,
        mut socket: S,
        early: &[u8],
    ) -> Result<Passed<S>, Failed> {
        socket.write_all(early).await.map_err(failed)?;
        Ok(Passed(socket))
    }
}
