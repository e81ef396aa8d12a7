//! Every octet at every place of XMPP's elements, in both roles.

use starttls_tests::run::Outcome;
use starttls_tests::sweep::{self, POLICIES};
use starttls_tests::table::{Demand, Protocol, Role};

const HEADER: &[u8] = b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams' to='im.example.org' version='1.0'>";
const FEATURES: &[u8] = b"<stream:features><starttls \
    xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>";
const REQUEST: &[u8] = b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
const PROCEED: &[u8] = b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";

fn outcome(role: Role, policy: Demand, turns: &[&[u8]]) -> Outcome {
    sweep::outcome(Protocol::Xmpp, role, policy, turns)
}

/// How a client ends that is answered like this.
fn answered(policy: Demand, answer: &[u8]) -> String {
    outcome(Role::Client, policy, &[b"", &[HEADER, FEATURES].concat(), answer]).end
}

/// How a server ends that is asked like this.
fn asked(policy: Demand, request: &[u8]) -> String {
    outcome(Role::Server, policy, &[HEADER, request]).end
}

/// Each octet of `whole` as any other octet, and whether that is another blank in place of one.
fn others(whole: &[u8]) -> impl Iterator<Item = (Vec<u8>, bool)> + '_ {
    (0..whole.len()).flat_map(move |place| {
        (0..=u8::MAX).filter(move |octet| *octet != whole[place]).map(move |octet| {
            let mut other = whole.to_vec();
            other[place] = octet;
            (other, whole[place] == b' ' && octet.is_ascii_whitespace() && octet != 0x0c)
        })
    })
}

#[test]
fn no_octet_of_the_go_ahead_is_any() {
    for policy in POLICIES {
        assert_eq!(answered(policy, PROCEED), "upgrade");
        for (answer, is_blank) in others(PROCEED) {
            let ready = answered(policy, &answer) == "upgrade";
            assert_eq!(ready, is_blank, "{}", answer.escape_ascii());
        }
    }
}

#[test]
fn no_octet_of_the_request_is_any() {
    for policy in POLICIES {
        assert_eq!(asked(policy, REQUEST), "upgrade");
        for (request, is_blank) in others(REQUEST) {
            let ready = asked(policy, &request) == "upgrade";
            assert_eq!(ready, is_blank, "{}", request.escape_ascii());
        }
    }
}

#[test]
fn octets_behind_the_go_ahead() {
    for octet in 0..=u8::MAX {
        let end = answered(Demand::Required, &[PROCEED, &[octet]].concat());
        assert_eq!(end, "error PlaintextAfterGoAhead(1)", "{octet:02x}");
    }
}

#[test]
fn octets_behind_the_request() {
    for octet in 0..=u8::MAX {
        let end = asked(Demand::Required, &[REQUEST, &[octet]].concat());
        let expected = if octet == 0x16 { "upgrade" } else { "error PlaintextAfterGoAhead(1)" };
        assert_eq!(end, expected, "{octet:02x}");
    }
}

#[test]
fn first_octets() {
    for octet in 0..=u8::MAX {
        let expected = match octet {
            b'<' | b' ' | b'\t' | b'\r' | b'\n' => "waiting",
            _ => "error Syntax",
        };
        for policy in POLICIES {
            assert_eq!(outcome(Role::Client, policy, &[b"", &[octet]]).end, expected);
            assert_eq!(outcome(Role::Server, policy, &[&[octet]]).end, expected);
            assert_eq!(answered(policy, &[octet]), expected, "{octet:02x}");
            assert_eq!(asked(policy, &[octet]), expected, "{octet:02x}");
        }
    }
}

/// Every octet within text and within a value: those that are there as they are, and those that are not.
#[test]
fn octets_of_text_and_values() {
    for octet in 0..=u8::MAX {
        let fine = matches!(octet, b'\t' | b'\n' | b'\r' | b' '..=0x7f);
        for (front, back, special) in [
            (&b"<stream:features><a>"[..], &b"</a></stream:features>"[..], &b"<&"[..]),
            (b"<stream:features a='", b"'/>", b"<&'"),
            (b"<stream:features a=\"", b"\"/>", b"<&\""),
        ] {
            let whole = [HEADER, front, &[octet], back].concat();
            let end = outcome(Role::Client, Demand::Opportunistic, &[b"", &whole]).end;
            let expected = fine && !special.contains(&octet);
            assert_eq!(end == "plaintext", expected, "{octet:02x}: {end}");
        }
    }
}
