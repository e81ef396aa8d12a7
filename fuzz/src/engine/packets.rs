//! What the engines' targets have to know of the protocols that are made of packets.

use postgres_protocol::message::backend;
use starttls::client::Client;
use starttls::{Policy, Server, mysql, nbd, postgres, server};

use super::{ClientSide, ServerSide};

/// PostgreSQL.
#[derive(Clone, Copy, Debug)]
pub struct Postgres;

impl ClientSide for Postgres {
    type Grammar = postgres::ClientGrammar;

    const REQUEST: &'static [u8] = b"\x00\x00\x00\x08\x04\xd2\x16\x2f";

    fn new(policy: Policy) -> Client<Self::Grammar> {
        postgres::Client::new(policy)
    }

    fn is_go_ahead(frame: &[u8]) -> bool {
        frame == b"S"
    }

    fn assert_request(written: &[u8]) {
        assert_eq!(written, <Self as ClientSide>::REQUEST);
    }
}

impl ServerSide for Postgres {
    type Grammar = postgres::ServerGrammar;

    const ANSWER: &'static str = "";

    fn new(config: server::Config) -> Server<Self::Grammar> {
        postgres::Server::new(config)
    }

    fn asks(packet: &[u8]) -> bool {
        packet.is_empty() || packet == <Self as ClientSide>::REQUEST
    }

    fn is_go_ahead(reply: &[u8]) -> bool {
        reply == b"S"
    }

    /// An error is the last word.
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

/// MySQL.
#[derive(Clone, Copy, Debug)]
pub struct Mysql;

/// The header of an SSLRequest.
const SSL_REQUEST: &[u8] = b"\x20\0\0\x01";

impl ClientSide for Mysql {
    type Grammar = mysql::ClientGrammar;

    // The capabilities are those that every greeting with TLS leaves.
    const REQUEST: &'static [u8] =
        b"\x20\0\0\x01\0\x0a\0\0\0\0\0\x01\x21\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

    fn new(policy: Policy) -> Client<Self::Grammar> {
        mysql::Client::new(mysql::SslRequest::new(0, 1 << 24, 0x21), policy)
    }

    fn is_go_ahead(greeting: &[u8]) -> bool {
        greeting.get(4) == Some(&10)
    }

    fn assert_request(written: &[u8]) {
        assert_eq!(written, <Self as ClientSide>::REQUEST);
    }
}

impl ServerSide for Mysql {
    type Grammar = mysql::ServerGrammar<'static>;

    const ANSWER: &'static str = "";

    fn new(config: server::Config) -> Server<Self::Grammar> {
        let version = mysql::Text::new("8.0.36").expect("a text");
        let greeting = mysql::Greeting::new(version, 7, mysql::Scramble::new([7; 20]));
        mysql::Server::new(greeting, config)
    }

    fn asks(packet: &[u8]) -> bool {
        packet.starts_with(SSL_REQUEST) && packet.len() == 36 && packet[5] & 0x0a == 0x0a
    }

    /// There is none.
    fn is_go_ahead(_: &[u8]) -> bool {
        false
    }

    /// The refusal to go on without TLS is the last word, error 3159.
    fn is_goodbye(reply: &[u8]) -> bool {
        reply.get(4..7) == Some(b"\xff\x57\x0c")
    }

    fn assert_reply(written: &[u8]) {
        let [length, 0, 0, sequence, kind, ..] = written else { panic!("no packet") };
        assert_eq!(usize::from(*length), written.len() - 4);
        assert!(matches!((sequence, kind), (0, 10) | (2, 0xff)));
    }
}

/// NBD.
#[derive(Clone, Copy, Debug)]
pub struct Nbd;

impl ClientSide for Nbd {
    type Grammar = nbd::ClientGrammar;

    const REQUEST: &'static [u8] = b"\0\0\0\x01IHAVEOPT\0\0\0\x05\0\0\0\0";

    // Without a wish, so that every server gets the same.
    fn new(policy: Policy) -> Client<Self::Grammar> {
        nbd::Client::new(nbd::Flags::default(), policy)
    }

    fn is_go_ahead(frame: &[u8]) -> bool {
        frame == b"\x00\x03\xe8\x89\x04\x55\x65\xa9\0\0\0\x05\0\0\0\x01\0\0\0\0"
    }

    fn assert_request(written: &[u8]) {
        assert_eq!(written, <Self as ClientSide>::REQUEST);
    }
}

impl ServerSide for Nbd {
    type Grammar = nbd::ServerGrammar;

    const ANSWER: &'static str = "";

    fn new(config: server::Config) -> Server<Self::Grammar> {
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
