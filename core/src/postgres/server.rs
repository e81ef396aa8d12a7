use core::mem::replace;
use core::time::Duration;

use super::{MAX_HEADER, MAX_PACKET};
use crate::server::{Answer, Command, Config, Grammar, Said};
use crate::wire::{self, Packets, Writer};
use crate::{Error, Protocol};

/// The grammar of a PostgreSQL server up to the upgrade.
#[derive(Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ServerGrammar {
    last: Packet,
    ssl_asked: bool,
    gss_asked: bool,
}

impl crate::Server<ServerGrammar> {
    /// A server at the start of a fresh connection.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self::with_grammar(ServerGrammar::default(), config)
    }

    /// Whether the client began with TLS, without an SSLRequest. It is known from
    /// [`Event::UpgradeRequested`](crate::server::Event::UpgradeRequested) on.
    ///
    /// Then the handshake has to agree on the ALPN id of [`Protocol::POSTGRES`], and **the caller has to
    /// fail it otherwise**: see [`Upgrade::alpn`](crate::server::Upgrade::alpn).
    #[must_use]
    pub const fn is_direct(&self) -> bool {
        matches!(self.grammar().last, Packet::Tls)
    }
}

/// The replies of a PostgreSQL server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Reply {
    /// The reply to GSSENCRequest: `N`.
    NoGss,
    /// The reply to another protocol version than 3, and to a second encryption request.
    UnsupportedProtocol,
}

/// A packet's kind, by its first bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum Packet {
    /// No packet yet.
    #[default]
    None,
    /// The first byte of TLS instead of a packet.
    Tls,
    SslRequest,
    GssEncRequest,
    CancelRequest,
    /// Of protocol 3.
    StartupMessage,
    Unsupported,
}

impl Packet {
    const fn of(code: [u8; 4]) -> Self {
        const SPECIAL: u16 = 1234;
        let [a, b, c, d] = code;
        match (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])) {
            (SPECIAL, 5678) => Self::CancelRequest,
            (SPECIAL, 5679) => Self::SslRequest,
            (SPECIAL, 5680) => Self::GssEncRequest,
            // The minor version is negotiated later.
            (3, _) => Self::StartupMessage,
            _ => Self::Unsupported,
        }
    }
}

/// The first bytes of a packet: its length, which counts itself, and its code. The first byte of TLS is
/// recognised but not consumed.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Header(());

impl wire::Header for Header {
    const MAX_PACKET: usize = MAX_HEADER;

    fn packet_len(input: &[u8]) -> Result<Option<usize>, Error> {
        let (length, code) = match input {
            [0x16, ..] => return Ok(Some(0)),
            [a, b, c, d, code @ ..] => (u32::from_be_bytes([*a, *b, *c, *d]), code),
            _ => return Ok(None),
        };
        if length > MAX_PACKET {
            return Err(Error::FrameTooLong);
        }
        let allowed = match code.first_chunk().map(|code| Packet::of(*code)) {
            Some(Packet::SslRequest | Packet::GssEncRequest) => length == 8,
            // A process id, and a key of 4 to 256 bytes.
            Some(Packet::CancelRequest) => matches!(length, 16..=268),
            _ => length >= 8,
        };
        if allowed { Ok(Some(MAX_HEADER)) } else { Err(Error::Syntax) }
    }
}

/// An ErrorResponse: its type, its length in four bytes, and fields that end with a zero byte: severity
/// twice, SQLSTATE, message.
const REQUIRED: &[u8] = b"E\x00\x00\x00\x55SFATAL\0VFATAL\0C28000\0\
    Mconnections have to be encrypted: use sslmode=verify-full\0\0";
const UNSUPPORTED: &[u8] = b"E\x00\x00\x00\x4cSFATAL\0VFATAL\0C0A000\0\
    Munsupported frontend protocol: server supports 3\0\0";

impl Grammar for ServerGrammar {
    type Framing = Packets<Header>;
    type Reply = Reply;

    const PROTOCOL: Protocol = Protocol::POSTGRES;
    const MAX_OUTPUT: usize = REQUIRED.len();
    const GREETS: bool = false;
    const WAIT: Duration = Duration::from_secs(60);

    fn is_direct(&self) -> bool {
        matches!(self.last, Packet::Tls)
    }

    fn command(&mut self, header: &[u8]) -> Command<Reply> {
        let packet = header.last_chunk().map_or(Packet::Tls, |code| Packet::of(*code));
        match (packet, replace(&mut self.last, packet)) {
            (Packet::Tls, Packet::None) => Command::Upgrade,
            // TLS may come first, but not after a packet.
            (Packet::Tls | Packet::None, _) => Command::Foreign,
            (Packet::SslRequest, _) if !replace(&mut self.ssl_asked, true) => Command::Upgrade,
            (Packet::GssEncRequest, _) if !replace(&mut self.gss_asked, true) => {
                Command::Harmless(Reply::NoGss)
            }
            (Packet::CancelRequest | Packet::StartupMessage, _) => Command::SkipUpgrade,
            _ => Command::Fault(Reply::UnsupportedProtocol),
        }
    }

    fn print(&self, reply: Said<Reply>, _: bool, out: &mut Writer<'_>) {
        out.put(match (reply, self.last) {
            (Said::Engine(Answer::GoAhead), Packet::SslRequest) => b"S",
            (Said::Engine(Answer::Unavailable), Packet::SslRequest)
            | (Said::Grammar(Reply::NoGss), _) => b"N",
            (Said::Engine(Answer::TlsRequired), Packet::StartupMessage) => REQUIRED,
            (Said::Grammar(Reply::UnsupportedProtocol), _) => UNSUPPORTED,
            // Direct TLS needs no go-ahead, and a CancelRequest has no reply.
            _ => b"",
        });
    }

    fn ends(&self, reply: Said<Reply>) -> bool {
        match reply {
            Said::Grammar(Reply::NoGss) => false,
            Said::Engine(Answer::Unavailable) => self.last != Packet::SslRequest,
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_response_has_its_length() {
        for error in [REQUIRED, UNSUPPORTED] {
            let [b'E', a, b, c, d, fields @ ..] = error else { panic!("no error") };
            let length = u32::from_be_bytes([*a, *b, *c, *d]);
            assert_eq!(usize::try_from(length), Ok(4 + fields.len()));
            assert!(error.len() <= ServerGrammar::MAX_OUTPUT && fields.ends_with(b"\0\0"));
        }
    }
}
