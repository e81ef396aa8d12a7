//! Every byte at every place of NBD's packets, in both roles.

use starttls::server::Config;
use starttls::{Machine as _, Policy, Step, nbd};
use starttls_tests::sweep::{POLICIES, last, outcome};
use starttls_tests::table::{Demand, Protocol, Role};

const GREETING: &[u8] = b"NBDMAGICIHAVEOPT\0\x03";

/// A reply to an NBD option with this announced length, and some of the data.
fn reply(option: u32, kind: u32, length: u32, data: &[u8]) -> Vec<u8> {
    let fields = [option, kind, length].map(u32::to_be_bytes).concat();
    [&b"\x00\x03\xe8\x89\x04\x55\x65\xa9"[..], &fields, data].concat()
}

#[test]
fn replies() {
    let bits = (0..32).map(|bit| 1 << bit);
    let errors = (0..32).map(|low| 1 << 31 | low);
    let kinds: Vec<u32> = (0..32).chain(errors).chain(bits.clone()).chain([u32::MAX]).collect();
    let options: Vec<u32> = (0..16).chain(bits).collect();
    for policy in POLICIES {
        let no = if policy == Demand::Required { "error Refused" } else { "plaintext" };
        let turn = |reply: &[u8]| {
            let turns = [GREETING, reply];
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
                let reply = reply(*option, *kind, 0, b"");
                assert_eq!(turn(&reply), expected, "{option:x} {kind:x}");
            }
        }
        for (length, text) in
            [(1, "error Syntax"), (4096, "error Syntax"), (4097, "error FrameTooLong")]
        {
            let data = vec![b'x'; 4096.min(length as usize)];
            assert_eq!(turn(&reply(5, 1, length, &data)), text, "ACK with {length}");
            let refused = if length > 4096 { text } else { no };
            assert_eq!(turn(&reply(5, 1 << 31 | 2, length, &data)), refused, "{length}");
        }
    }
}

#[test]
fn flags() {
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
fn options() {
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
                let kind = |kind: u32| reply(option, kind, 0, b"");
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
fn bytes_after_the_request() {
    for octet in 0..=u8::MAX {
        let asked = [&b"\0\0\0\x01IHAVEOPT\0\0\0\x05\0\0\0\0"[..], &[octet]].concat();
        let turns = [&b""[..], &asked];
        let came = outcome(Protocol::Nbd, Role::Server, Demand::Required, &turns);
        let expected = if octet == 0x16 { "upgrade" } else { "error PlaintextAfterGoAhead(1)" };
        assert_eq!(last(&came).0, expected, "{octet}");
    }
}

#[test]
fn flags_are_passed_on() {
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
