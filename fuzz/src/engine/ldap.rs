//! The engines' targets: the specifics of LDAP.

use starttls::ldap;

use super::{ClientSide, ServerSide};

const START_TLS: &[u8] = b"1.3.6.1.4.1.1466.20037";

fn has(message: &[u8], part: &[u8]) -> bool {
    message.windows(part.len()).any(|window| window == part)
}

/// Each length in our messages takes one byte.
fn assert_message(written: &[u8]) {
    assert_eq!(written[0], 0x30);
    assert_eq!(usize::from(written[1]), written.len() - 2);
    assert!(written[1] < 0x80);
}

impl ClientSide for ldap::Ldap {
    const DICTIONARY: &'static str = "ldap";
    const REQUEST: &'static [u8] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";

    fn is_go_ahead(frame: &[u8]) -> bool {
        has(frame, b"\x02\x01\x01\x78") && has(frame, b"\x0a\x01\x00")
    }

    fn assert_request(written: &[u8]) {
        assert_message(written);
    }
}

impl ServerSide for ldap::Ldap {
    const ANSWER: &'static str = "LDAP has no lines";

    fn asks(command: &[u8]) -> bool {
        has(command, START_TLS)
    }

    fn is_go_ahead(reply: &[u8]) -> bool {
        reply.ends_with(b"\x78\x07\x0a\x01\x00\x04\x00\x04\x00")
    }

    /// An unbind has no reply.
    fn is_goodbye(_: &[u8]) -> bool {
        false
    }

    fn assert_reply(written: &[u8]) {
        assert_message(written);
    }
}
