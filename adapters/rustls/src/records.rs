//! TLS's records: what comes in is opened where it lies, what goes out is sealed into the free
//! space behind what is to be sent.

use alloc::boxed::Box;
use core::ops::DerefMut;

use rustls::CommonState;
use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncryptError, UnbufferedStatus};

use crate::buffer::{Incoming, Outgoing};
use crate::{Error, MAX_RECORD};

/// Which of rustls's connections it is.
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

/// At most what a record adds to its contents, in octets: header, nonce, content type, tag.
const OVERHEAD: usize = 32;

/// At most what goes in front of them, in octets: a key update.
const KEY_UPDATE: usize = 64;

/// The smallest fragments that rustls can be configured to make, in octets.
const MIN_FRAGMENT: usize = 27;

/// Header of a record.
const HEADER: usize = 5;

/// At most what `plaintext` octets become in fragments of `fragment` octets, and a key update in
/// front of them.
const fn sealed(plaintext: usize, fragment: usize) -> usize {
    plaintext + (plaintext / fragment + 1) * OVERHEAD + KEY_UPDATE
}

/// How many octets can be sealed from one part of `free` octets into the other.
const fn half(free: usize, fragment: usize) -> usize {
    let octets = free.saturating_sub(OVERHEAD + KEY_UPDATE);
    // Without overflow where a `usize` has 32 bits: a fragment has at most 2^14 octets.
    octets * fragment / (2 * fragment + OVERHEAD)
}

const _: () = assert!({
    let room = half(crate::SEND, MIN_FRAGMENT);
    room >= crate::MAX_OUTPUT && room + sealed(room, MIN_FRAGMENT) <= crate::SEND
});

/// What opening records came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opened {
    /// All that were there are open.
    All,
    /// What is to be sent has to leave first: TLS may have to answer.
    NoRoom,
}

/// A TLS connection under way.
pub(crate) struct Records<S: Side> {
    connection: Box<S::Connection>,
    fragment: usize,
    /// Something was received since the last look.
    fresh: bool,
    /// The peer said that nothing more will come.
    pub(crate) peer_closed: bool,
    /// We said so.
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

    /// Whether something has to be sent before what was received can be opened.
    pub(crate) fn needs_room(&self, outgoing: &Outgoing) -> bool {
        self.fresh && self.failed.is_none() && outgoing.room() < MAX_RECORD
    }

    /// Whether octets can still be sent.
    pub(crate) fn may_write(&self) -> Result<(), Error> {
        match &self.failed {
            Some(error) => Err(error.clone()),
            None if self.closed => Err(starttls::Error::OutOfOrder.into()),
            None => Ok(()),
        }
    }

    /// Opens every whole record, and queues what TLS has to say for itself.
    ///
    /// A failure is remembered and its alert queued. What was opened before it still counts, so
    /// that the outcome does not depend on how the octets were cut.
    pub(crate) fn open(&mut self, incoming: &mut Incoming, outgoing: &mut Outgoing) -> Opened {
        while self.fresh && self.failed.is_none() {
            // rustls loses a record of its own that does not fit.
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
            // Its contents stay with rustls until they are asked for.
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

    /// Moves what was in a record into the place of the record.
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

    /// How many octets can be sealed when the free space behind `outgoing` has to hold them, too.
    pub(crate) fn room(&self, outgoing: &Outgoing) -> usize {
        half(outgoing.room(), self.fragment)
    }

    /// How many octets from elsewhere can be sealed.
    pub(crate) fn room_for_sealed(&self, outgoing: &Outgoing) -> usize {
        let room = outgoing.room().saturating_sub(OVERHEAD + KEY_UPDATE);
        room * self.fragment / (self.fragment + OVERHEAD)
    }

    /// Seals `plaintext` into the front of `free`. Every record of `records` is open.
    ///
    /// After a failure there is nobody to say it to, and it is dropped.
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

    /// Says that nothing more will be sent.
    ///
    /// # Errors
    /// [`starttls::Error::OutputTooSmall`] if what is to be sent has to leave first.
    pub(crate) fn close(
        &mut self,
        incoming: &mut Incoming,
        outgoing: &mut Outgoing,
    ) -> Result<(), Error> {
        if self.closed || self.failed.is_some() {
            return Ok(());
        }
        if self.open(incoming, outgoing) == Opened::NoRoom {
            return Err(starttls::Error::OutputTooSmall { needed: MAX_RECORD }.into());
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
