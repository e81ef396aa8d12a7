//! Against rustls's own buffered connections, in both roles.

use std::io::{Read as _, Write as _};
use std::ops::DerefMut;
use std::sync::Arc;

use rustls::{
    AlertDescription, ClientConnection, ConnectionCommon, ServerConnection, SideData,
    SupportedProtocolVersion,
};
use starttls::{Error as Rule, Policy, Verification, server};
use starttls_rustls::{Connection, Engine, Error, Event, Step};

use crate::common::{
    IDENTITY, SmtpClient, SmtpServer, VERSIONS, client, localhost, receive, send, server, strict,
};

/// Steps up to TLS against a peer that replies as given.
fn establish<E: Engine>(
    connection: &mut Connection<E>,
    mut peer: impl FnMut(&mut Connection<E>),
) -> Result<Verification, Error> {
    for _ in 0..100 {
        let waits = match connection.step()? {
            Step::Event(Event::Established(tls)) => return Ok(tls.verification()),
            Step::Event(_) => false,
            _ => true,
        };
        if waits {
            peer(connection);
        }
    }
    panic!("no end: {connection:?}");
}

/// Carries records between a connection and rustls's, in pieces of `chunk`. An alert that rustls receives
/// becomes its error.
fn carry<E: Engine, C, D: SideData>(
    connection: &mut Connection<E>,
    peer: &mut C,
    chunk: usize,
) -> Result<bool, rustls::Error>
where
    C: DerefMut<Target = ConnectionCommon<D>>,
{
    let (mut to_peer, mut from_peer) = (Vec::new(), Vec::new());
    let mut moved = false;
    while send(connection, &mut to_peer, chunk) {
        moved = true;
        while !to_peer.is_empty() {
            let mut rest = &to_peer[..];
            peer.read_tls(&mut rest).expect("memory");
            let left = rest.len();
            to_peer.drain(..to_peer.len() - left);
            peer.process_new_packets()?;
        }
    }
    while peer.wants_write() {
        peer.write_tls(&mut from_peer).expect("memory");
    }
    while receive(connection, &mut from_peer, chunk) {
        moved = true;
    }
    assert!(from_peer.is_empty(), "the receive buffer is full");
    Ok(moved)
}

fn hear<E: Engine>(connection: &mut Connection<E>) -> Vec<u8> {
    let mut heard = Vec::new();
    while let Step::Event(octets) = connection.read().expect("no error") {
        heard.extend(octets);
    }
    heard
}

pub(crate) type ServerPeer = (SmtpServer, ClientConnection);
pub(crate) type ClientPeer = (SmtpClient, ServerConnection);

/// Our server with rustls as its client, inside TLS.
pub(crate) fn our_server(version: &'static SupportedProtocolVersion, chunk: usize) -> ServerPeer {
    let mut ours = server(server::Config::default(), IDENTITY.server(version));
    let said = b"EHLO x\r\nSTARTTLS\r\n";
    let mut wire = said.to_vec();
    receive(&mut ours, &mut wire, usize::MAX);
    let mut peer =
        ClientConnection::new(Arc::new(IDENTITY.client(version)), localhost()).expect("a client");
    let mut heard = Vec::new();
    loop {
        match ours.step().expect("no error") {
            Step::Event(Event::Established(_)) => break,
            Step::Event(Event::Before(server::Event::UpgradeRequested)) => {
                ours.accept().expect("asked");
            }
            Step::Event(_) => {}
            _ if heard.ends_with(b"TLS\r\n") => {
                assert!(carry(&mut ours, &mut peer, chunk).expect("TLS"), "both wait");
            }
            _ => assert!(send(&mut ours, &mut heard, usize::MAX)),
        }
    }
    carry(&mut ours, &mut peer, chunk).expect("the last flight");
    (ours, peer)
}

/// Our client with rustls as its server, inside TLS.
pub(crate) fn our_client(version: &'static SupportedProtocolVersion, chunk: usize) -> ClientPeer {
    let mut ours = client(Policy::Required, &strict(version));
    let mut peer = ServerConnection::new(Arc::new(IDENTITY.server(version))).expect("a server");
    go_ahead(&mut ours);
    let verification = establish(&mut ours, |ours| {
        assert!(carry(ours, &mut peer, chunk).expect("TLS"), "both wait");
    });
    assert_eq!(verification, Ok(Verification::Verified));
    carry(&mut ours, &mut peer, chunk).expect("the last flight");
    (ours, peer)
}

/// Plays the server's plaintext part, including its go-ahead.
pub(crate) fn go_ahead(ours: &mut SmtpClient) {
    let mut replies =
        [&b"220 mx\r\n"[..], b"250-mx\r\n250 STARTTLS\r\n", b"220 go\r\n"].into_iter();
    loop {
        match ours.step().expect("no error") {
            Step::Event(Event::Before(starttls::client::Event::UpgradeReady)) => return,
            Step::Event(_) => {}
            Step::Write => assert!(send(ours, &mut Vec::new(), usize::MAX)),
            _ => {
                let mut reply = replies.next().expect("the go-ahead is the third reply").to_vec();
                receive(ours, &mut reply, usize::MAX);
            }
        }
    }
}

/// Both directions, messages of several sizes, with key updates.
fn talk<E: Engine, C, D: SideData>(ours: &mut Connection<E>, peer: &mut C, chunk: usize)
where
    C: DerefMut<Target = ConnectionCommon<D>>,
{
    let tls13 = peer.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3);
    for (round, size) in [1, 100, 16_384, 16_385, 50_000].into_iter().enumerate() {
        let text: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();

        let (mut rest, mut heard) = (&text[..], Vec::<u8>::new());
        while heard.len() < size {
            rest = &rest[ours.write(rest).expect("TLS is up")..];
            carry(ours, peer, chunk).expect("TLS");
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = peer.reader().read(&mut buffer) {
                heard.extend(&buffer[..n]);
            }
        }
        assert!(heard == text && rest.is_empty());

        if tls13 && round % 2 == 1 {
            peer.refresh_traffic_keys().expect("TLS 1.3");
        }
        let mut heard = Vec::new();
        for piece in text.chunks(10_000) {
            peer.writer().write_all(piece).expect("memory");
            carry(ours, peer, chunk).expect("TLS");
            heard.extend(hear(ours));
        }
        assert!(heard == text);
        if tls13 && round == 1 {
            // Our key update follows only because the peer requested it.
            assert!(carry(ours, peer, chunk).is_ok());
        }
    }
}

#[test]
fn as_a_server() {
    for version in VERSIONS {
        for chunk in [1, 2, 3, 13, 100, 1000, 5000] {
            let (mut ours, mut peer) = our_server(version, chunk);
            talk(&mut ours, &mut peer, chunk.max(13));
            goodbye(ours, peer);
        }
    }
}

#[test]
fn as_a_client() {
    for version in VERSIONS {
        for chunk in [1, 2, 3, 13, 100, 1000, 5000] {
            let (mut ours, mut peer) = our_client(version, chunk);
            talk(&mut ours, &mut peer, chunk.max(13));
            goodbye(ours, peer);
        }
    }
}

/// Each side understands the other's close_notify.
fn goodbye<E: Engine, C, D: SideData>(mut ours: Connection<E>, mut peer: C)
where
    C: DerefMut<Target = ConnectionCommon<D>>,
{
    ours.close().expect("TLS is up");
    ours.close().expect("a second call does nothing");
    assert_eq!(ours.write(b"more"), Err(Rule::OutOfOrder.into()));
    carry(&mut ours, &mut peer, 1000).expect("TLS");
    assert_eq!(peer.reader().read(&mut [0]).expect("an end"), 0);
    assert_eq!(ours.read(), Ok(Step::Read), "the peer may still send");
    peer.writer().write_all(b"last words").expect("memory");
    peer.send_close_notify();
    carry(&mut ours, &mut peer, 1000).expect("TLS");
    assert_eq!(ours.read(), Ok(Step::Event(&b"last words"[..])));
    assert_eq!(ours.read(), Ok(Step::End));
    ours.end_of_input();
    assert_eq!(ours.read(), Ok(Step::End));
}

#[test]
fn an_end_without_close_notify_is_an_error() {
    for version in VERSIONS {
        let (mut ours, mut peer) = our_client(version, 1000);
        peer.writer().write_all(b"half").expect("memory");
        carry(&mut ours, &mut peer, 1000).expect("TLS");
        ours.end_of_input();
        assert_eq!(ours.read(), Ok(Step::Event(&b"half"[..])));
        assert_eq!(ours.read(), Err(Error::Truncated));

        // Also in the middle of a record.
        let (mut ours, mut peer) = our_server(version, 1000);
        peer.writer().write_all(b"half").expect("memory");
        let mut record = Vec::new();
        peer.write_tls(&mut record).expect("memory");
        record.pop();
        receive(&mut ours, &mut record, usize::MAX);
        ours.end_of_input();
        assert_eq!(ours.read(), Err(Error::Truncated));
    }
}

#[test]
fn a_fragmented_handshake() {
    for version in VERSIONS {
        let mut config = IDENTITY.server(version);
        config.max_fragment_size = Some(32);
        let mut ours = client(Policy::Required, &strict(version));
        let mut peer = ServerConnection::new(Arc::new(config)).expect("a server");
        go_ahead(&mut ours);
        let verification = establish(&mut ours, |ours| {
            assert!(carry(ours, &mut peer, 1).expect("TLS"), "both wait");
        });
        assert_eq!(verification, Ok(Verification::Verified));
    }
}

#[test]
fn half_a_session_ticket_does_not_block_the_tunnel() {
    let mut config = IDENTITY.server(VERSIONS[1]);
    config.max_fragment_size = Some(32);
    let config = Arc::new(config);
    let mut cut = 0;
    loop {
        let mut ours = client(Policy::Required, &strict(VERSIONS[1]));
        let mut peer = ServerConnection::new(Arc::clone(&config)).expect("a server");
        go_ahead(&mut ours);
        establish(&mut ours, |ours| {
            carry(ours, &mut peer, 1000).expect("TLS");
        })
        .expect("TLS");
        let (mut flight, mut tickets) = (Vec::new(), Vec::new());
        send(&mut ours, &mut flight, usize::MAX);
        peer.read_tls(&mut &flight[..]).expect("memory");
        peer.process_new_packets().expect("the last flight");
        while peer.wants_write() {
            peer.write_tls(&mut tickets).expect("memory");
        }
        assert!(tickets.len() > 100);
        receive(&mut ours, &mut tickets, cut);
        assert_eq!(ours.write(b"between"), Ok(7), "cut at {cut}");
        assert_eq!(ours.read(), Ok(Step::Read), "whatever output waits");
        if cut % 2 == 1 {
            receive(&mut ours, &mut tickets, usize::MAX);
            carry(&mut ours, &mut peer, 100).expect("TLS");
            let mut heard = [0; 7];
            peer.reader().read_exact(&mut heard).expect("all of it");
            assert_eq!(&heard, b"between");
            talk(&mut ours, &mut peer, 100_000);
        }
        ours.close().expect("TLS is up");
        carry(&mut ours, &mut peer, 100).expect("TLS");
        if tickets.is_empty() {
            return;
        }
        cut += 5;
    }
}

#[test]
fn the_server_is_told_of_a_bad_certificate() {
    for version in VERSIONS {
        let mut ours = client(Policy::Required, &strict(version));
        let stranger = Arc::new(crate::common::STRANGER.server(version));
        let mut peer = ServerConnection::new(stranger).expect("a server");
        go_ahead(&mut ours);
        let error = establish(&mut ours, |ours| {
            assert!(carry(ours, &mut peer, 1000).expect("TLS"), "both wait");
        });
        assert!(matches!(error, Err(Error::Tls(rustls::Error::InvalidCertificate(_)))));
        let told = carry(&mut ours, &mut peer, 1000).expect_err("an alert");
        assert_eq!(told, rustls::Error::AlertReceived(AlertDescription::UnknownCA));
        assert_eq!(ours.step().err(), error.err(), "the failure persists");
    }
}

#[test]
fn an_alert_ends_the_connection() {
    for version in VERSIONS {
        let mut ours = server(server::Config::default(), IDENTITY.server(version));
        let stranger = crate::common::STRANGER.client(version);
        let mut peer = ClientConnection::new(Arc::new(stranger), localhost()).expect("a client");
        let mut wire = b"EHLO x\r\nSTARTTLS\r\n".to_vec();
        receive(&mut ours, &mut wire, usize::MAX);
        let mut plain = true;
        let error = loop {
            match ours.step() {
                Ok(Step::Event(Event::Before(server::Event::UpgradeRequested))) => {
                    ours.accept().expect("asked");
                }
                Ok(Step::Event(event)) => assert!(matches!(event, Event::Before(_))),
                Ok(_) if plain => {
                    send(&mut ours, &mut Vec::new(), usize::MAX);
                    plain = false;
                }
                Ok(_) => {
                    // The peer's error. Its alert leaves with the next call.
                    let _ = carry(&mut ours, &mut peer, 1000);
                }
                Err(error) => break error,
            }
        };
        let alert = rustls::Error::AlertReceived(AlertDescription::UnknownCA);
        assert_eq!(error, Error::Tls(alert));
    }
}
