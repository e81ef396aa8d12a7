//! Every resultCode, messageID, tag and byte of LDAP's messages, in both roles.

use starttls_tests::run::Outcome;
use starttls_tests::sweep::{self, POLICIES, assert_unseen};
use starttls_tests::table::{Demand, Protocol, Role};

fn outcome(role: Role, policy: Demand, turns: &[&[u8]]) -> Outcome {
    sweep::outcome(Protocol::Ldap, role, policy, turns)
}

/// A client's end after this reply.
fn answered(policy: Demand, answer: &[u8]) -> String {
    let outcome = outcome(Role::Client, policy, &[b"", answer]);
    assert_eq!(outcome.out[1], b"", "the client sends more than its request");
    outcome.end
}

/// A server's end after this request, and its reply.
fn asked(policy: Demand, request: &[u8]) -> (String, Vec<u8>) {
    let mut outcome = outcome(Role::Server, policy, &[request]);
    (outcome.end, outcome.out.remove(0))
}

fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = u8::try_from(contents.len()).expect("a short length");
    assert!(length < 0x80, "a short length");
    [&[tag, length], contents].concat()
}

/// A message with the messageID 1.
fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    element(0x30, &[&[2, 1, 1], &element(tag, body)[..]].concat())
}

fn result(code: &[u8]) -> Vec<u8> {
    [&element(0x0a, code), &[4, 0, 4, 0][..]].concat()
}

const OID: &[u8] = b"1.3.6.1.4.1.1466.20037";

#[test]
fn result_codes_of_one_byte() {
    for policy in POLICIES {
        let no = if policy == Demand::Required { "error Refused" } else { "plaintext" };
        for code in 0..=0xff {
            let named = [result(&[code]), element(0x8a, OID)].concat();
            let referring = [result(&[code]), element(0xa3, &element(4, b"ldap://a/"))].concat();
            // A success has no referral (RFC 4511 §4.1.10).
            for (body, yes) in [
                (result(&[code]), "upgrade"),
                (named, "upgrade"),
                (referring, "error UnexpectedReply"),
            ] {
                let expected = if code == 0 { yes } else { no };
                assert_eq!(answered(policy, &message(0x78, &body)), expected, "{code}");
            }
        }
    }
}

#[test]
fn result_codes_of_two_bytes() {
    for code in 0..=0xffff_u16 {
        let expected = match i16::from_be_bytes(code.to_be_bytes()) {
            // Encoded with more bytes than necessary.
            -0x80..=0x7f => "error Syntax",
            _ => "error Refused",
        };
        let answer = message(0x78, &result(&code.to_be_bytes()));
        assert_eq!(answered(Demand::Required, &answer), expected, "{code:04x}");
    }
}

#[test]
fn result_codes_of_other_lengths() {
    let ends = |octet: u8, expected: [&str; 7]| {
        for (length, expected) in expected.into_iter().enumerate() {
            let answer = message(0x78, &result(&vec![octet; length]));
            assert_eq!(answered(Demand::Required, &answer), expected, "{length} of {octet:02x}");
        }
    };
    let (no, bad) = ("error Refused", "error Syntax");
    ends(0, [bad, "upgrade", bad, bad, bad, bad, bad]);
    ends(1, [bad, no, no, no, no, bad, bad]);
    ends(0x80, [bad, no, no, no, no, bad, bad]);
    ends(0xff, [bad, no, bad, bad, bad, bad, bad]);
}

#[test]
fn replies_of_every_kind() {
    for policy in POLICIES {
        for tag in 0..=0xff_u8 {
            let expected = match tag {
                0x78 => "upgrade",
                // A multi-byte tag, which LDAP does not use.
                _ if tag & 0x1f == 0x1f => "error Syntax",
                _ => "error UnexpectedReply",
            };
            assert_eq!(answered(policy, &message(tag, &result(&[0]))), expected, "{tag:02x}");
        }
    }
}

#[test]
fn message_ids() {
    for id in 0..=0xff_u8 {
        let expected = match id {
            1 => "upgrade",
            0x80.. => "error Syntax",
            _ => "error UnexpectedReply",
        };
        let mut answer = message(0x78, &result(&[0]));
        answer[4] = id;
        assert_eq!(answered(Demand::Required, &answer), expected, "{id}");
    }
}

#[test]
fn first_bytes() {
    for octet in 0..=0xff {
        let expected = if octet == 0x30 { "waiting" } else { "error Syntax" };
        assert_eq!(answered(Demand::Required, &[octet]), expected, "{octet:02x}");
        assert_eq!(asked(Demand::Required, &[octet]).0, expected, "{octet:02x}");
        let expected = match octet {
            0..=0x7f | 0x81..=0x84 => "waiting",
            _ => "error Syntax",
        };
        // An empty message is complete.
        let expected = if octet == 0 { "error Syntax" } else { expected };
        assert_eq!(answered(Demand::Required, &[0x30, octet]), expected, "{octet:02x}");
        assert_eq!(asked(Demand::Required, &[0x30, octet]).0, expected, "{octet:02x}");
    }
}

/// Changing any byte of the go-ahead invalidates it.
#[test]
fn every_byte_of_the_go_ahead_matters() {
    let answer = message(0x78, &[result(&[0]), element(0x8a, OID)].concat());
    for place in 0..answer.len() {
        for octet in (0..=0xff).filter(|octet| *octet != answer[place]) {
            let mut answer = answer.clone();
            answer[place] = octet;
            // A longer diagnosticMessage may swallow the responseName.
            let is_text = (place, octet) == (13, 24);
            for policy in POLICIES {
                let ready = answered(policy, &answer) == "upgrade";
                assert_eq!(ready, is_text, "{octet:02x} at {place}");
            }
        }
    }
}

/// Changing any byte of the request invalidates it.
#[test]
fn every_byte_of_the_request_matters() {
    let request = message(0x77, &element(0x80, OID));
    for place in 0..request.len() {
        for octet in (0..=0xff).filter(|octet| *octet != request[place]) {
            let mut request = request.clone();
            request[place] = octet;
            let other_id = place == 4 && (1..0x80).contains(&octet);
            let ready = asked(Demand::Required, &request).0 == "upgrade";
            assert_eq!(ready, other_id, "{octet:02x} at {place}");
        }
    }
}

#[test]
fn requests_of_every_kind() {
    // Request tags with their response tags; unbind and abandon have no response.
    const RESPONSES: [(u8, u8); 8] = [
        (0x60, 0x61),
        (0x63, 0x65),
        (0x66, 0x67),
        (0x68, 0x69),
        (0x4a, 0x6b),
        (0x6c, 0x6d),
        (0x6e, 0x6f),
        (0x77, 0x78),
    ];
    let anonymous = [&[2, 1, 3][..], &[4, 0], &[0x80, 0]].concat();
    for tag in 0..=0xff {
        let body = match tag {
            0x60 => &anonymous[..],
            0x77 => &[0x80, 1, b'1'],
            _ => b"",
        };
        let (end, said) = asked(Demand::Required, &message(tag, body));
        let response = RESPONSES.iter().find(|(request, _)| *request == tag);
        let expected = match (tag, response) {
            (_, Some(_)) | (0x50, _) => "waiting",
            (0x42, _) => "quit",
            _ => "error Syntax",
        };
        assert_eq!(end, expected, "{tag:02x}");
        let code = if tag == 0x77 { 2 } else { 13 };
        match response {
            Some((_, response)) => {
                assert_eq!((said[5], &said[7..10]), (*response, &[0x0a, 1, code][..]));
            }
            None => assert_eq!(said, b"", "{tag:02x}"),
        }
    }
}

#[test]
fn bytes_after_the_request() {
    let request = message(0x77, &element(0x80, OID));
    for octet in 0..=0xff {
        let (end, said) = asked(Demand::Required, &[&request[..], &[octet]].concat());
        assert_eq!(said, message(0x78, &result(&[0])));
        let expected = if octet == 0x16 { "upgrade" } else { "error PlaintextAfterGoAhead(1)" };
        assert_eq!(end, expected, "{octet:02x}");
    }
}

#[test]
fn no_secret_is_shown() {
    let ber = |tag, parts: &[&[u8]]| element(tag, &parts.concat());
    let secret = b"hunter2";
    let version = ber(2, &[&[3]]);
    let empty = ber(4, &[]);
    let operations = [
        // A bind, simple and otherwise.
        ber(0x60, &[&version, &empty, &ber(0x80, &[secret])]),
        ber(0x60, &[&version, &empty, &ber(0xa3, &[&ber(4, &[b"PLAIN"]), &ber(4, &[secret])])]),
        // A search filter: `userPassword=hunter2`.
        ber(
            0x63,
            &[
                &empty,
                &ber(0x0a, &[&[2]]),
                &ber(0x0a, &[&[0]]),
                &ber(2, &[&[0]]),
                &ber(2, &[&[0]]),
                &ber(1, &[&[0]]),
                &ber(0xa3, &[&ber(4, &[b"userPassword"]), &ber(4, &[secret])]),
                &ber(0x30, &[]),
            ],
        ),
        // Extended operations with a name and a value.
        ber(0x77, &[&ber(0x80, &[b"1.3.6.1.4.1.4203.1.11.1"]), &ber(0x81, &[secret])]),
        ber(0x77, &[&ber(0x80, &[b"1.2.3"]), &ber(0x81, &[secret])]),
        ber(0x77, &[&ber(0x80, &[b"1.3.6.1.4.1.1466.20037"]), &ber(0x81, &[secret])]),
        ber(0x77, &[&ber(0x80, &[secret])]),
        // Modify, add, delete, modify DN, compare, and an unknown operation.
        ber(0x66, &[secret]),
        ber(0x68, &[secret]),
        ber(0x4a, &[secret]),
        ber(0x6c, &[secret]),
        ber(0x6e, &[secret]),
        ber(0x5f, &[secret]),
    ];
    for operation in operations {
        for policy in POLICIES {
            let message = ber(0x30, &[&ber(2, &[&[1]]), &operation]);
            assert_unseen(Protocol::Ldap, policy, &message, "hunter2");
        }
    }
}
