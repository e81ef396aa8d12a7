//! Every byte at every place of MySQL's packets, in both roles.

use starttls::server::Config;
use starttls::{Machine as _, Policy, Step, mysql};
use starttls_tests::machines::{MYSQL_GREETING, MYSQL_REQUEST};
use starttls_tests::sweep::{POLICIES, last, outcome};
use starttls_tests::table::{Demand, Protocol, Role};

/// A greeting of this version of the protocol, with these capabilities.
fn greeting(version: u8, capabilities: u32) -> Vec<u8> {
    let [c0, c1, c2, c3] = capabilities.to_le_bytes();
    let mut packet = vec![0, 0, 0, 0, version];
    packet.extend(b"8.0.36\0\x07\0\0\0abcdefgh\0");
    packet.extend([c0, c1, 45, 2, 0, c2, c3, 21, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]);
    packet.extend(b"ijklmnopqrst\0plugin\0");
    packet[0] = u8::try_from(packet.len() - 4).expect("a short one");
    packet
}

const SSL: u32 = mysql::capability::SSL;
const PROTOCOL_41: u32 = mysql::capability::PROTOCOL_41;

#[test]
fn capabilities() {
    let single = (0..32).map(|bit| 1 << bit);
    let capabilities = single.clone().chain(single.map(|bit: u32| !bit));
    let capabilities: Vec<u32> = capabilities.chain([0, u32::MAX, SSL | PROTOCOL_41]).collect();
    for policy in POLICIES {
        for capabilities in &capabilities {
            let packet = greeting(10, *capabilities);
            let came = outcome(Protocol::Mysql, Role::Client, policy, &[&packet]);
            let (end, out) = last(&came);
            if capabilities & SSL != 0 && capabilities & PROTOCOL_41 != 0 {
                let sent = capabilities & MYSQL_REQUEST.capabilities() | SSL | PROTOCOL_41;
                assert_eq!((end, &out[4..8]), ("upgrade", &sent.to_le_bytes()[..]));
            } else {
                let expected =
                    if policy == Demand::Required { "error NotOffered" } else { "plaintext" };
                assert_eq!((end, out), (expected, &b""[..]), "{capabilities:08x}");
            }
        }
        for version in 0..=u8::MAX {
            let packet = greeting(version, u32::MAX);
            let came = outcome(Protocol::Mysql, Role::Client, policy, &[&packet]);
            let expected = match version {
                10 => "upgrade",
                255 => "error Refused",
                _ => "error UnexpectedReply",
            };
            assert_eq!(last(&came).0, expected, "{version}");
        }
    }
}

#[test]
fn the_handshake_is_passed_on() {
    for (capabilities, scramble, plugin, mariadb) in [
        (u32::MAX, &b"abcdefghijklmnopqrst"[..], &b"plugin"[..], 0),
        (!1, b"abcdefghijklmnopqrst", b"plugin", 0x0403_0201),
        (SSL | PROTOCOL_41 | 1, b"abcdefgh", b"", 0),
    ] {
        let packet = greeting(10, capabilities);
        let mut client = mysql::Client::new(MYSQL_REQUEST, Policy::Required);
        let mut output = [0; 36];
        assert_eq!(client.handshake(), None);
        client.step(&mut &packet[..], &mut output).expect("a greeting");
        assert_eq!(client.step(&mut &b""[..], &mut output), Ok(Step::Write(36)));
        let said = client.handshake().expect("it has come");
        assert_eq!(said.version.as_untrusted_bytes(), b"8.0.36");
        assert_eq!(said.plugin.as_untrusted_bytes(), plugin);
        assert_eq!(said.scramble().collect::<Vec<_>>(), scramble);
        assert_eq!((said.thread_id, said.charset, said.status), (7, 45, 2));
        assert_eq!((said.capabilities, said.mariadb_capabilities), (capabilities, mariadb));
        let sent = client.request().capabilities();
        assert_eq!(sent, capabilities & MYSQL_REQUEST.capabilities() | SSL | PROTOCOL_41);
        assert_eq!(output[4..8], sent.to_le_bytes());
        // Inside TLS the client sends it again, in a longer packet.
        output[0] = 34;
        output[3] = mysql::SEQUENCE_IN_TLS;
        assert_eq!(mysql::SslRequest::repeated(&output), Ok(client.request()));
    }
}

/// A server's reaction to the start of a client's packet.
fn answered(length: u32, sequence: u8, flags: u8, policy: Demand) -> &'static str {
    match (length, sequence, flags & 2 != 0, flags & 8 != 0) {
        (131_073.., ..) => "error FrameTooLong",
        (32, 1, true, true) => "upgrade",
        (34.., 1, true, false) | (6.., 1, false, false) if policy == Demand::Required => "quit",
        (34.., 1, true, false) | (6.., 1, false, false) => "plaintext",
        _ => "error Syntax",
    }
}

#[test]
fn packets() {
    let lengths: [u32; 16] =
        [0, 1, 2, 5, 6, 7, 31, 32, 33, 34, 35, 255, 256, 131_072, 131_073, 0xff_ffff];
    for length in lengths {
        for sequence in [0, 1, 2, 255] {
            for flags in 0..=u8::MAX {
                let mut packet = length.to_le_bytes();
                packet[3] = sequence;
                let packet = [&packet[..], &[0x85, flags], &[b'p'; 30]].concat();
                for policy in POLICIES {
                    let came = outcome(Protocol::Mysql, Role::Server, policy, &[&b""[..], &packet]);
                    let expected = answered(length, sequence, flags, policy);
                    let (end, out) = last(&came);
                    // A reply, if any, is an error, and never contains the password proof.
                    assert_eq!((end, out.get(4)), (expected, (end == "quit").then_some(&0xff)));
                    assert!(!out.contains(&b'\0') || end == "quit");
                }
            }
        }
    }
}

#[test]
fn bytes_after_the_request() {
    for octet in 0..=u8::MAX {
        let request =
            [&b"\x20\0\0\x01\x85\xae\x7f\0\0\0\0\x01\x21"[..], &[0; 23], &[octet]].concat();
        let turns = [&b""[..], &request];
        let came = outcome(Protocol::Mysql, Role::Server, Demand::Required, &turns);
        let expected = if octet == 0x16 { "upgrade" } else { "error PlaintextAfterGoAhead(1)" };
        assert_eq!(last(&came), (expected, &b""[..]), "{octet}");
    }
}

#[test]
fn greetings() {
    for (available, capabilities) in [(true, SSL), (false, 0)] {
        let config = Config::default().with_available(available);
        let mut server = mysql::Server::new(MYSQL_GREETING, config);
        let mut output = [0; 192];
        let Ok(Step::Write(n)) = server.step(&mut &b""[..], &mut output) else {
            panic!("no greeting");
        };
        let mut client = mysql::Client::new(MYSQL_REQUEST, Policy::Opportunistic);
        client.step(&mut &output[..n], &mut [0; 36]).expect("a greeting");
        let said = client.handshake().expect("it has come");
        assert_eq!(said.capabilities & SSL, capabilities);
        assert_eq!(said.scramble().collect::<Vec<_>>(), MYSQL_GREETING.scramble().as_bytes());
        assert_eq!(said.version.as_untrusted_bytes(), MYSQL_GREETING.version().as_str().as_bytes());
        assert_eq!(said.plugin.as_untrusted_bytes(), b"mysql_native_password");
        assert_eq!((said.thread_id, said.charset, said.status), (7, 45, 2));
    }
}
