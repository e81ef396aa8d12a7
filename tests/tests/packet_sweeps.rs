//! Every octet at every place, for the protocols that are made of packets.

use starttls::server::{Config, Event};
use starttls::{Machine, Policy, Step, mysql, nbd, postgres};
use starttls_tests::machines::{MYSQL_GREETING, MYSQL_REQUEST};
use starttls_tests::run::{Cut, Outcome, play};
use starttls_tests::subject::Room;
use starttls_tests::table::{Demand, Protocol, Role, Row};

const POLICIES: [Demand; 2] = [Demand::Required, Demand::Opportunistic];

/// What comes of `turns`.
fn outcome<T: AsRef<[u8]>>(protocol: Protocol, role: Role, policy: Demand, turns: &[T]) -> Outcome {
    let row = Row::of(protocol, role, policy, turns);
    play(&row, Cut::Whole, Room::Ample).upgrade.expect("a dialogue")
}

fn last(outcome: &Outcome) -> (&str, &[u8]) {
    (&outcome.end, outcome.out.last().expect("a turn"))
}

#[test]
fn postgres_answers() {
    for policy in POLICIES {
        for octet in 0..=u8::MAX {
            for more in [&b""[..], b"\x16", b"S", b"FATAL\0\0"] {
                let answer = [&[octet], more].concat();
                let came = outcome(Protocol::Postgres, Role::Client, policy, &[&b""[..], &answer]);
                let injected = format!("error PlaintextAfterGoAhead({})", more.len());
                let expected = match (octet, policy) {
                    (b'S', _) if more.is_empty() => "upgrade",
                    (b'S', _) => &injected,
                    (b'N', Demand::Required) => "error Refused",
                    (b'N', _) if more.is_empty() => "plaintext",
                    (b'N', _) => "error Unsolicited",
                    (b'E', _) => "error Closing",
                    _ => "error UnexpectedReply",
                };
                assert_eq!(last(&came), (expected, &b""[..]), "{answer:?}");
                let shown = came.lines.concat();
                assert!(!shown.contains("FATAL"), "{shown}");
            }
        }
    }
}

const SSL_REQUEST: [u8; 8] = *b"\x00\x00\x00\x08\x04\xd2\x16\x2f";

/// What PostgreSQL's own server makes of a packet, in words of ours: how it ends, and with what.
fn judged(length: u32, code: u32, policy: Demand) -> (&'static str, Option<u8>) {
    let [major, minor] = [code >> 16, code & 0xffff];
    let business = if policy == Demand::Required { ("quit", None) } else { ("plaintext", None) };
    match (length, major, minor) {
        (0x1600_0000..=0x16ff_ffff, ..) => ("upgrade", None),
        (10_005.., ..) => ("error FrameTooLong", None),
        (0..8, ..) => ("error Syntax", None),
        (8, 1234, 5679) => ("upgrade", Some(b'S')),
        (8, 1234, 5680) => ("waiting", Some(b'N')),
        (_, 1234, 5679 | 5680) => ("error Syntax", None),
        (16..=268, 1234, 5678) => business,
        (_, 1234, 5678) => ("error Syntax", None),
        (_, 3, _) if policy == Demand::Required => ("quit", Some(b'E')),
        (_, 3, _) => business,
        _ => ("quit", Some(b'E')),
    }
}

#[test]
fn postgres_packets() {
    let lengths = [0, 1, 7, 8, 9, 15, 16, 17, 268, 269, 9_999, 10_000, 10_004, 10_005, 10_008];
    let lengths = lengths.into_iter().chain((0..32).map(|bit| 1 << bit)).chain([u32::MAX]);
    let special = |minor: u32| 1234 << 16 | minor;
    let codes = [0, 1, 2 << 16, 3 << 16, 3 << 16 | 2, 3 << 16 | 9999, 4 << 16, u32::MAX];
    let codes = codes.into_iter().chain((5670..5690).map(special)).chain((0..32).map(|b| 1 << b));
    let codes: Vec<u32> = codes.collect();
    for length in lengths {
        for code in &codes {
            let packet = [length.to_be_bytes(), code.to_be_bytes()].concat();
            for policy in POLICIES {
                let came = outcome(Protocol::Postgres, Role::Server, policy, &[&packet]);
                let (end, out) = last(&came);
                let expected = judged(length, *code, policy);
                assert_eq!((end, out.first().copied()), expected, "{packet:02x?}");
            }
        }
    }
}

#[test]
fn postgres_first_octets() {
    for octet in 0..=u8::MAX {
        let came = outcome(Protocol::Postgres, Role::Server, Demand::Required, &[[octet]]);
        let (expected, early) = if octet == 0x16 { ("upgrade", 1) } else { ("waiting", 0) };
        assert_eq!((last(&came), came.early.len()), ((expected, &b""[..]), early), "{octet}");
        let behind = [&SSL_REQUEST[..], &[octet]].concat();
        let came = outcome(Protocol::Postgres, Role::Server, Demand::Required, &[behind]);
        let expected = if octet == 0x16 { "upgrade" } else { "error PlaintextAfterGoAhead(1)" };
        assert_eq!(last(&came), (expected, &b"S"[..]), "{octet}");
    }
}

#[test]
fn postgres_tells_who_began_with_tls() {
    for (mut input, direct) in [(&SSL_REQUEST[..], false), (b"\x16\x03\x01", true)] {
        let mut server = postgres::Server::new(Config::default());
        let mut output = [0; 8];
        assert!(!server.is_direct());
        while server.step(&mut input, &mut output) != Ok(Step::Event(Event::UpgradeRequested)) {}
        assert_eq!(server.is_direct(), direct);
    }
}

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
fn mysql_capabilities() {
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
fn mysql_hands_on_what_was_said() {
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
        // Inside TLS it is said again, in a longer packet.
        output[0] = 34;
        output[3] = mysql::SEQUENCE_IN_TLS;
        assert_eq!(mysql::SslRequest::repeated(&output), Ok(client.request()));
    }
}

/// What a server makes of the start of a client's packet.
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
fn mysql_packets() {
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
                    // What is said, if anything, is an error, and never the proof of a password.
                    assert_eq!((end, out.get(4)), (expected, (end == "quit").then_some(&0xff)));
                    assert!(!out.contains(&b'\0') || end == "quit");
                }
            }
        }
    }
}

#[test]
fn mysql_octets_behind_the_request() {
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
fn mysql_greetings() {
    for (available, capabilities) in [(true, SSL), (false, 0)] {
        let config = Config { available, ..Config::default() };
        let mut server = mysql::Server::new(MYSQL_GREETING, config);
        let mut output = [0; 192];
        let Ok(Step::Write(n)) = server.step(&mut &b""[..], &mut output) else {
            panic!("no greeting");
        };
        let mut client = mysql::Client::new(MYSQL_REQUEST, Policy::Opportunistic);
        client.step(&mut &output[..n], &mut [0; 36]).expect("a greeting");
        let said = client.handshake().expect("it has come");
        assert_eq!(said.capabilities & SSL, capabilities);
        assert_eq!(said.scramble().collect::<Vec<_>>(), MYSQL_GREETING.scramble.as_bytes());
        assert_eq!(said.version.as_untrusted_bytes(), MYSQL_GREETING.version.as_str().as_bytes());
        assert_eq!(said.plugin.as_untrusted_bytes(), b"mysql_native_password");
        assert_eq!((said.thread_id, said.charset, said.status), (7, 45, 2));
    }
}

const NBD_GREETING: &[u8] = b"NBDMAGICIHAVEOPT\0\x03";

/// A reply to an NBD option that says it has so much data, and some of it.
fn nbd_reply(option: u32, kind: u32, length: u32, data: &[u8]) -> Vec<u8> {
    let fields = [option, kind, length].map(u32::to_be_bytes).concat();
    [&b"\x00\x03\xe8\x89\x04\x55\x65\xa9"[..], &fields, data].concat()
}

#[test]
fn nbd_replies() {
    let bits = (0..32).map(|bit| 1 << bit);
    let errors = (0..32).map(|low| 1 << 31 | low);
    let kinds: Vec<u32> = (0..32).chain(errors).chain(bits.clone()).chain([u32::MAX]).collect();
    let options: Vec<u32> = (0..16).chain(bits).collect();
    for policy in POLICIES {
        let no = if policy == Demand::Required { "error Refused" } else { "plaintext" };
        let turn = |reply: &[u8]| {
            let turns = [NBD_GREETING, reply];
            let came = outcome(Protocol::Nbd, Role::Client, policy, &turns);
            assert!(came.out[1].is_empty());
            came.end
        };
        for kind in &kinds {
            for option in &options {
                let expected = match (option, kind) {
                    (5, 1) => "upgrade",
                    (5, 0x8000_0007) => "error Closing",
                    (5, 0x8000_0000..) => no,
                    _ => "error UnexpectedReply",
                };
                let reply = nbd_reply(*option, *kind, 0, b"");
                assert_eq!(turn(&reply), expected, "{option:x} {kind:x}");
            }
        }
        for (length, text) in
            [(1, "error Syntax"), (4096, "error Syntax"), (4097, "error FrameTooLong")]
        {
            let data = vec![b'x'; 4096.min(length as usize)];
            assert_eq!(turn(&nbd_reply(5, 1, length, &data)), text, "ACK with {length}");
            let refused = if length > 4096 { text } else { no };
            assert_eq!(turn(&nbd_reply(5, 1 << 31 | 2, length, &data)), refused, "{length}");
        }
    }
}

#[test]
fn nbd_flags() {
    for flags in (0..16).map(|bit| 1_u16 << bit).chain([0, 3, u16::MAX, !1]) {
        for policy in POLICIES {
            let greeting = [&b"NBDMAGICIHAVEOPT"[..], &flags.to_be_bytes()].concat();
            let came = outcome(Protocol::Nbd, Role::Client, policy, &[&greeting]);
            let (end, out) = last(&came);
            if flags & 1 != 0 {
                assert_eq!((end, &out[..4]), ("waiting", &u32::from(flags & 3).to_be_bytes()[..]));
            } else {
                let expected =
                    if policy == Demand::Required { "error NotOffered" } else { "plaintext" };
                assert_eq!((end, out), (expected, &b""[..]), "{flags:x}");
            }
        }
        let said = u32::from(flags).to_be_bytes();
        let turns = [&b""[..], &said];
        let came = outcome(Protocol::Nbd, Role::Server, Demand::Required, &turns);
        let expected = if flags & !3 == 0 { "waiting" } else { "error Syntax" };
        assert_eq!(last(&came), (expected, &b""[..]), "{flags:x}");
    }
}

#[test]
fn nbd_options() {
    let options: Vec<u32> = (0..16).chain((0..32).map(|bit| 1 << bit)).collect();
    for option in options {
        for length in [0, 1, 16, 8191, 8192, 8193, u32::MAX] {
            for policy in POLICIES {
                let data = vec![b'x'; length.min(8192) as usize];
                let fields = [option, length].map(u32::to_be_bytes).concat();
                let packet = [&b"\0\0\0\x01IHAVEOPT"[..], &fields, &data].concat();
                let turns = [&b""[..], &packet];
                let came = outcome(Protocol::Nbd, Role::Server, policy, &turns);
                let (end, out) = last(&came);
                let kind = |kind: u32| nbd_reply(option, kind, 0, b"");
                let expected = match (option, length, policy) {
                    (_, 8193.., _) => ("error FrameTooLong", Vec::new()),
                    (5, 0, _) => ("upgrade", kind(1)),
                    (5, ..) => ("waiting", kind(1 << 31 | 3)),
                    (2, ..) => ("quit", kind(1)),
                    (_, _, Demand::Opportunistic) => ("plaintext", Vec::new()),
                    (1, ..) => ("quit", Vec::new()),
                    _ => ("waiting", kind(1 << 31 | 5)),
                };
                assert_eq!((end, out.to_vec()), expected, "{option:x} of {length}");
            }
        }
    }
}

#[test]
fn nbd_octets_behind_the_request() {
    for octet in 0..=u8::MAX {
        let asked = [&b"\0\0\0\x01IHAVEOPT\0\0\0\x05\0\0\0\0"[..], &[octet]].concat();
        let turns = [&b""[..], &asked];
        let came = outcome(Protocol::Nbd, Role::Server, Demand::Required, &turns);
        let expected = if octet == 0x16 { "upgrade" } else { "error PlaintextAfterGoAhead(1)" };
        assert_eq!(last(&came).0, expected, "{octet}");
    }
}

#[test]
fn nbd_flags_are_handed_on() {
    let (none, no_zeroes) = (nbd::Flags::default(), nbd::Flags::NO_ZEROES);
    for (wanted, offered) in [(0, 0), (0, 2), (2, 0), (2, 2)] {
        let flags = |flags| if flags == 2 { no_zeroes } else { none };
        let mut server = nbd::Server::new(flags(offered), Config::default());
        let mut client = nbd::Client::new(flags(wanted), Policy::Required);
        let (mut greeting, mut request) = ([0; 20], [0; 20]);
        assert_eq!((client.flags(), server.flags()), (none, None));
        assert_eq!(server.step(&mut &b""[..], &mut greeting), Ok(Step::Write(18)));
        client.step(&mut &greeting[..18], &mut request).expect("a greeting");
        assert_eq!(client.step(&mut &b""[..], &mut request), Ok(Step::Write(20)));
        server.step(&mut &request[..], &mut greeting).expect("flags");
        assert_eq!(server.flags(), Some(client.flags()));
        assert_eq!(client.flags().bits().to_be_bytes(), request[..4]);
        assert_eq!(client.flags().bits(), 1 | wanted & offered);
    }
}
