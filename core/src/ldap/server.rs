use core::time::Duration;

use super::message::{
    BIND, EXTENDED_REQUEST, EXTENDED_RESPONSE, Envelope, Message, NOTICE_OF_DISCONNECTION,
    RESPONSE_NAME, START_TLS, extended_request, is_anonymous,
};
use crate::Protocol;
use crate::server::{Answer, Command, Config, Grammar, Said};
use crate::wire::{Packets, Writer};

/// The grammar of an LDAP server up to the upgrade.
#[derive(Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ServerGrammar {
    /// The messageID of the request to answer.
    id: i32,
    /// The tag of its response.
    response: u8,
    /// Whether it is an unknown extended operation.
    unsupported: bool,
}

impl crate::Server<ServerGrammar> {
    /// A server at the start of a fresh connection.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self::with_grammar(ServerGrammar::default(), config)
    }
}

/// The replies of an LDAP server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Reply {
    /// The reply to StartTLS with a requestValue.
    NoValue,
    /// The reply to StartTLS with a critical control: the server knows none.
    CriticalControl,
}

const UNBIND: u8 = 0x42;
const ABANDON: u8 = 0x50;

/// The other requests, with the tags of their responses. A value that is written or compared may be a
/// password.
const REQUESTS: [(u8, u8, Command<Reply>); 6] = [
    (0x63, 0x65, Command::SkipUpgrade), // search
    (0x66, 0x67, Command::Credentials), // modify
    (0x68, 0x69, Command::Credentials), // add
    (0x4a, 0x6b, Command::SkipUpgrade), // delete
    (0x6c, 0x6d, Command::SkipUpgrade), // modify DN
    (0x6e, 0x6f, Command::Credentials), // compare
];

// Result codes (RFC 4511 §4.1.9).
const SUCCESS: u8 = 0;
const OPERATIONS_ERROR: u8 = 1;
const PROTOCOL_ERROR: u8 = 2;
const UNAVAILABLE_CRITICAL_EXTENSION: u8 = 12;
const CONFIDENTIALITY_REQUIRED: u8 = 13;
const UNAVAILABLE: u8 = 52;

impl ServerGrammar {
    fn extended(body: &[u8]) -> Option<Command<Reply>> {
        /// RFC 3062.
        const PASSWORD_MODIFY: &[u8] = b"1.3.6.1.4.1.4203.1.11.1";
        Some(match extended_request(body)? {
            (START_TLS, None) => Command::Upgrade,
            (START_TLS, Some(_)) => Command::Fault(Reply::NoValue),
            (PASSWORD_MODIFY, _) => Command::Credentials,
            _ => Command::SkipUpgrade,
        })
    }

    fn read(&mut self, frame: &[u8]) -> Option<Command<Reply>> {
        let message = Message::parse(frame)?;
        // The messageID 0 belongs to unsolicited notifications, which only servers send.
        if message.id == 0 {
            return None;
        }
        self.id = message.id;
        let (response, command) = match message.op {
            BIND if is_anonymous(message.body)? => (BIND | 1, Command::SkipUpgrade),
            BIND => (BIND | 1, Command::Credentials),
            EXTENDED_REQUEST => {
                let command = match Self::extended(message.body)? {
                    Command::Upgrade if message.has_critical_control()? => {
                        Command::Fault(Reply::CriticalControl)
                    }
                    command => command,
                };
                (EXTENDED_RESPONSE, command)
            }
            UNBIND => (0, Command::Quit),
            ABANDON => (0, Command::Ignored),
            op => {
                let (_, response, command) =
                    REQUESTS.iter().find(|(request, ..)| *request == op)?;
                (*response, *command)
            }
        };
        self.response = response;
        self.unsupported =
            message.op == EXTENDED_REQUEST && matches!(command, Command::SkipUpgrade);
        Some(command)
    }

    /// Prints a message whose lengths all take one byte.
    fn put(id: i32, response: u8, code: u8, text: &[u8], name: &[u8], out: &mut Writer<'_>) {
        let length = |octets: &[u8]| {
            let [.., length] = octets.len().to_be_bytes();
            length
        };
        let octets = id.to_be_bytes();
        // The shortest encoding that keeps the sign bit.
        let mut id = &octets[..];
        while let [0, rest @ ..] = id
            && rest.first().is_some_and(|next| *next < 0x80)
        {
            id = rest;
        }
        let named = if name.is_empty() { 0 } else { length(name).wrapping_add(2) };
        let body = length(text).wrapping_add(7).wrapping_add(named);
        let fields = length(id).wrapping_add(4).wrapping_add(body);
        out.put(&[0x30, fields, 0x02, length(id)]);
        out.put(id);
        out.put(&[response, body, 0x0a, 1, code, 0x04, 0, 0x04, length(text)]);
        out.put(text);
        if !name.is_empty() {
            out.put(&[RESPONSE_NAME, length(name)]);
            out.put(name);
        }
    }

    /// Prints a Notice of Disconnection (RFC 4511 §4.4.1).
    fn put_notice(code: u8, text: &[u8], out: &mut Writer<'_>) {
        Self::put(0, EXTENDED_RESPONSE, code, text, NOTICE_OF_DISCONNECTION, out);
    }
}

impl Grammar for ServerGrammar {
    type Framing = Packets<Envelope>;
    type Reply = Reply;

    const PROTOCOL: Protocol = Protocol::LDAP;
    const MAX_OUTPUT: usize = 80;
    const GREETS: bool = false;
    const WAIT: Duration = Duration::from_secs(60);

    fn command(&mut self, frame: &[u8]) -> Command<Reply> {
        self.read(frame).unwrap_or(Command::Malformed)
    }

    fn print(&self, reply: Said<Reply>, _: bool, out: &mut Writer<'_>) {
        let (code, text): (u8, &[u8]) = match reply {
            Said::Engine(answer) => match answer {
                Answer::GoAhead => (SUCCESS, b""),
                Answer::Unavailable => (UNAVAILABLE, b"TLS not available now"),
                Answer::TlsRequired if self.unsupported => {
                    (PROTOCOL_ERROR, b"Not supported before TLS")
                }
                Answer::TlsRequired | Answer::EncryptionRequired => {
                    (CONFIDENTIALITY_REQUIRED, b"StartTLS first")
                }
                Answer::BadSequence => (OPERATIONS_ERROR, b"Not now"),
                Answer::Unknown => (PROTOCOL_ERROR, b"Not known"),
                // An unbind has no response, and LDAP has no greeting.
                Answer::Bye | Answer::Greeting => return,
                Answer::TooManyErrors => {
                    return Self::put_notice(UNAVAILABLE, b"Too many errors", out);
                }
                Answer::TooSlow => return Self::put_notice(UNAVAILABLE, b"Idle for too long", out),
                Answer::TooLong => return Self::put_notice(PROTOCOL_ERROR, b"Too long", out),
                Answer::Malformed => {
                    return Self::put_notice(PROTOCOL_ERROR, b"Not a request", out);
                }
            },
            Said::Grammar(Reply::NoValue) => (PROTOCOL_ERROR, b"No value allowed"),
            Said::Grammar(Reply::CriticalControl) => {
                (UNAVAILABLE_CRITICAL_EXTENSION, b"No control is known")
            }
        };
        Self::put(self.id, self.response, code, text, b"", out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(id: i32) -> heapless::Vec<u8, 80> {
        let mut output = [0; 80];
        let mut out = Writer::new(&mut output);
        ServerGrammar::put(id, EXTENDED_RESPONSE, SUCCESS, b"", b"", &mut out);
        let written = out.finish().expect("80 bytes are enough");
        heapless::Vec::from_slice(&output[..written]).expect("as many")
    }

    #[test]
    fn every_message_id_comes_back() {
        let mut ids = heapless::Vec::<i32, 100>::new();
        ids.extend((0..31).flat_map(|bit| [1 << bit, (1 << bit) - 1, (1 << bit) | 1]));
        ids.push(i32::MAX).expect("room");
        for id in ids {
            let message = printed(id);
            let read = Message::parse(&message).expect("a message");
            assert_eq!((read.id, read.op), (id, EXTENDED_RESPONSE), "{message:x?}");
        }
        assert_eq!(printed(1), *b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00");
    }

    #[test]
    fn the_longest_notice_fits() {
        for answer in [Answer::TooManyErrors, Answer::TooSlow, Answer::TooLong, Answer::Malformed] {
            let mut output = [0; ServerGrammar::MAX_OUTPUT];
            let mut out = Writer::new(&mut output);
            ServerGrammar::default().print(Said::Engine(answer), false, &mut out);
            let written = out.finish().expect("the largest output");
            let notice = Message::parse(&output[..written]).expect("a message");
            assert_eq!((notice.id, notice.op), (0, EXTENDED_RESPONSE));
        }
    }
}
