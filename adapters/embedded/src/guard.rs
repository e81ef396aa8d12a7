//! Filters the records that reach a TLS 1.3 client, by their headers (RFC 8446 §5).
//!
//! An on-path attacker can insert records into the stream. Those that TLS 1.3 does not protect are rejected
//! here, before the TLS library reads them.

use core::cell::Cell;
use core::fmt;

use embedded_io::{ErrorKind, ErrorType, Read, Write};

use crate::conceal::conceal;

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

/// The maximum number of records in a server's handshake. Each message has to fit into one record.
const MAX_RECORDS: u8 = 32;

/// The maximum number of records without data during one read: session tickets or padding.
const MAX_QUIET: u8 = 32;

/// The maximum number of change_cipher_spec records in a handshake, which have no meaning (RFC 8446 §5). A
/// server sends one.
const MAX_CHANGES: u8 = 2;

/// The maximum length of a plaintext record's contents and of an encrypted record's, in bytes (RFC 8446 §5.1,
/// §5.2).
const MAX_PLAINTEXT: u16 = 1 << 14;
const MAX_ENCRYPTED: u16 = MAX_PLAINTEXT + 256;

/// The minimum length of an encrypted record's contents, in bytes: a content type and a tag.
const MIN_ENCRYPTED: u16 = 1 + 16;

/// A violation of the record layer that no TLS 1.3 server commits, so an attacker may have inserted the
/// bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Breach {
    /// A TLS record of a type that is not allowed at this point, such as a plaintext alert after the keys
    /// exist.
    Misplaced,
    /// A TLS record of an invalid length, or bytes that are no TLS record.
    Malformed,
    /// Too many TLS records without progress.
    Flood,
    /// The connection ended without close_notify: an attacker may have truncated it.
    Cut,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Misplaced => "a TLS record of a type that is not allowed here",
            Self::Malformed => "a malformed TLS record",
            Self::Flood => "too many TLS records without progress",
            Self::Cut => "the connection ended without TLS's goodbye",
        })
    }
}

impl core::error::Error for Breach {}

impl embedded_io::Error for Breach {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Cut => ErrorKind::ConnectionAborted,
            _ => ErrorKind::InvalidData,
        }
    }
}

/// The progress of the server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The server has sent nothing.
    Silent,
    /// The server has sent its ServerHello. Everything after it must be encrypted.
    Hello,
    /// The handshake is complete.
    Open,
}

/// The state of a stream of records.
pub(crate) struct Guard {
    stage: Cell<Stage>,
    header: Cell<[u8; 5]>,
    /// How many bytes of the header have arrived.
    have: Cell<u8>,
    /// How many bytes of the contents are still to come.
    left: Cell<u16>,
    /// How many more records are allowed without progress.
    records: Cell<u8>,
    changes: Cell<u8>,
    breach: Cell<Option<Breach>>,
    /// Whether close_notify has arrived.
    pub(crate) closed: Cell<bool>,
}

impl Guard {
    pub(crate) const fn new() -> Self {
        Self {
            stage: Cell::new(Stage::Silent),
            header: Cell::new([0; 5]),
            have: Cell::new(0),
            left: Cell::new(0),
            records: Cell::new(MAX_RECORDS),
            changes: Cell::new(MAX_CHANGES),
            breach: Cell::new(None),
            closed: Cell::new(false),
        }
    }

    /// The handshake is complete.
    pub(crate) fn open(&self) {
        self.stage.set(Stage::Open);
    }

    /// A read starts to wait.
    pub(crate) fn awaits_data(&self) {
        self.records.set(MAX_QUIET);
    }

    pub(crate) const fn breach(&self) -> Option<Breach> {
        self.breach.get()
    }

    fn check(&self) -> Result<(), Breach> {
        self.breach().map_or(Ok(()), Err)
    }

    /// Checks received bytes.
    fn look(&self, octets: &[u8]) -> Result<(), Breach> {
        let looked = match octets {
            [] => Err(Breach::Cut),
            octets => self.look_at(octets),
        };
        if let Err(breach) = looked {
            self.breach.set(Some(breach));
        }
        looked
    }

    fn look_at(&self, mut octets: &[u8]) -> Result<(), Breach> {
        while let [first, rest @ ..] = octets {
            if self.left.get() > 0 {
                let [kind, ..] = self.header.get();
                // 1 is the only valid value (RFC 8446 §5).
                if kind == CHANGE_CIPHER_SPEC && *first != 1 {
                    return Err(Breach::Malformed);
                }
                let n = octets.len().min(usize::from(self.left.get()));
                let taken = u16::try_from(n).unwrap_or(u16::MAX);
                self.left.set(self.left.get().saturating_sub(taken));
                octets = octets.get(n..).unwrap_or_default();
                continue;
            }
            let mut header = self.header.get();
            if let Some(place) = header.get_mut(usize::from(self.have.get())) {
                *place = *first;
            }
            self.header.set(header);
            self.have.set(self.have.get().wrapping_add(1));
            octets = rest;
            if usize::from(self.have.get()) == header.len() {
                self.have.set(0);
                self.begin(header)?;
            }
        }
        Ok(())
    }

    /// Checks the header of a record.
    fn begin(&self, [kind, major, _, high, low]: [u8; 5]) -> Result<(), Breach> {
        let length = u16::from_be_bytes([high, low]);
        let lengths = match (self.stage.get(), kind) {
            (Stage::Silent, HANDSHAKE) => {
                self.stage.set(Stage::Hello);
                1..=MAX_PLAINTEXT
            }
            // A server that rejects the ClientHello sends a plaintext alert. It cannot be told from an
            // attacker's, but it only ends the connection.
            (Stage::Silent, ALERT) => 2..=2,
            (Stage::Hello, CHANGE_CIPHER_SPEC) => {
                let Some(changes) = self.changes.get().checked_sub(1) else {
                    return Err(Breach::Flood);
                };
                self.changes.set(changes);
                1..=1
            }
            (Stage::Hello | Stage::Open, APPLICATION_DATA) => MIN_ENCRYPTED..=MAX_ENCRYPTED,
            (_, CHANGE_CIPHER_SPEC | ALERT | HANDSHAKE | APPLICATION_DATA) => {
                return Err(Breach::Misplaced);
            }
            _ => return Err(Breach::Malformed),
        };
        if major != 3 || !lengths.contains(&length) {
            return Err(Breach::Malformed);
        }
        let Some(records) = self.records.get().checked_sub(1) else { return Err(Breach::Flood) };
        self.records.set(records);
        self.left.set(length);
        Ok(())
    }
}

/// The socket below TLS, with the guard of its input.
pub(crate) struct Guarded<'g, S> {
    pub(crate) socket: S,
    pub(crate) guard: &'g Guard,
}

conceal!("Guarded", Guarded<'_, S> [S]);

/// Why a guarded socket failed.
#[derive(Debug)]
pub(crate) enum GuardedError<E> {
    Breach(Breach),
    Socket(E),
}

impl<E> From<Breach> for GuardedError<E> {
    fn from(breach: Breach) -> Self {
        Self::Breach(breach)
    }
}

impl<E: embedded_io::Error> fmt::Display for GuardedError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Breach(breach) => breach.fmt(f),
            Self::Socket(error) => write!(f, "{:?}", error.kind()),
        }
    }
}

impl<E: embedded_io::Error> core::error::Error for GuardedError<E> {}

impl<E: embedded_io::Error> embedded_io::Error for GuardedError<E> {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Breach(breach) => breach.kind(),
            Self::Socket(error) => error.kind(),
        }
    }
}

impl<S: ErrorType> ErrorType for Guarded<'_, S> {
    type Error = GuardedError<S::Error>;
}

impl<S> Guarded<'_, S> {
    /// Passes a read on if the guard accepts its bytes.
    fn passed<E>(&self, buf: &[u8], read: Result<usize, E>) -> Result<usize, GuardedError<E>> {
        let n = read.map_err(GuardedError::Socket)?.min(buf.len());
        self.guard.look(buf.get(..n).unwrap_or_default())?;
        Ok(n)
    }
}

impl<S: Read> Read for Guarded<'_, S> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Self::Error> {
        self.guard.check()?;
        let read = self.socket.read(buf);
        self.passed(buf, read)
    }
}

impl<S: Write> Write for Guarded<'_, S> {
    fn write(&mut self, buf: &[u8]) -> Result<usize, Self::Error> {
        self.guard.check()?;
        self.socket.write(buf).map_err(GuardedError::Socket)
    }

    fn flush(&mut self) -> Result<(), Self::Error> {
        self.socket.flush().map_err(GuardedError::Socket)
    }
}

#[cfg(feature = "async")]
impl<S: embedded_io_async::Read> embedded_io_async::Read for Guarded<'_, S> {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, Self::Error> {
        self.guard.check()?;
        let read = self.socket.read(buf).await;
        self.passed(buf, read)
    }
}

#[cfg(feature = "async")]
impl<S: embedded_io_async::Write> embedded_io_async::Write for Guarded<'_, S> {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, Self::Error> {
        self.guard.check()?;
        self.socket.write(buf).await.map_err(GuardedError::Socket)
    }

    async fn flush(&mut self) -> Result<(), Self::Error> {
        self.socket.flush().await.map_err(GuardedError::Socket)
    }
}
