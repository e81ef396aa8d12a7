//! Every byte at every place of XMPP's elements, in both roles.

use starttls_tests::run::Outcome;
use starttls_tests::sweep::{self, POLICIES, assert_unseen};
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

/// A client's end after this reply.
fn answered(policy: Demand, answer: &[u8]) -> String {
    outcome(Role::Client, policy, &[b"", &[HEADER, FEATURES].concat(), answer]).end
}

/// A server's end after this request.
fn asked(policy: Demand, request: &[u8]) -> String {
    outcome(Role::Server, policy, &[HEADER, request]).end
}

/// `whole` with each byte replaced by each other one, and whether white space replaces white space.
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
fn every_byte_of_the_go_ahead_matters() {
    for policy in POLICIES {
        assert_eq!(answered(policy, PROCEED), "upgrade");
        for (answer, is_blank) in others(PROCEED) {
            let ready = answered(policy, &answer) == "upgrade";
            assert_eq!(ready, is_blank, "{}", answer.escape_ascii());
        }
    }
}

#[test]
fn every_byte_of_the_request_matters() {
    for policy in POLICIES {
        assert_eq!(asked(policy, REQUEST), "upgrade");
        for (request, is_blank) in others(REQUEST) {
            let ready = asked(policy, &request) == "upgrade";
            assert_eq!(ready, is_blank, "{}", request.escape_ascii());
        }
    }
}

#[test]
fn bytes_after_the_go_ahead() {
    for octet in 0..=u8::MAX {
        let end = answered(Demand::Required, &[PROCEED, &[octet]].concat());
        assert_eq!(end, "error PlaintextAfterGoAhead(1)", "{octet:02x}");
    }
}

#[test]
fn bytes_after_the_request() {
    for octet in 0..=u8::MAX {
        let end = asked(Demand::Required, &[REQUEST, &[octet]].concat());
        let expected = match octet {
            0x16 | b' ' | b'\t' | b'\r' | b'\n' => "upgrade",
            _ => "error PlaintextAfterGoAhead(1)",
        };
        assert_eq!(end, expected, "{octet:02x}");
    }
}

#[test]
fn first_bytes() {
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

/// Every byte within text and within a value: those allowed as they are, and those not.
#[test]
fn bytes_of_text_and_values() {
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

#[test]
fn no_secret_is_shown() {
    let header = "<stream:stream to='im.example.org' version='1.0' xmlns='jabber:client' \
                  xmlns:stream='http://etherx.jabber.org/streams'>";
    for element in [
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>hunter2</auth>",
        "<auth mechanism='PLAIN'>hunter2</auth>",
        "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>hunter2</response>",
        "<iq type='set'><query xmlns='jabber:iq:auth'><password>hunter2</password></query></iq>",
        "<iq type='set'><password>hunter2</password></iq>",
        "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'>hunter2</starttls>",
        "<message><body>hunter2</body></message>",
        "<handshake>hunter2</handshake>",
        "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls' secret='hunter2'/>",
        "hunter2",
    ] {
        for policy in POLICIES {
            assert_unseen(
                Protocol::Xmpp,
                policy,
                format!("{header}{element}").as_bytes(),
                "hunter2",
            );
            assert_unseen(Protocol::Xmpp, policy, element.as_bytes(), "hunter2");
        }
    }
}
