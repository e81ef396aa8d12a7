//! Peers and on-path attackers that break the rules.

use std::io::Write as _;
use std::sync::Arc;

use rustls::ProtocolVersion::TLSv1_3;
use rustls::{AlertDescription, ClientConnection, ServerConnection};
use starttls::mail::{Credentials, Session};
use starttls::smtp;
use starttls::{Error as Rule, Machine, Policy, Reason, Tls, Verification, client as core_client};
use starttls::{Plaintext, server as core_server};
use starttls_rustls::{Client, Error, Event, Server, Step};

use crate::common::{
    IDENTITY, NAME, STRANGER, SmtpClient, SmtpServer, VERSIONS, client, localhost, receive, send,
    server, strict,
};
use crate::peers::{go_ahead, our_client, our_server};

/// Receives `said` in pieces of `chunk` and returns the error and the bytes to send.
fn hear_out(ours: &mut SmtpClient, said: &[u8], chunk: usize) -> (Option<Error>, Vec<u8>) {
    let (mut said, mut answers) = (said.to_vec(), Vec::new());
    loop {
        match ours.step() {
            Ok(Step::Event(_)) => {}
            Ok(_) => {
                let sent = send(ours, &mut answers, usize::MAX);
                if !receive(ours, &mut said, chunk) && !sent {
                    return (None, answers);
                }
            }
            Err(error) => {
                send(ours, &mut answers, usize::MAX);
                return (Some(error), answers);
            }
        }
    }
}

#[test]
fn plaintext_after_the_go_ahead_is_an_error() {
    for garbage in [&b"250 forged\r\n"[..], b"250-AUTH PLAIN", b"\x16", b"\x15\x03\x01"] {
        let mut ours = client(Policy::Required, &strict(VERSIONS[1]));
        go_ahead_and(&mut ours, garbage);
        let unread = garbage.len();
        let injected = Some(Error::Protocol(Rule::PlaintextAfterGoAhead { unread }));
        assert_eq!(hear_out(&mut ours, b"", 1), (injected, Vec::new()), "nothing more is sent");
    }
}

/// Like [`go_ahead`], with more bytes after the last line.
fn go_ahead_and(ours: &mut SmtpClient, after: &[u8]) {
    for reply in [&b"220 mx\r\n"[..], b"250-mx\r\n250 STARTTLS\r\n"] {
        assert_eq!(hear_out(ours, reply, usize::MAX).0, None);
    }
    let mut reply = [b"220 go\r\n", after].concat();
    receive(ours, &mut reply, usize::MAX);
}

#[test]
fn plaintext_that_comes_later_is_no_tls() {
    for chunk in [1, 5, 100] {
        let mut ours = client(Policy::Required, &strict(VERSIONS[1]));
        go_ahead(&mut ours);
        let (error, answers) = hear_out(&mut ours, b"250 forged\r\n", chunk);
        assert!(matches!(error, Some(Error::Tls(_))), "{error:?}");
        assert_eq!(answers[0], 22, "a ClientHello, and then at most an alert");
        assert!(ours.write(b"MAIL FROM:<>\r\n").is_err());
        assert_eq!(ours.room(), 0);
    }
}

fn to_starttls(ours: &mut SmtpServer, said: &[u8]) -> Result<Step<()>, Error> {
    let mut said = said.to_vec();
    loop {
        let requested = match ours.step()? {
            Step::Event(event) => {
                matches!(event, Event::Before(core_server::Event::UpgradeRequested))
            }
            Step::End => return Ok(Step::End),
            Step::Read | Step::Write => {
                let sent = send(ours, &mut Vec::new(), usize::MAX);
                if !sent && !receive(ours, &mut said, usize::MAX) {
                    return Ok(Step::Read);
                }
                false
            }
        };
        if requested {
            ours.accept()?;
        }
    }
}

#[test]
fn commands_after_starttls_are_never_parsed() {
    for after in [&b"RSET\r\n"[..], b"N", b"\x15\x03\x01\x00\x02\x01\x00"] {
        let mut ours = server(core_server::Config::default(), IDENTITY.server(VERSIONS[1]));
        let said = [b"EHLO x\r\nSTARTTLS\r\n", after].concat();
        let unread = after.len();
        assert_eq!(
            to_starttls(&mut ours, &said),
            Err(Error::Protocol(Rule::PlaintextAfterGoAhead { unread }))
        );
        assert!(ours.to_send().ends_with(b"220 2.0.0 Ready to start TLS\r\n"), "and no more");
    }
}

#[test]
fn an_early_client_hello_is_handed_to_tls() {
    for version in VERSIONS {
        let mut peer = ClientConnection::new(Arc::new(IDENTITY.client(version)), localhost())
            .expect("a client");
        let mut said = b"EHLO x\r\nSTARTTLS\r\n".to_vec();
        peer.write_tls(&mut said).expect("memory");
        let mut ours = server(core_server::Config::default(), IDENTITY.server(version));
        let mut answer = Vec::new();
        while answer.is_empty() {
            receive(&mut ours, &mut said, usize::MAX);
            let event = match ours.step().expect("no error") {
                Step::Event(Event::Before(event)) => Some(event),
                _ => None,
            };
            match event {
                Some(core_server::Event::UpgradeRequested) => ours.accept().expect("asked"),
                // The go-ahead, then the server's first flight.
                Some(core_server::Event::UpgradeReady) => {
                    send(&mut ours, &mut Vec::new(), usize::MAX);
                    ours.step().expect("TLS");
                    send(&mut ours, &mut answer, usize::MAX);
                }
                _ => {
                    send(&mut ours, &mut Vec::new(), usize::MAX);
                }
            }
        }
        peer.read_tls(&mut &answer[..]).expect("memory");
        peer.process_new_packets().expect("the server's flight");
    }
}

fn handshake(ours: &mut SmtpClient, peer: &mut ServerConnection) -> Result<Tls, Error> {
    let (mut to_peer, mut from_peer) = (Vec::new(), Vec::new());
    loop {
        match ours.step()? {
            Step::Event(Event::Established(tls)) => return Ok(tls),
            Step::Event(event) => panic!("{event:?}"),
            _ => {}
        }
        while send(ours, &mut to_peer, usize::MAX) {}
        peer.read_tls(&mut &to_peer[..]).expect("memory");
        to_peer.clear();
        peer.process_new_packets().expect("no error");
        peer.write_tls(&mut from_peer).expect("memory");
        receive(ours, &mut from_peer, usize::MAX);
    }
}

#[test]
fn tls_with_an_unverified_peer_is_rejected() {
    for version in VERSIONS {
        for (identity, policy, expected) in [
            (&*IDENTITY, Policy::Required, Ok(Verification::Verified)),
            (&*STRANGER, Policy::Required, Err(Error::Protocol(Rule::Unverified))),
            (&*STRANGER, Policy::Opportunistic, Ok(Verification::Unverified)),
        ] {
            let mut implicit: SmtpClient =
                Client::implicit(policy, &IDENTITY.lenient(version), localhost());
            let mut upgraded = client(policy, &IDENTITY.lenient(version));
            go_ahead(&mut upgraded);
            for ours in [&mut implicit, &mut upgraded] {
                let mut peer =
                    ServerConnection::new(Arc::new(identity.server(version))).expect("a server");
                let tls = handshake(ours, &mut peer);
                assert_eq!(tls.as_ref().map(Tls::verification).map_err(Clone::clone), expected);
                let Ok(tls) = tls else {
                    assert!(!ours.to_send().is_empty(), "a goodbye");
                    assert!(ours.write(b"MAIL FROM:<>\r\n").is_err());
                    continue;
                };
                let mut session = Session::<Tls>::new(tls);
                let credentials = Credentials::new("tim", "secret").expect("credentials");
                let refused = session.authenticate(&credentials).err();
                assert_eq!(refused == Some(Rule::Unverified), identity_is_strange(identity));
            }
        }
    }
}

fn identity_is_strange(identity: &crate::common::Identity) -> bool {
    std::ptr::eq(identity, &*STRANGER)
}

#[test]
fn a_changed_record_ends_the_connection_with_an_alert() {
    for version in VERSIONS {
        let (mut ours, mut peer) = our_client(version, 1000);
        peer.writer().write_all(b"good").expect("memory");
        let mut wire = Vec::new();
        peer.write_tls(&mut wire).expect("memory");
        peer.writer().write_all(b"changed").expect("memory");
        peer.write_tls(&mut wire).expect("memory");
        *wire.last_mut().expect("a record") ^= 1;
        receive(&mut ours, &mut wire, usize::MAX);
        // The record before it still counts, as it would in a separate packet.
        assert_eq!(ours.read(), Ok(Step::Event(&b"good"[..])));
        let failed = Err(Error::Tls(rustls::Error::DecryptError));
        assert_eq!(ours.read(), failed);
        let mut alert = Vec::new();
        send(&mut ours, &mut alert, usize::MAX);
        peer.read_tls(&mut &alert[..]).expect("memory");
        let told = peer.process_new_packets().expect_err("an alert");
        assert_eq!(told, rustls::Error::AlertReceived(AlertDescription::BadRecordMac));
        assert_eq!(ours.read(), failed, "the failure persists");
        assert!(ours.write(b"more").is_err());
        ours.close().expect("nothing is left to send");
        assert!(ours.to_send().is_empty());
    }
}

/// A changed byte at any position ends in an error, the same for every way of cutting, and never in a panic.
#[test]
fn an_octet_changed_anywhere() {
    for version in VERSIONS {
        // The handshake of a client whose first flight is changed.
        let mut peer = ClientConnection::new(Arc::new(IDENTITY.client(version)), localhost())
            .expect("a client");
        let mut flight = Vec::new();
        peer.write_tls(&mut flight).expect("memory");
        for at in (0..flight.len()).step_by(3) {
            let mut changed = flight.clone();
            changed[at] ^= 0x40;
            let ends = [1, 40, usize::MAX].map(|chunk| {
                let mut ours: SmtpServer = Server::implicit(Arc::new(IDENTITY.server(version)));
                let mut wire = changed.clone();
                loop {
                    match ours.step() {
                        Ok(_) => {
                            if !receive(&mut ours, &mut wire, chunk) {
                                break None;
                            }
                        }
                        Err(error) => break Some(error),
                    }
                }
            });
            assert!(ends.iter().all(|end| *end == ends[0]), "{at}: {ends:?}");
        }

        // Changed records inside TLS.
        let said = [&b"one"[..], b"two"];
        let length = 2 * (3 + 40);
        for at in 0..length {
            for chunk in [1, usize::MAX] {
                let (mut ours, mut peer) = our_client(version, 1000);
                assert_eq!(ours.read(), Ok(Step::Read));
                let mut wire = Vec::new();
                for text in said {
                    peer.writer().write_all(text).expect("memory");
                    peer.write_tls(&mut wire).expect("memory");
                }
                let record = wire.len() / 2;
                let Some(octet) = wire.get_mut(at) else { break };
                *octet ^= 1;
                let (mut heard, mut error) = (Vec::new(), None);
                while error.is_none() {
                    match ours.read() {
                        Ok(Step::Event(octets)) => heard.extend(octets),
                        Ok(_) => {
                            if !receive(&mut ours, &mut wire, chunk) {
                                ours.end_of_input();
                            }
                        }
                        Err(failed) => error = Some(failed),
                    }
                }
                // TLS 1.3 ignores the type and the version before a record.
                let counts = at % record >= 3 || version.version != TLSv1_3;
                assert!(b"onetwo".starts_with(&heard), "{at}: {heard:?}");
                assert!(heard.len() < 6 || !counts, "{at}: {heard:?}");
            }
        }
    }
}

#[test]
fn a_record_that_is_too_long_ends_it() {
    let (mut ours, mut peer) = our_server(VERSIONS[1], 1000);
    let mut wire = vec![23, 3, 3, 0x48, 0x01];
    receive(&mut ours, &mut wire, usize::MAX);
    assert_eq!(
        ours.read(),
        Err(Error::Tls(rustls::Error::InvalidMessage(rustls::InvalidMessage::MessageTooLarge)))
    );
    let mut alert = Vec::new();
    send(&mut ours, &mut alert, usize::MAX);
    peer.read_tls(&mut &alert[..]).expect("memory");
    assert!(matches!(peer.process_new_packets(), Err(rustls::Error::AlertReceived(_))));
}

#[test]
fn a_byte_before_the_client_hello_is_an_error() {
    for version in VERSIONS {
        let (mut ours, mut peer) = our_client(version, 1000);
        peer.writer().write_all(b"2").expect("memory");
        let mut wire = Vec::new();
        peer.write_tls(&mut wire).expect("memory");
        receive(&mut ours, &mut wire, usize::MAX);
        let tls = Tls::implicit_server();
        assert!(tls.is_implicit());
        let upgraded = upgraded();
        let mut session = Session::<Tls>::new(upgraded);
        let mut hello = session.hello(NAME).expect("first");
        assert_eq!(ours.step_with(&mut hello), Err(Rule::Unsolicited.into()));
        assert!(ours.to_send().is_empty());
    }
}

/// The client's engine after the upgrade.
fn upgraded() -> Tls {
    let mut client = smtp::Client::new(NAME, Policy::Opportunistic);
    let mut output = [0; 512];
    for reply in [&b"220 mx\r\n"[..], b"250-mx\r\n250 STARTTLS\r\n", b"220 go\r\n"] {
        let mut input = reply;
        while !input.is_empty() {
            client.step(&mut input, &mut output).expect("no error");
        }
        client.step(&mut input, &mut output).expect("no error");
    }
    let upgrade: core_client::Upgrade = client.into_upgrade(b"").expect("ready");
    upgrade.established(Verification::Verified).expect("allowed")
}

#[test]
fn an_opportunistic_client_continues_in_plaintext_and_knows_it() {
    let mut ours = client(Policy::Opportunistic, &strict(VERSIONS[1]));
    let (mut said, mut sent) = (b"220 mx\r\n".to_vec(), Vec::new());
    let plaintext: Plaintext = loop {
        match ours.step().expect("no error") {
            Step::Event(Event::Plaintext(plaintext)) => break plaintext,
            Step::Event(_) => {}
            Step::Write => {
                send(&mut ours, &mut sent, usize::MAX);
                said.extend(b"250 mx\r\n");
            }
            _ => assert!(receive(&mut ours, &mut said, 1)),
        }
    };
    assert_eq!(plaintext.reason(), Reason::NotOffered);
    assert!(ours.tls().is_none());
    let mut session = Session::<Plaintext>::new(plaintext);
    sent.clear();
    assert_eq!(ours.step_with(&mut session.hello(NAME).expect("first")), Ok(Step::Write));
    send(&mut ours, &mut sent, usize::MAX);
    assert_eq!(sent, b"EHLO [127.0.0.1]\r\n");
    assert_eq!(ours.write(b"raw"), Ok(3));
    ours.close().expect("nothing is left to send");
    assert_eq!(ours.to_send(), b"raw");
}

#[test]
fn a_stripped_offer_ends_it() {
    let mut ours = client(Policy::Required, &strict(VERSIONS[1]));
    assert_eq!(hear_out(&mut ours, b"220 mx\r\n", 1).0, None);
    let (error, answers) = hear_out(&mut ours, b"250 mx\r\n", 1);
    assert_eq!((error, answers), (Some(Rule::NotOffered.into()), Vec::new()));
}

#[test]
fn early_data_is_refused() {
    let mut config = IDENTITY.server(VERSIONS[1]);
    config.max_early_data_size = 1000;
    let mut tls = IDENTITY.client(VERSIONS[1]);
    tls.enable_early_data = true;
    let tls = Arc::new(tls);
    let mut ends = Vec::new();
    for _ in 0..2 {
        let mut ours = server(core_server::Config::default(), config.clone());
        assert_eq!(to_starttls(&mut ours, b"EHLO x\r\nSTARTTLS\r\n"), Ok(Step::Read));
        let mut peer = ClientConnection::new(Arc::clone(&tls), localhost()).expect("a client");
        if let Some(mut early) = peer.early_data() {
            early.write_all(b"MAIL FROM:<>\r\n").expect("memory");
        }
        ends.push(loop {
            let mut wire = Vec::new();
            while peer.wants_write() {
                peer.write_tls(&mut wire).expect("memory");
            }
            receive(&mut ours, &mut wire, usize::MAX);
            match ours.step() {
                Ok(Step::Event(event)) => {
                    assert!(matches!(event, Event::Established(_)));
                    // The session tickets, for the next round.
                    send(&mut ours, &mut wire, usize::MAX);
                    peer.read_tls(&mut &wire[..]).expect("memory");
                    peer.process_new_packets().expect("no error");
                    break None;
                }
                Err(error) => break Some(error),
                Ok(_) => {}
            }
            send(&mut ours, &mut wire, usize::MAX);
            peer.read_tls(&mut &wire[..]).expect("memory");
            peer.process_new_packets().expect("no error");
        });
    }
    assert_eq!(ends, [None, Some(Error::EarlyData)]);
}
