//! Every byte at every place, for VNC and RDP.

use starttls_tests::sweep::{self, POLICIES, by};
use starttls_tests::table::{Demand, Protocol, Role};

/// The end of the dialogue `turns`, and the bytes sent after the last.
fn outcome<T: AsRef<[u8]>>(
    (protocol, role, policy): (Protocol, Role, Demand),
    turns: &[T],
) -> (String, Vec<u8>) {
    let outcome = sweep::outcome(protocol, role, policy, turns);
    let (end, out) = sweep::last(&outcome);
    is(end, out)
}

fn is(end: &str, out: &[u8]) -> (String, Vec<u8>) {
    (end.to_string(), out.to_vec())
}

const VERSION: &[u8] = b"RFB 003.008\n";

#[test]
fn vnc_servers() {
    for policy in POLICIES {
        let client = (Protocol::Vnc, Role::Client, policy);
        let never = by(policy, "error NotOffered", "plaintext");
        for octet in 0..=u8::MAX {
            let came = outcome(client, &[[octet]]);
            let expected = if octet == b'R' { "waiting" } else { "error Syntax" };
            assert_eq!(came, is(expected, b""), "the first byte: {octet}");

            let came = outcome(client, &[VERSION, &[1, octet]]);
            let expected = if octet == 19 { is("waiting", &[19]) } else { is(never, b"") };
            assert_eq!(came, expected, "the type {octet}");

            for version in [[0, octet], [octet, 0], [octet, 2]] {
                let came = outcome(client, &[VERSION, &[1, 19], &version]);
                let expected = match version {
                    [0, 0 | 1] => is("error NotOffered", b""),
                    _ => is("waiting", &[0, 2]),
                };
                assert_eq!(came, expected, "VeNCrypt {version:?}");
            }

            let came = outcome(client, &[VERSION, &[1, 19], &[0, 2], &[octet]]);
            let expected = if octet == 0 { "waiting" } else { "error Refused" };
            assert_eq!(came, is(expected, b""), "the status {octet}");

            let turns = [VERSION, &[1, 19], &[0, 2], &[0, 1, 0, 0, 1, 6], &[octet]];
            let expected = match octet {
                0 => "error Refused",
                1 => "upgrade",
                _ => "error UnexpectedReply",
            };
            assert_eq!(outcome(client, &turns), is(expected, b""), "the answer {octet}");
        }
        for number in (0_u32..1024).chain((0..32).map(|bit| 260 ^ (1 << bit))) {
            let list = [&[0, 1][..], &number.to_be_bytes()].concat();
            let came = outcome(client, &[VERSION, &[1, 19], &[0, 2], &list]);
            let expected = match number {
                260..=262 => is("waiting", &number.to_be_bytes()),
                _ => is("error NotOffered", b""),
            };
            assert_eq!(came, expected, "the subtype {number}");
        }
    }
}

#[test]
fn vnc_clients() {
    for policy in POLICIES {
        let server = (Protocol::Vnc, Role::Server, policy);
        for octet in 0..=u8::MAX {
            let came = outcome(server, &[b"", &[octet][..]]);
            let expected = if octet == b'R' { "waiting" } else { "error Syntax" };
            assert_eq!(came, is(expected, b""), "the first byte: {octet}");

            let came = outcome(server, &[b"", VERSION, &[octet]]);
            let expected = match octet {
                19 => is("waiting", &[0, 2]),
                1 | 2 => is(by(policy, "quit", "plaintext"), b""),
                _ => is("quit", b""),
            };
            assert_eq!(came, expected, "the type {octet}");

            for version in [[0, octet], [octet, 0], [octet, 2]] {
                let (end, out) = outcome(server, &[b"", VERSION, &[19], &version]);
                let expected = if version == [0, 2] { "waiting" } else { "quit" };
                assert_eq!(end, expected, "VeNCrypt {version:?}");
                assert_eq!(out == [0xff], end == "quit", "VeNCrypt {version:?}: {out:?}");
            }

            let turns = [b"", VERSION, &[19], &[0, 2], &[0, 0, 1, 6, octet]];
            let expected = if octet == 0x16 { "upgrade" } else { "error PlaintextAfterGoAhead(1)" };
            assert_eq!(outcome(server, &turns), is(expected, &[1]), "after the choice: {octet}");
        }
        for number in (0_u32..1024).chain((0..32).map(|bit| 260 ^ (1 << bit))) {
            let came = outcome(server, &[b"", VERSION, &[19], &[0, 2], &number.to_be_bytes()]);
            let expected = match number {
                260..=262 => is("upgrade", &[1]),
                _ => is("quit", &[0]),
            };
            assert_eq!(came, expected, "the subtype {number}");
        }
    }
}

/// Every version 3.
#[test]
fn vnc_versions() {
    for policy in POLICIES {
        for number in 0..1000 {
            let version = format!("RFB 003.{number:03}\n");
            let client = (Protocol::Vnc, Role::Client, policy);
            let expected = match number {
                8 => is("waiting", VERSION),
                _ => is(by(policy, "error NotOffered", "plaintext"), b""),
            };
            assert_eq!(outcome(client, &[&version]), expected, "{version}");
            let server = (Protocol::Vnc, Role::Server, policy);
            let (end, out) = outcome(server, &["", &version]);
            let expected = if number == 8 { "waiting" } else { "quit" };
            assert_eq!(end, expected, "{version}");
            // No types, or a list of them; version 3.3 sends one type as a 32-bit word.
            let zeros = out.iter().take_while(|octet| **octet == 0).count();
            let expected = match number {
                7 => 1 + 3,
                8 => 0,
                _ => 4 + 3,
            };
            assert_eq!(zeros, expected, "{version}: {out:?}");
        }
    }
}

/// A TPDU with a negotiation.
fn tpdu(code: u8, kind: u8, value: u32) -> Vec<u8> {
    let mut packet = vec![3, 0, 0, 19, 14, code, 0, 0, 0, 0, 0, kind, 0, 8, 0];
    packet.extend(value.to_le_bytes());
    packet
}

/// Every value of one byte, and every bit.
fn values() -> impl Iterator<Item = u32> {
    (0..=255).chain((8..32).map(|bit| 1 << bit)).chain((8..32).map(|bit| 1 | 1 << bit))
}

#[test]
fn rdp_servers() {
    for policy in POLICIES {
        let client = (Protocol::Rdp, Role::Client, policy);
        let never = by(policy, "error NotOffered", "plaintext");
        let answered = |packet: &[u8]| outcome(client, &[b"", packet]);
        for value in values() {
            let expected = match value {
                0 => never,
                1 | 2 => "upgrade",
                _ => "error UnexpectedReply",
            };
            assert_eq!(answered(&tpdu(0xd0, 2, value)), is(expected, b""), "chosen: {value:#x}");
            let expected = match value {
                2 | 3 => "error NotOffered",
                1..=6 => "error Refused",
                _ => "error UnexpectedReply",
            };
            assert_eq!(answered(&tpdu(0xd0, 3, value)), is(expected, b""), "failure {value:#x}");
        }
        for octet in 0..=u8::MAX {
            let expected = match octet {
                0xd0 => "upgrade",
                0x80 => "error Closing",
                _ => "error Syntax",
            };
            assert_eq!(answered(&tpdu(octet, 2, 1)), is(expected, b""), "code {octet:#x}");
            let expected = match octet {
                2 => "upgrade",
                3 => "error Refused",
                _ => "error Syntax",
            };
            assert_eq!(answered(&tpdu(0xd0, octet, 1)), is(expected, b""), "kind {octet}");
            let came = answered(&[&tpdu(0xd0, 2, 1)[..], &[octet]].concat());
            assert_eq!(came, is("error PlaintextAfterGoAhead(1)", b""), "after it: {octet}");
            let expected = if octet == 3 { "waiting" } else { "error Syntax" };
            assert_eq!(answered(&[octet]), is(expected, b""), "the first byte: {octet}");
        }
        for length in 0..=u16::MAX {
            let [high, low] = length.to_be_bytes();
            let expected = match length {
                0..=10 => "error Syntax",
                11..=19 => "waiting",
                _ => "error FrameTooLong",
            };
            assert_eq!(answered(&[3, 0, high, low]), is(expected, b""), "a length of {length}");
        }
    }
}

#[test]
fn rdp_clients() {
    for policy in POLICIES {
        let server = (Protocol::Rdp, Role::Server, policy);
        let asked = |packet: &[u8]| outcome(server, &[packet]);
        let chosen = |bit| {
            let mut confirm = tpdu(0xd0, 2, bit);
            confirm[12] = 1;
            confirm
        };
        for value in values() {
            let expected = match value & 3 {
                0 if policy == Demand::Required => is("quit", &tpdu(0xd0, 3, 1)),
                0 => is("plaintext", b""),
                1 => is("upgrade", &chosen(1)),
                _ => is("upgrade", &chosen(2)),
            };
            assert_eq!(asked(&tpdu(0xe0, 1, value)), expected, "asked for: {value:#x}");
        }
        for octet in 0..=u8::MAX {
            let expected = if octet == 0xe0 { is("upgrade", &chosen(1)) } else { is("quit", b"") };
            assert_eq!(asked(&tpdu(octet, 1, 1)), expected, "code {octet:#x}");
            let expected = if octet == 1 { is("upgrade", &chosen(1)) } else { is("quit", b"") };
            assert_eq!(asked(&tpdu(0xe0, octet, 1)), expected, "kind {octet}");
            let end = if octet == 0x16 { "upgrade" } else { "error PlaintextAfterGoAhead(1)" };
            let came = asked(&[&tpdu(0xe0, 1, 1)[..], &[octet]].concat());
            assert_eq!(came, is(end, &chosen(1)), "after it: {octet}");
            let expected = if octet == 3 { "waiting" } else { "error Syntax" };
            assert_eq!(asked(&[octet]), is(expected, b""), "the first byte: {octet}");
        }
        for length in 0..=u16::MAX {
            let [high, low] = length.to_be_bytes();
            let expected = match length {
                0..=10 => "error Syntax",
                11..=259 => "waiting",
                _ => "error FrameTooLong",
            };
            assert_eq!(asked(&[3, 0, high, low]), is(expected, b""), "a length of {length}");
        }
    }
}
