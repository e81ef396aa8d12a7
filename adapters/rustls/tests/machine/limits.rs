//! Full buffers, peers that do not read, and timeouts.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConnection;
use starttls::mail::Receiver;
use starttls::mail::receiver::{self, Limits};
use starttls::{Error as Rule, Machine as _, Policy, Tls, server as core_server};
use starttls_rustls::{
    Client, ClientTls, Error, Event, HANDSHAKE_WAIT, MIN_ROOM, RECEIVE, SEND, SEND_WAIT, Step,
};

/// The size of the receive buffer while nothing is unread, in bytes.
const WAITING: usize = 512;

use crate::common::{
    IDENTITY, Identity, NAME, VERSIONS, client, localhost, receive, send, server, strict,
};
use crate::peers::{go_ahead, our_client, our_server};

#[test]
fn a_peer_that_does_not_read_is_not_read_either() {
    const COMMANDS: usize = 20_000;
    for version in VERSIONS {
        let (mut ours, mut peer) = our_server(version, 1000);
        // As many bytes as needed, whatever the peer's own buffers hold.
        let mut wire = Vec::new();
        for _ in 0..COMMANDS / 100 {
            peer.writer().write_all(&b"NOOP\r\n".repeat(100)).expect("memory");
            peer.write_tls(&mut wire).expect("memory");
        }
        let mut receiver = Receiver::<Tls>::new(upgraded_server(), NAME, Limits::default());
        let (mut events, mut answers) = (0, Vec::new());
        let mut stuck = 0;
        while events < COMMANDS {
            match ours.step_with(&mut receiver).expect("no error") {
                Step::Event(receiver::Event::Received(_)) => {
                    events += 1;
                    assert!(ours.room() >= MIN_ROOM, "for a reply");
                }
                Step::Event(event) => panic!("{event:?}"),
                Step::Read => assert!(receive(&mut ours, &mut wire, usize::MAX)),
                Step::Write => {
                    // It receives until its buffer is full, and asks again.
                    receive(&mut ours, &mut wire, usize::MAX);
                    assert!(ours.to_send().len() <= SEND);
                    assert!(!ours.to_send().is_empty());
                    assert!(ours.wait().is_some());
                    stuck += 1;
                    if stuck % 3 == 0 {
                        send(&mut ours, &mut answers, 5000);
                    }
                }
                Step::End => panic!("the peer has not left"),
            }
        }
        assert!(ours.step_with(&mut receiver).is_ok(), "the last reply");
        send(&mut ours, &mut answers, usize::MAX);
        assert!(stuck > 30, "it was never full");
        let mut answers = &answers[..];
        let mut heard = 0;
        while !answers.is_empty() {
            peer.read_tls(&mut answers).expect("memory");
            let state = peer.process_new_packets().expect("TLS");
            heard += state.plaintext_bytes_to_read();
            let mut sink = vec![0; state.plaintext_bytes_to_read()];
            std::io::Read::read_exact(&mut peer.reader(), &mut sink).expect("all of it");
        }
        assert_eq!(heard, COMMANDS * "250 2.0.0 Ok\r\n".len());
    }
}

fn upgraded_server() -> Tls {
    let mut output = [0; 512];
    let mut server = starttls::smtp::Server::new(NAME, core_server::Config::default());
    let mut input = &b"EHLO x\r\nSTARTTLS\r\n"[..];
    loop {
        let step = starttls::Machine::step(&mut server, &mut input, &mut output);
        match step.expect("no error") {
            starttls::Step::Event(core_server::Event::UpgradeRequested) => {
                server.accept().expect("asked");
            }
            starttls::Step::Event(core_server::Event::UpgradeReady) => break,
            _ => {}
        }
    }
    server.into_upgrade(b"").expect("ready").established()
}

#[test]
fn the_tunnel_takes_no_more_than_it_holds() {
    for version in VERSIONS {
        let (mut ours, _) = our_client(version, 1000);
        let mut taken = 0;
        loop {
            let n = ours.write(&[b'x'; 5000]).expect("TLS is up");
            if n == 0 {
                break;
            }
            taken += n;
        }
        assert!((16_384..SEND).contains(&taken), "{taken}");
        assert_eq!(ours.room(), 0);
        assert_eq!(
            ours.write_with(|free| {
                assert!(free.is_empty());
                Err(Rule::OutputTooSmall { needed: 1 })
            }),
            Err(Rule::OutputTooSmall { needed: 1 }.into())
        );
        assert!(matches!(ours.to_send().len(), 16_384..=SEND));
        assert_eq!(ours.wait(), Some(SEND_WAIT));
        send(&mut ours, &mut Vec::new(), usize::MAX);
        assert!(ours.room() >= MIN_ROOM);
        assert_eq!(ours.wait(), None);
    }
}

/// Whatever output waits, records are decrypted, keys are updated on request, and TLS can send close_notify.
#[test]
fn key_updates_work_while_the_output_waits() {
    let (mut ours, mut peer) = our_client(VERSIONS[1], 1000);
    let mut taken = 0;
    loop {
        match ours.write(&[b'x'; 5000]).expect("TLS is up") {
            0 => break,
            n => taken += n,
        }
    }
    let mut wire = Vec::new();
    for _ in 0..10 {
        peer.refresh_traffic_keys().expect("TLS 1.3");
        peer.writer().write_all(b"y").expect("memory");
        while peer.wants_write() {
            peer.write_tls(&mut wire).expect("memory");
        }
        while receive(&mut ours, &mut wire, usize::MAX) {}
        assert_eq!(ours.read(), Ok(Step::Event(&b"y"[..])));
        assert_eq!(ours.read(), Ok(Step::Read));
    }
    let mut sent = Vec::new();
    while send(&mut ours, &mut sent, usize::MAX) {}
    assert_eq!(ours.write(b"after."), Ok(6));
    ours.close().expect("room");
    while send(&mut ours, &mut sent, usize::MAX) {}
    let (mut rest, mut heard) = (&sent[..], Vec::new());
    while !rest.is_empty() {
        peer.read_tls(&mut rest).expect("memory");
        let state = peer.process_new_packets().expect("TLS");
        let mut plaintext = vec![0; state.plaintext_bytes_to_read()];
        std::io::Read::read_exact(&mut peer.reader(), &mut plaintext).expect("all of it");
        heard.extend(plaintext);
    }
    assert_eq!(heard.len(), taken + 6);
    assert!(heard.ends_with(b"xafter."));
}

/// An alert fits after all waiting output.
#[test]
fn an_alert_fits_while_the_output_waits() {
    for version in VERSIONS {
        let (mut ours, mut peer) = our_client(version, 1000);
        while ours.write(&[b'x'; 5000]).expect("TLS is up") > 0 {}
        let mut nonsense = vec![23, 3, 3, 0, 32];
        nonsense.extend([7; 32]);
        receive(&mut ours, &mut nonsense, usize::MAX);
        assert!(matches!(ours.read(), Err(Error::Tls(_))));
        let mut sent = Vec::new();
        while send(&mut ours, &mut sent, usize::MAX) {}
        let mut rest = &sent[..];
        let told = loop {
            peer.read_tls(&mut rest).expect("memory");
            match peer.process_new_packets() {
                Err(error) => break error,
                Ok(state) => {
                    let mut sink = vec![0; state.plaintext_bytes_to_read()];
                    std::io::Read::read_exact(&mut peer.reader(), &mut sink).expect("all of it");
                }
            }
            assert!(!rest.is_empty(), "it received no alert");
        };
        assert!(matches!(told, rustls::Error::AlertReceived(_)), "{told}");
    }
}

#[test]
fn a_reader_that_does_not_read_receives_no_more() {
    let (mut ours, mut peer) = our_client(VERSIONS[1], 1000);
    // The session tickets.
    assert_eq!(ours.read(), Ok(Step::Read));
    assert_eq!(ours.receive_buffer().len(), WAITING);
    let mut wire = Vec::new();
    for _ in 0..10 {
        peer.writer().write_all(&[b'x'; 4000]).expect("memory");
        peer.write_tls(&mut wire).expect("memory");
    }
    let before = wire.len();
    while receive(&mut ours, &mut wire, 1000) {}
    assert!(ours.receive_buffer().is_empty());
    assert_eq!(before - wire.len(), RECEIVE);
    let mut read = 0;
    loop {
        let n = match ours.read().expect("no error") {
            Step::Event(octets) => octets.len(),
            _ => 0,
        };
        read += n;
        if !receive(&mut ours, &mut wire, usize::MAX) && n == 0 {
            break;
        }
    }
    assert_eq!((read, wire.len()), (40_000, 0));
    assert_eq!(ours.receive_buffer().len(), WAITING);
}

/// A record needs one receive for its start and one for the rest, and a long stream full buffers.
#[test]
fn the_receive_buffer_fits_what_arrives() {
    for version in VERSIONS {
        let (mut ours, mut peer) = our_client(version, 1000);
        assert_eq!(ours.read(), Ok(Step::Read));
        for (size, receives) in
            [(100, 1), (400, 1), (600, 2), (4000, 2), (16_000, 2), (160_000, 12)]
        {
            let mut wire = Vec::new();
            for record in vec![b'x'; size].chunks(16_000) {
                peer.writer().write_all(record).expect("memory");
                peer.write_tls(&mut wire).expect("memory");
            }
            let (mut read, mut received) = (0, 0);
            while read < size {
                match ours.read().expect("no error") {
                    Step::Event(octets) => read += octets.len(),
                    _ => received += usize::from(receive(&mut ours, &mut wire, usize::MAX)),
                }
            }
            assert!(received <= receives, "{size} bytes in {received} receives");
            assert_eq!(ours.read(), Ok(Step::Read));
            assert_eq!(ours.receive_buffer().len(), WAITING, "after {size} bytes");
        }
    }
}

#[test]
fn a_reader_with_a_small_buffer_gets_everything_in_order() {
    let (mut ours, mut peer) = our_client(VERSIONS[1], 1000);
    let said: Vec<u8> = (0..=255).cycle().take(9000).collect();
    let mut wire = Vec::new();
    for record in said.chunks(4000) {
        peer.writer().write_all(record).expect("memory");
        peer.write_tls(&mut wire).expect("memory");
    }
    let mut read = Vec::new();
    let mut buffer = [0; 7];
    loop {
        match ours.read_into(&mut buffer).expect("no error") {
            Step::Event(n) => read.extend_from_slice(&buffer[..n]),
            _ if receive(&mut ours, &mut wire, 1500) => {}
            _ => break,
        }
    }
    assert!(read == said);
}

#[test]
fn a_chain_that_is_too_long_is_an_error() {
    for version in VERSIONS {
        for (names, fits) in [(600, true), (2000, false)] {
            let identity = Identity::new("many names", names);
            let tls = ClientTls::new(Arc::new(identity.client(version)));
            let mut ours = client(Policy::Required, &tls);
            let mut peer =
                ServerConnection::new(Arc::new(identity.server(version))).expect("a server");
            go_ahead(&mut ours);
            let (mut to_peer, mut from_peer) = (Vec::new(), Vec::new());
            let end = loop {
                match ours.step() {
                    Ok(Step::Event(event)) => {
                        assert!(matches!(event, Event::Established(_)));
                        break Ok(());
                    }
                    Err(error) => break Err(error),
                    Ok(_) => {}
                }
                send(&mut ours, &mut to_peer, usize::MAX);
                peer.read_tls(&mut &to_peer[..]).expect("memory");
                to_peer.clear();
                peer.process_new_packets().expect("no error");
                while peer.wants_write() {
                    peer.write_tls(&mut from_peer).expect("memory");
                }
                receive(&mut ours, &mut from_peer, 1000);
            };
            assert_eq!(end, if fits { Ok(()) } else { Err(Error::MessageTooLong) });
        }
    }
}

#[test]
fn every_wait_has_an_end() {
    // The greeting: the machine's own wait and farewell.
    let mut ours = server(core_server::Config::default(), IDENTITY.server(VERSIONS[1]));
    while !matches!(ours.step(), Ok(Step::Read)) {
        send(&mut ours, &mut Vec::new(), usize::MAX);
    }
    assert_eq!(ours.wait(), Some(Duration::from_secs(300)));
    assert_eq!(ours.timed_out(), Rule::TimedOut.into());
    assert_eq!(ours.to_send(), b"421 4.4.2 Timeout, closing\r\n");
    assert_eq!(ours.step().err(), Some(Rule::TimedOut.into()));

    // The handshake, upgraded and implicit.
    let mut upgraded = client(Policy::Required, &strict(VERSIONS[1]));
    go_ahead(&mut upgraded);
    let mut implicit = Client::implicit(Policy::Required, &strict(VERSIONS[1]), localhost());
    for ours in [&mut upgraded, &mut implicit] {
        assert_eq!(ours.wait(), Some(HANDSHAKE_WAIT));
        assert!(matches!(ours.step(), Ok(Step::Write)));
        send(ours, &mut Vec::new(), usize::MAX);
        assert!(matches!(ours.step(), Ok(Step::Read)));
        assert_eq!(ours.wait(), Some(HANDSHAKE_WAIT));
        assert_eq!(ours.timed_out(), Rule::TimedOut.into());
        assert_eq!(ours.step().err(), Some(Rule::TimedOut.into()));
        assert!(ours.to_send().is_empty());
    }

    // Inside TLS: the machine's wait. The caller fetches its farewell.
    let (mut ours, _) = our_server(VERSIONS[1], 1000);
    let mut receiver = Receiver::<Tls>::new(upgraded_server(), NAME, Limits::default());
    assert_eq!(ours.step_with(&mut receiver), Ok(Step::Read));
    assert_eq!(ours.wait(), Some(Duration::from_secs(300)));
    assert_eq!(ours.timed_out(), Rule::TimedOut.into());
    starttls::Machine::timed_out(&mut receiver);
    let said = ours.write_with(|free| receiver.farewell(free)).expect("TLS is up");
    assert_eq!(said, b"421 4.4.2 Timeout, closing\r\n".len());
}

#[test]
fn a_handshake_is_one_wait() {
    let mut ours = client(Policy::Required, &strict(VERSIONS[1]));
    let mut peer = ServerConnection::new(Arc::new(IDENTITY.server(VERSIONS[1]))).expect("a server");
    go_ahead(&mut ours);
    let begun = ours.progress();
    let (mut to_peer, mut from_peer) = (Vec::new(), Vec::new());
    while !matches!(ours.step().expect("TLS"), Step::Event(_)) {
        assert_eq!(ours.progress(), begun, "received bytes are no progress");
        send(&mut ours, &mut to_peer, usize::MAX);
        peer.read_tls(&mut &to_peer[..]).expect("memory");
        to_peer.clear();
        peer.process_new_packets().expect("no error");
        peer.write_tls(&mut from_peer).expect("memory");
        receive(&mut ours, &mut from_peer, 1);
    }
    let up = ours.progress();
    assert_ne!(up, begun);
    assert_eq!(ours.write(b"x"), Ok(1));
    assert_ne!(ours.progress(), up);
}

#[test]
fn an_end_of_input_in_the_handshake_is_an_error() {
    let mut ours = client(Policy::Required, &strict(VERSIONS[1]));
    go_ahead(&mut ours);
    assert!(matches!(ours.step(), Ok(Step::Write)));
    ours.end_of_input();
    assert_eq!(ours.step().err(), Some(Rule::Closed.into()));
}

#[test]
fn calls_out_of_order_change_nothing() {
    let out_of_order = || Some(Error::Protocol(Rule::OutOfOrder));
    let mut ours = server(core_server::Config::default(), IDENTITY.server(VERSIONS[1]));
    let mut receiver = Receiver::<Tls>::new(upgraded_server(), NAME, Limits::default());
    assert_eq!(ours.step_with(&mut receiver).err(), out_of_order());
    assert_eq!(ours.read().err(), out_of_order());
    assert_eq!(ours.write(b"x").err(), out_of_order());
    assert_eq!(ours.write_with(|_| Ok(0)).err(), out_of_order());
    assert_eq!(ours.accept().err(), out_of_order());
    assert_eq!(ours.refuse().err(), out_of_order());
    assert_eq!(ours.unknown().err(), out_of_order());
    assert_eq!(ours.answer(&[]).err(), out_of_order());
    assert!(ours.close().is_ok() && ours.to_send().is_empty() && ours.room() == 0);
    let mut said = b"EHLO x\r\nSTARTTLS\r\n".to_vec();
    receive(&mut ours, &mut said, usize::MAX);
    for _ in 0..3 {
        assert!(matches!(ours.step(), Ok(Step::Event(_))));
    }
    assert_eq!(ours.step().err(), out_of_order(), "it waits for a decision");
    ours.refuse().expect("asked");
    assert!(matches!(ours.step(), Ok(Step::Write)));
    assert!(ours.to_send().ends_with(b"454 4.7.0 TLS not available, try again later\r\n"));

    let (mut ours, _) = our_server(VERSIONS[1], 1000);
    assert_eq!(ours.step().err(), out_of_order());
    assert_eq!(ours.accept().err(), out_of_order());
}
