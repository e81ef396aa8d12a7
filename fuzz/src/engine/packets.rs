//! What the engines' targets have to know of the protocols that are made of packets.

use postgres_protocol::message::backend;
use starttls::client::Client;
use starttls::{Policy, Server, postgres, server};

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
