//! The engines' targets: the specifics of packet-based protocols.

use postgres_protocol::message::backend;
use starttls::client::Client;
use starttls::{Policy, Server, mysql, nbd, postgres, server};

use super::{ClientSide, ServerSide};

impl ClientSide for postgres::Postgres {
    const DICTIONARY: &'static str = "packets";
    const REQUEST: &'static [u8] = b"\x00\x00\x00\x08\x04\xd2\x16\x2f";

    fn is_go_ahead(frame: &[u8]) -> bool {
        frame == b"S"
    }

    fn assert_request(written: &[u8]) {
        assert_eq!(written, <Self as ClientSide>::REQUEST);
    }
}

impl ServerSide for postgres::Postgres {
    const ANSWER: &'static str = "";

    fn asks(packet: &[u8]) -> bool {
        packet.is_empty() || packet == <Self as ClientSide>::REQUEST
    }

    fn is_go_ahead(reply: &[u8]) -> bool {
        reply == b"S"
    }

    /// An error ends the connection.
    fn is_goodbye(reply: &[u8]) -> bool {
        reply.first() == Some(&b'E')
    }

    fn assert_reply(written: &[u8]) {
        if !matches!(written, b"S" | b"N") {
            let mut rest = written.into();
            let read = backend::Message::parse(&mut rest).expect("a message");
            assert!(matches!(read, Some(backend::Message::ErrorResponse(_))));
            assert!(rest.is_empty(), "more than one message");
        }
    }
}

/// The header of an SSLRequest.
const SSL_REQUEST: &[u8] = b"\x20\0\0\x01";

impl ClientSide for mysql::Mysql {
    const DICTIONARY: &'static str = "packets";
    // The capabilities are those common to every greeting with TLS.
    const REQUEST: &'static [u8] =
        b"\x20\0\0\x01\0\x0a\0\0\0\0\0\x01\x21\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

    fn new(policy: Policy) -> Client<Self::Client<'static>> {
        mysql::Client::new(mysql::SslRequest::new(0, 1 << 24, 0x21), policy)
    }

    fn is_go_ahead(greeting: &[u8]) -> bool {
        greeting.get(4) == Some(&10)
    }

    fn assert_request(written: &[u8]) {
        assert_eq!(written, <Self as ClientSide>::REQUEST);
    }
}

impl ServerSide for mysql::Mysql {
    const ANSWER: &'static str = "";

    fn asks(packet: &[u8]) -> bool {
        packet.starts_with(SSL_REQUEST) && packet.len() == 36 && packet[5] & 0x0a == 0x0a
    }

    /// The protocol has none.
    fn is_go_ahead(_: &[u8]) -> bool {
        false
    }

    /// Error 3159, the refusal to continue without TLS, ends the connection.
    fn is_goodbye(reply: &[u8]) -> bool {
        reply.get(4..7) == Some(b"\xff\x57\x0c")
    }

    fn assert_reply(written: &[u8]) {
        let [length, 0, 0, sequence, kind, ..] = written else { panic!("no packet") };
        assert_eq!(usize::from(*length), written.len() - 4);
        assert!(matches!((sequence, kind), (0, 10) | (2, 0xff)));
    }
}

impl ClientSide for nbd::Nbd {
    const DICTIONARY: &'static str = "packets";
    const REQUEST: &'static [u8] = b"\0\0\0\x01IHAVEOPT\0\0\0\x05\0\0\0\0";

    fn is_go_ahead(frame: &[u8]) -> bool {
        frame == b"\x00\x03\xe8\x89\x04\x55\x65\xa9\0\0\0\x05\0\0\0\x01\0\0\0\0"
    }

    fn assert_request(written: &[u8]) {
        assert_eq!(written, <Self as ClientSide>::REQUEST);
    }
}

impl ServerSide for nbd::Nbd {
    const ANSWER: &'static str = "";

    fn new(config: server::Config) -> Server<Self::Server<'static>> {
        nbd::Server::new(nbd::Flags::NO_ZEROES, config)
    }

    fn asks(option: &[u8]) -> bool {
        option == b"IHAVEOPT\0\0\0\x05\0\0\0\0"
    }

    fn is_go_ahead(reply: &[u8]) -> bool {
        <Self as ClientSide>::is_go_ahead(reply)
    }

    /// The ACK to ABORT.
    fn is_goodbye(reply: &[u8]) -> bool {
        reply.get(8..16) == Some(b"\0\0\0\x02\0\0\0\x01")
    }

    fn assert_reply(written: &[u8]) {
        if !written.starts_with(b"NBDMAGICIHAVEOPT\0\x03") {
            assert!(written.starts_with(b"\x00\x03\xe8\x89\x04\x55\x65\xa9"));
            assert!(written.len() == 20 && written.ends_with(&[0; 4]));
        }
    }
}
