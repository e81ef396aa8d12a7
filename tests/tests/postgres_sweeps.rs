//! Every byte at every place of PostgreSQL's packets, in both roles.

use starttls::server::{Config, Event};
use starttls::{Machine as _, Step, postgres};
use starttls_tests::sweep::{POLICIES, last, outcome};
use starttls_tests::table::{Demand, Protocol, Role};

#[test]
fn answers() {
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

/// The reaction of PostgreSQL's own server to a packet, in our terms: the end, and the reply.
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
fn packets() {
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
fn first_bytes() {
    for octet in 0..=u8::MAX {
        let came = outcome(Protocol::Postgres, Role::Server, Demand::Required, &[[octet]]);
        let (expected, early) = if octet == 0x16 { ("upgrade", 1) } else { ("waiting", 0) };
        assert_eq!((last(&came), came.early.len()), ((expected, &b""[..]), early), "{octet}");
        let request = [&SSL_REQUEST[..], &[octet]].concat();
        let came = outcome(Protocol::Postgres, Role::Server, Demand::Required, &[request]);
        let expected = if octet == 0x16 { "upgrade" } else { "error PlaintextAfterGoAhead(1)" };
        assert_eq!(last(&came), (expected, &b"S"[..]), "{octet}");
    }
}

#[test]
fn direct_tls_is_reported() {
    for (mut input, direct) in [(&SSL_REQUEST[..], false), (b"\x16\x03\x01", true)] {
        let mut server = postgres::Server::new(Config::default());
        let mut output = [0; 8];
        assert!(!server.is_direct());
        while server.step(&mut input, &mut output) != Ok(Step::Event(Event::UpgradeRequested)) {}
        assert_eq!(server.is_direct(), direct);
    }
}
