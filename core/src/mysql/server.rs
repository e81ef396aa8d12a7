use core::convert::Infallible;
use core::time::Duration;

use super::{Greeting, MAX_HEADER, MAX_RESPONSE, capability};
use crate::server::{Answer, Command, Config, Grammar, Said};
use crate::wire::{self, Packets, Writer};
use crate::{Error, Protocol};

/// The grammar of a MySQL server up to the upgrade.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ServerGrammar<'a> {
    greeting: Greeting<'a>,
    /// Whether the client's next bytes are TLS.
    ssl_requested: bool,
}

impl<'a> crate::Server<ServerGrammar<'a>> {
    /// A server at the start of a fresh connection, which sends `greeting`.
    #[must_use]
    pub fn new(greeting: Greeting<'a>, config: Config) -> Self {
        Self::with_grammar(ServerGrammar { greeting, ssl_requested: false }, config)
    }
}

/// The flag's place in the second byte of a client's capabilities.
const SSL: u8 = second(capability::SSL);
const PROTOCOL_41: u8 = second(capability::PROTOCOL_41);

const fn second(capability: u32) -> u8 {
    let [_, second, ..] = capability.to_le_bytes();
    second
}

/// The first bytes of a client's packet: its length, the sequence number 1 and the fixed part of an
/// `SSLRequest` or a response. The user name and the password proof after them are not read.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ResponseHeader(());

impl wire::Header for ResponseHeader {
    const MAX_PACKET: usize = MAX_HEADER;

    fn packet_len(input: &[u8]) -> Result<Option<usize>, Error> {
        let [a, b, c, sequence, payload @ ..] = input else { return Ok(None) };
        let length = u32::from_le_bytes([*a, *b, *c, 0]);
        if length > MAX_RESPONSE {
            return Err(Error::FrameTooLong);
        }
        if *sequence != 1 {
            return Err(Error::Syntax);
        }
        let [_, flags, ..] = payload else {
            return if length < 2 { Err(Error::Syntax) } else { Ok(None) };
        };
        match (flags & PROTOCOL_41 != 0, flags & SSL != 0, length) {
            (true, true, 32) | (true, false, 34..) => Ok(Some(MAX_HEADER)),
            // A client before 4.1, whose user name and proof come earlier.
            (false, false, 6..) => Ok(Some(6)),
            _ => Err(Error::Syntax),
        }
    }
}

/// An ERR packet: a header, the byte 255, the error's number, and its SQLSTATE after a `#`.
const REQUIRED: &[u8] = b"\x42\0\0\x02\xff\x57\x0c#HY000\
    Connections have to be encrypted: use --ssl-mode=REQUIRED";
const TOO_LONG: &[u8] = b"\x18\0\0\x02\xff\x81\x04#08S01Packet too long";
const MALFORMED: &[u8] = b"\x16\0\0\x02\xff\x13\x04#08S01Bad handshake";

impl Grammar for ServerGrammar<'_> {
    type Framing = Packets<ResponseHeader>;
    type Reply = Infallible;

    const PROTOCOL: Protocol = Protocol::MYSQL;
    const MAX_OUTPUT: usize = Greeting::MAX;
    const WAIT: Duration = Duration::from_secs(10);

    fn command(&mut self, header: &[u8]) -> Command<Infallible> {
        self.ssl_requested = matches!(header, [_, _, _, _, _, flags, ..] if flags & SSL != 0);
        if self.ssl_requested { Command::Upgrade } else { Command::SkipUpgrade }
    }

    fn print(&self, reply: Said<Infallible>, offer: bool, out: &mut Writer<'_>) {
        let Said::Engine(answer) = reply;
        out.put(match answer {
            Answer::Greeting => return self.greeting.print(offer, out),
            // The client expects TLS next, so plaintext would break its handshake.
            _ if self.ssl_requested => b"",
            Answer::TlsRequired => REQUIRED,
            Answer::TooLong => TOO_LONG,
            Answer::Malformed => MALFORMED,
            _ => b"",
        });
    }

    fn ends(&self, reply: Said<Infallible>) -> bool {
        reply != Said::Engine(Answer::Greeting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_packet_has_its_length() {
        for error in [REQUIRED, TOO_LONG, MALFORMED] {
            let [length, 0, 0, 2, payload @ ..] = error else { panic!("no header") };
            assert_eq!(usize::from(*length), payload.len(), "{}", payload.escape_ascii());
            assert!(error.len() <= ServerGrammar::MAX_OUTPUT);
        }
    }
}
