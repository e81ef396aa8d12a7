//! TLS records. Received ones are decrypted in place; new ones are encrypted into the free space after the
//! output.

use alloc::boxed::Box;
use core::ops::DerefMut;

use rustls::CommonState;
use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncryptError, UnbufferedStatus};

use crate::buffer::{Incoming, Outgoing};
use crate::{Error, MAX_RECORD};

/// The side of a TLS connection.
pub trait Side {
    #[doc(hidden)]
    type Data;
    #[doc(hidden)]
    type Connection: DerefMut<Target = Common<Self::Data>>;

    #[doc(hidden)]
    fn process<'c, 'i>(
        connection: &'c mut Self::Connection,
        records: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, Self::Data>;
}

type Common<D> = rustls::unbuffered::UnbufferedConnectionCommon<D>;

/// The client's side of TLS.
#[derive(Debug)]
pub enum ClientSide {}

impl Side for ClientSide {
    type Data = ClientConnectionData;
    type Connection = UnbufferedClientConnection;

    fn process<'c, 'i>(
        connection: &'c mut Self::Connection,
        records: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, Self::Data> {
        connection.process_tls_records(records)
    }
}

/// The server's side of TLS.
#[derive(Debug)]
pub enum ServerSide {}

impl Side for ServerSide {
    type Data = ServerConnectionData;
    type Connection = UnbufferedServerConnection;

    fn process<'c, 'i>(
        connection: &'c mut Self::Connection,
        records: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, Self::Data> {
        connection.process_tls_records(records)
    }
}

/// The maximum growth of a record over its contents, in bytes: header, nonce, content type and tag.
const OVERHEAD: usize = 32;

/// The maximum size of a key update before the records, in bytes.
const KEY_UPDATE: usize = 64;

/// The space kept free after the caller's bytes, in bytes, for one or two alerts of TLS itself. So records
/// can be decrypted whatever output waits.
pub(crate) const ANSWER: usize = 128;

/// The smallest fragment size that rustls accepts, in bytes.
const MIN_FRAGMENT: usize = 27;

/// The size of a record's header, in bytes.
const HEADER: usize = 5;

/// The length of the first records together, up to the end of the one that has begun to arrive, in bytes.
///
/// It is only a guess: rustls may have moved the messages of a handshake over the headers.
pub(crate) fn length(records: &[u8]) -> usize {
    let mut length = 0;
    while let Some([_, _, _, high, low, ..]) = records.get(length..) {
        length += HEADER + usize::from(u16::from_be_bytes([*high, *low]));
    }
    length
}

/// The maximum size of `plaintext` bytes in fragments of `fragment` bytes, after a key update.
const fn sealed(plaintext: usize, fragment: usize) -> usize {
    plaintext + (plaintext / fragment + 1) * OVERHEAD + KEY_UPDATE
}

/// How many plaintext bytes fit into `free` bytes together with their encryption.
const fn half(free: usize, fragment: usize) -> usize {
    let octets = free.saturating_sub(OVERHEAD + KEY_UPDATE + ANSWER);
    // No overflow with a 32-bit `usize`: a fragment has at most 2^14 bytes.
    octets * fragment / (2 * fragment + OVERHEAD)
}

const _: () = assert!({
    let room = half(crate::SEND, MIN_FRAGMENT);
    room >= crate::MAX_OUTPUT && room + sealed(room, MIN_FRAGMENT) <= crate::SEND
});

/// The result of decrypting records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opened {
    /// All received records are decrypted.
    All,
    /// The output has to be sent first, because TLS may have to answer.
    NoRoom,
}

/// A TLS connection.
pub(crate) struct Records<S: Side> {
    connection: Box<S::Connection>,
    fragment: usize,
    /// Whether bytes were received since the last call.
    fresh: bool,
    /// Whether the handshake is complete and its last bytes are queued.
    pub(crate) established: bool,
    /// Whether the peer has sent close_notify.
    pub(crate) peer_closed: bool,
    /// Whether this side has sent close_notify.
    pub(crate) closed: bool,
    pub(crate) failed: Option<Error>,
}

impl<S: Side> Records<S> {
    pub(crate) fn new(connection: S::Connection, max_fragment_size: Option<usize>) -> Self {
        let fragment = max_fragment_size.map_or(1 << 14, |size| size.saturating_sub(HEADER));
        Self {
            connection: Box::new(connection),
            fragment: fragment.clamp(MIN_FRAGMENT, 1 << 14),
            fresh: true,
            established: false,
            peer_closed: false,
            closed: false,
            failed: None,
        }
    }

    pub(crate) fn common(&self) -> &CommonState {
        &self.connection
    }

    pub(crate) const fn received(&mut self) {
        self.fresh = true;
    }

    /// Whether output has to be sent before the received records can be decrypted.
    pub(crate) fn needs_room(&self, outgoing: &Outgoing) -> bool {
        let answer = if self.established { ANSWER } else { MAX_RECORD };
        self.fresh && self.failed.is_none() && outgoing.room() < answer
    }

    /// Whether bytes can still be sent.
    pub(crate) fn may_write(&self) -> Result<(), Error> {
        match &self.failed {
            Some(error) => Err(error.clone()),
            None if self.closed => Err(starttls::Error::OutOfOrder.into()),
            None => Ok(()),
        }
    }

    /// Decrypts every whole record, and queues TLS's own answers.
    ///
    /// A failure is stored and its alert queued. Data that was decrypted before it still counts, so that the
    /// result does not depend on how the network cut the bytes.
    pub(crate) fn open(&mut self, incoming: &mut Incoming, outgoing: &mut Outgoing) -> Opened {
        while self.fresh && self.failed.is_none() {
            // rustls loses a record of its own that does not fit, so nothing is processed without room.
            if self.needs_room(outgoing) {
                return Opened::NoRoom;
            }
            if let Err(error) = self.open_next(incoming, outgoing) {
                self.failed = Some(error);
                self.say_alert(outgoing);
            }
        }
        Opened::All
    }

    fn open_next(&mut self, incoming: &mut Incoming, outgoing: &mut Outgoing) -> Result<(), Error> {
        let UnbufferedStatus { discard, state } =
            S::process(&mut self.connection, incoming.sealed_mut());
        let mut has_opened = false;
        match state? {
            ConnectionState::EncodeTlsData(mut data) => {
                let written = data.encode(outgoing.free_mut()).map_err(|_| Error::Internal)?;
                outgoing.filled_more(written);
            }
            ConnectionState::TransmitTlsData(data) => data.done(),
            // rustls keeps the contents until `next_record`.
            ConnectionState::ReadTraffic(_) => has_opened = true,
            ConnectionState::BlockedHandshake | ConnectionState::WriteTraffic(_) => {
                self.fresh = false;
            }
            ConnectionState::PeerClosed => self.peer_closed = true,
            ConnectionState::Closed => self.fresh = false,
            ConnectionState::ReadEarlyData(_) => return Err(Error::EarlyData),
            _ => return Err(Error::Internal),
        }
        incoming.discard(discard);
        if has_opened { self.take_contents(incoming) } else { Ok(()) }
    }

    /// Moves the contents of a record into its place.
    fn take_contents(&mut self, incoming: &mut Incoming) -> Result<(), Error> {
        let UnbufferedStatus { state, .. } = S::process(&mut self.connection, &mut []);
        let ConnectionState::ReadTraffic(mut contents) = state? else {
            return Err(Error::Internal);
        };
        while let Some(record) = contents.next_record() {
            if !incoming.opened(record?.payload) {
                return Err(Error::Internal);
            }
        }
        Ok(())
    }

    /// Queues the alert that tells the peer why, as far as it fits.
    fn say_alert(&mut self, outgoing: &mut Outgoing) {
        while self.connection.wants_write() {
            let UnbufferedStatus { state, .. } = S::process(&mut self.connection, &mut []);
            let Ok(ConnectionState::EncodeTlsData(mut data)) = state else { return };
            let Ok(written) = data.encode(outgoing.free_mut()) else { return };
            outgoing.filled_more(written);
        }
    }

    /// How many plaintext bytes can be encrypted if they too need the free space after `outgoing`.
    pub(crate) fn room(&self, outgoing: &Outgoing) -> usize {
        half(outgoing.room(), self.fragment)
    }

    /// How many plaintext bytes from another buffer can be encrypted.
    pub(crate) fn room_for_sealed(&self, outgoing: &Outgoing) -> usize {
        let room = outgoing.room().saturating_sub(OVERHEAD + KEY_UPDATE + ANSWER);
        room * self.fragment / (self.fragment + OVERHEAD)
    }

    /// Encrypts `plaintext` to the start of `free`. All of `records` are decrypted already.
    ///
    /// After a failure no peer can read it, so it is dropped.
    pub(crate) fn seal(
        &mut self,
        records: &mut [u8],
        plaintext: &[u8],
        free: &mut [u8],
    ) -> Result<usize, Error> {
        if self.failed.is_some() || plaintext.is_empty() {
            return Ok(0);
        }
        self.may_write()?;
        self.write(records, free, |traffic, free| traffic.encrypt(plaintext, free))
    }

    /// Sends close_notify.
    ///
    /// # Errors
    /// [`starttls::Error::OutputTooSmall`] if the output has to be sent first.
    pub(crate) fn close(
        &mut self,
        incoming: &mut Incoming,
        outgoing: &mut Outgoing,
    ) -> Result<(), Error> {
        if self.closed || self.failed.is_some() {
            return Ok(());
        }
        if self.open(incoming, outgoing) == Opened::NoRoom || outgoing.room() < ANSWER {
            return Err(starttls::Error::OutputTooSmall { needed: ANSWER }.into());
        }
        self.closed = true;
        let written = self.write(incoming.sealed_mut(), outgoing.free_mut(), |traffic, free| {
            traffic.queue_close_notify(free)
        })?;
        outgoing.filled_more(written);
        Ok(())
    }

    fn write(
        &mut self,
        records: &mut [u8],
        free: &mut [u8],
        write: impl FnOnce(&mut WriteTraffic<'_, S>, &mut [u8]) -> Result<usize, EncryptError>,
    ) -> Result<usize, Error> {
        let mut written = 0;
        loop {
            let free = free.get_mut(written..).unwrap_or_default();
            match S::process(&mut self.connection, records).state? {
                ConnectionState::EncodeTlsData(mut data) => {
                    written += data.encode(free).map_err(|_| Error::Internal)?;
                }
                ConnectionState::TransmitTlsData(data) => data.done(),
                ConnectionState::WriteTraffic(mut traffic) => {
                    let more = write(&mut traffic, free);
                    return Ok(written + more.map_err(|_| rustls::Error::EncryptError)?);
                }
                _ => return Err(Error::Internal),
            }
        }
    }
}

type WriteTraffic<'c, S> = rustls::unbuffered::WriteTraffic<'c, <S as Side>::Data>;
