//! Our two ends against each other, with the bytes cut in every way.

use std::sync::Arc;

use rustls::{HandshakeKind, SupportedProtocolVersion};
use starttls::{Error as Rule, Policy, Protocol, Roles, ldap, postgres, server};
use starttls_rustls::{Client, ClientTls, Connection, Engine, Error, Event, Server, Step};

use crate::common::{
    IDENTITY, Sender, SmtpClient, SmtpServer, Taker, VERSIONS, Want, client, localhost, receive,
    send, server, strict,
};

const MESSAGE: &[u8] = b"Subject: cut\r\n\r\n.dots\r\n..\r\nand more\r\n";

/// Sends a mail, with both directions cut into pieces of `chunk` bytes.
fn play(client: SmtpClient, server: SmtpServer, message: &[u8], chunk: usize) -> (Sender, Taker) {
    let (mut sender, mut taker) = (Sender::new(client, message), Taker::new(server));
    let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
    loop {
        let wants = [sender.turn().expect("no error"), taker.turn().expect("no error")];
        let moved = [
            send(&mut sender.connection, &mut to_server, chunk),
            send(&mut taker.connection, &mut to_client, chunk),
            receive(&mut sender.connection, &mut to_client, chunk),
            receive(&mut taker.connection, &mut to_server, chunk),
        ];
        if moved == [false; 4] {
            assert_eq!(wants, [Want::Over; 2], "{chunk}: {:?} {:?}", sender.log, taker.log);
            return (sender, taker);
        }
    }
}

fn ends(version: &'static SupportedProtocolVersion) -> (SmtpClient, SmtpServer) {
    let server = server(server::Config::default(), IDENTITY.server(version));
    (client(Policy::Required, &strict(version)), server)
}

#[test]
fn a_mail_is_the_same_in_pieces_of_every_size() {
    for version in VERSIONS {
        let (client, server) = ends(version);
        let (whole_sender, whole_taker) = play(client, server, MESSAGE, usize::MAX);
        assert_eq!(whole_taker.message, MESSAGE);
        assert!(whole_sender.log.contains(&"TLS".to_owned()));
        for chunk in (1..300).chain([511, 512, 1000, 1500, 4095, 4096]) {
            let (client, server) = ends(version);
            let (sender, taker) = play(client, server, MESSAGE, chunk);
            assert_eq!(sender.log, whole_sender.log, "pieces of {chunk}");
            assert_eq!(taker.log, whole_taker.log, "pieces of {chunk}");
            assert_eq!(taker.message, MESSAGE);
        }
    }
}

#[test]
fn tls_may_come_first() {
    for version in VERSIONS {
        for chunk in [1, 7, 100, usize::MAX] {
            let client = Client::implicit(Policy::Required, &strict(version), localhost());
            let server = Server::implicit(Arc::new(IDENTITY.server(version)));
            let (sender, taker) = play(client, server, MESSAGE, chunk);
            assert_eq!(taker.message, MESSAGE);
            assert_eq!(sender.log[0], "TLS");
            assert!(sender.log[1].contains("ESMTP"), "a greeting inside TLS: {:?}", sender.log);
        }
    }
}

#[test]
fn a_large_message() {
    let message: Vec<u8> = b"..0123456789abcdef\r\n".repeat(20_000);
    for version in VERSIONS {
        for chunk in [1000, 16_384, 70_000, usize::MAX] {
            let (client, server) = ends(version);
            let (_, taker) = play(client, server, &message, chunk);
            assert!(taker.message == message, "pieces of {chunk}");
        }
    }
}

#[test]
fn the_smallest_fragments() {
    for version in VERSIONS {
        let mut client_config = IDENTITY.client(version);
        client_config.max_fragment_size = Some(32);
        let tls = ClientTls::new(Arc::new(client_config));
        let mut server_config = IDENTITY.server(version);
        server_config.max_fragment_size = Some(32);
        let server = server(server::Config::default(), server_config);
        let message = MESSAGE.repeat(1000);
        let (_, taker) = play(client(Policy::Required, &tls), server, &message, 5000);
        assert!(taker.message == message);
    }
}

#[test]
fn a_session_is_resumed() {
    for version in VERSIONS {
        let (tls, config) = (strict(version), IDENTITY.server(version));
        for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let server = server(server::Config::default(), config.clone());
            let (sender, taker) = play(client(Policy::Required, &tls), server, MESSAGE, 1000);
            for agreed in [sender.connection.tls(), taker.connection.tls()] {
                let agreed = agreed.expect("TLS is up");
                assert_eq!(agreed.handshake_kind(), Some(kind));
                assert_eq!(agreed.protocol_version(), Some(version.version));
            }
        }
    }
}

/// A PostgreSQL server against a client that starts with TLS.
fn direct<P: Roles>(
    offered: Option<&[u8]>,
    version: &'static SupportedProtocolVersion,
) -> Result<bool, Error> {
    let mut config = IDENTITY.server(version);
    config.alpn_protocols.extend(offered.map(<[u8]>::to_vec));
    let mut server =
        Server::new(postgres::Server::new(server::Config::default()), Arc::new(config));
    let mut client =
        Client::<P::Client<'static>>::implicit(Policy::Required, &strict(version), localhost());
    let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
    loop {
        let _ = client.step();
        match server.step()? {
            Step::Event(Event::Before(server::Event::UpgradeRequested)) => server.accept()?,
            Step::Event(Event::Established(_)) => return Ok(true),
            _ => {}
        }
        send(&mut client, &mut to_server, 100);
        send(&mut server, &mut to_client, 100);
        receive(&mut client, &mut to_client, 100);
        receive(&mut server, &mut to_server, 100);
    }
}

#[test]
fn a_client_that_starts_with_tls_names_the_protocol() {
    let id = Protocol::POSTGRES.alpn;
    for version in VERSIONS {
        assert_eq!(direct::<postgres::Postgres>(id, version), Ok(true));
        let foreign = Err(Error::Protocol(Rule::Foreign));
        assert_eq!(direct::<postgres::Postgres>(None, version), foreign);
        assert_eq!(direct::<ldap::Ldap>(id, version), foreign);
    }
}

/// Both ends of implicit TLS, each with these further ALPN ids. Returns the client's end.
fn first(
    offered: Option<&[u8]>,
    version: &'static SupportedProtocolVersion,
) -> [Result<(), Error>; 2] {
    type Postgres = postgres::Postgres;
    let mut config = IDENTITY.server(version);
    config.alpn_protocols.extend(offered.map(<[u8]>::to_vec));
    let mut server = Server::<<Postgres as Roles>::Server<'static>>::implicit(Arc::new(config));
    let mut client = Client::<<Postgres as Roles>::Client<'static>>::implicit(
        Policy::Required,
        &strict(version),
        localhost(),
    );
    let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
    let (mut ours, mut theirs) = (None, None);
    while ours.is_none() || theirs.is_none() {
        if ours.is_none() {
            match client.step() {
                Ok(Step::Event(Event::Established(_))) => ours = Some(Ok(())),
                Ok(_) => {}
                Err(error) => ours = Some(Err(error)),
            }
        }
        if theirs.is_none() {
            match server.step() {
                Ok(Step::Event(Event::Established(_))) => theirs = Some(Ok(())),
                Ok(_) => {}
                Err(error) => theirs = Some(Err(error)),
            }
        }
        send(&mut client, &mut to_server, 100);
        send(&mut server, &mut to_client, 100);
        receive(&mut client, &mut to_client, 100);
        receive(&mut server, &mut to_server, 100);
    }
    [ours, theirs].map(|end| end.expect("an end"))
}

#[test]
fn implicit_tls_on_a_plaintext_port_demands_alpn() {
    for version in VERSIONS {
        assert_eq!(first(Protocol::POSTGRES.alpn, version), [Ok(()), Ok(())]);
        let foreign = Err(Error::Protocol(Rule::Foreign));
        assert_eq!(first(None, version), [foreign.clone(), foreign]);
    }
}

/// Both ends send at once over a network that holds little, and neither waits for the other to read.
#[test]
fn both_directions_at_once() {
    const PIPE: usize = 4096;
    const TALK: usize = 100_000;

    /// Writes and reads as much as possible.
    fn turn<E: Engine>(
        connection: &mut Connection<E>,
        (said, heard): &mut (usize, usize),
        wires: (&mut Vec<u8>, &mut Vec<u8>),
    ) -> bool {
        let before = (*said, *heard);
        let rest = vec![b'x'; TALK - *said];
        *said += connection.write(&rest).expect("TLS is up");
        while let Step::Event(octets) = connection.read().expect("no error") {
            assert!(octets.iter().all(|octet| *octet == b'x'));
            *heard += octets.len();
        }
        let room = PIPE - wires.0.len();
        let sent = send(connection, wires.0, room);
        receive(connection, wires.1, PIPE) || sent || before != (*said, *heard)
    }

    for version in VERSIONS {
        let mut client = SmtpClient::implicit(Policy::Required, &strict(version), localhost());
        let mut server = SmtpServer::implicit(Arc::new(IDENTITY.server(version)));
        let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
        let (mut client_is_up, mut server_is_up) = (false, false);
        while !client_is_up || !server_is_up {
            client_is_up |= matches!(client.step(), Ok(Step::Event(Event::Established(_))));
            server_is_up |= matches!(server.step(), Ok(Step::Event(Event::Established(_))));
            let room = [PIPE - to_server.len(), PIPE - to_client.len()];
            send(&mut client, &mut to_server, room[0]);
            send(&mut server, &mut to_client, room[1]);
            receive(&mut client, &mut to_client, PIPE);
            receive(&mut server, &mut to_server, PIPE);
        }
        let (mut ours, mut theirs) = ((0, 0), (0, 0));
        loop {
            let moved = turn(&mut client, &mut ours, (&mut to_server, &mut to_client));
            if !turn(&mut server, &mut theirs, (&mut to_client, &mut to_server)) && !moved {
                break;
            }
        }
        assert_eq!((ours, theirs), ((TALK, TALK), (TALK, TALK)));
        client.close().expect("room");
    }
}
