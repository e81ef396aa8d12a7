//! The engines' targets: the specifics of XMPP.

use starttls::xmpp;

use super::{ClientSide, ServerSide};

const PROCEED: &[u8] = b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";

fn has(octets: &[u8], part: &[u8]) -> bool {
    octets.windows(part.len()).any(|window| window == part)
}

/// Elements; the first may be a stream header. Only addresses in it are not ASCII.
fn assert_markup(written: &[u8]) {
    let text = std::str::from_utf8(written).expect("UTF-8");
    assert!(text.starts_with('<') && text.ends_with('>'), "{text:?}");
    let is_forbidden =
        |letter: char| letter.is_control() || matches!(letter, '\u{fffe}' | '\u{ffff}');
    assert!(!text.contains(is_forbidden), "{text:?}");
}

macro_rules! links {
    ($($Link:ty),*) => {$(
impl ClientSide for $Link {
    const DICTIONARY: &'static str = "xmpp";
    const REQUEST: &'static [u8] = b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";

    fn is_go_ahead(frame: &[u8]) -> bool {
        frame.starts_with(b"<") && has(frame, b"proceed")
    }

    fn assert_request(written: &[u8]) {
        assert_markup(written);
    }
}

impl ServerSide for $Link {
    const ANSWER: &'static str = "<a/>";

    fn asks(command: &[u8]) -> bool {
        has(command, b"starttls")
    }

    fn is_go_ahead(reply: &[u8]) -> bool {
        reply == PROCEED
    }

    fn is_goodbye(reply: &[u8]) -> bool {
        reply.ends_with(b"</stream:stream>")
    }

    /// The stream ends in both cases.
    fn is_farewell(reply: &[u8]) -> bool {
        reply.is_empty() || Self::is_goodbye(reply)
    }

    fn assert_reply(written: &[u8]) {
        assert_markup(written);
    }
}
    )*};
}
links!(xmpp::Xmpp, xmpp::XmppServer);
