//! XMPP's grammar compared with quick-xml: well-formedness, and the names found.

#![no_main]

use libfuzzer_sys::fuzz_target;
use quick_xml::NsReader;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;
use starttls::{Client, Error, Policy, Roles, client, xmpp};
use starttls_fuzz::{Case, End, Entry, Go, Run};

const HEADER: &[u8] = b"<stream:stream xmlns='jabber:client' \
    xmlns:tls='urn:ietf:params:xml:ns:xmpp-tls' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>";
const END: &[u8] = b"</stream:stream>";
const FEATURES: &[u8] = b"<stream:features><starttls \
    xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>";
const STREAMS: &[u8] = b"http://etherx.jabber.org/streams";
const TLS: &[u8] = b"urn:ietf:params:xml:ns:xmpp-tls";

/// The prefix of XML's own namespaces. Our grammar does not check their prefixes; quick-xml refuses most.
const OWN: &[u8] = b"http://www.w3.org/";

fuzz_target!(|case: Case<'_>| {
    if !case.octets.windows(OWN.len()).any(|part| part == OWN) {
        features(case.octets);
        answer(case.octets);
        header(case.octets);
    }
    let written = write(case.octets);
    let whole = [HEADER, &written, END].concat();
    let names = elements(&whole).expect("the written document is well-formed");
    let (end, _) = play(&[HEADER, &written].concat(), None);
    let found = (&names[1].namespace[..], &names[1].local[..]);
    let expected = match found {
        (STREAMS, b"features") => Told::Features(offers(&names)),
        (STREAMS, b"error") => Told::Failed(Error::Closing),
        _ => Told::Failed(Error::UnexpectedReply),
    };
    assert_eq!(end, expected, "{}", written.escape_ascii());
});

/// An element found by quick-xml.
#[derive(Debug)]
struct Element {
    depth: usize,
    namespace: Vec<u8>,
    local: Vec<u8>,
    /// Whether it is empty.
    empty: bool,
}

/// The end of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Upgrade,
    /// Whether the features offer TLS.
    Features(bool),
    Failed(Error),
    Waits,
}

/// Plays a client that does not require TLS. Also returns how many bytes it read.
fn play(octets: &[u8], fence: Option<usize>) -> (Told, usize) {
    let domain = xmpp::Domain::new("a").expect("a domain");
    let mut client: Client<_> = xmpp::Client::new(domain, Policy::Opportunistic);
    let mut run = Run::default();
    let (mut ready, mut plaintext) = (false, false);
    let fences: Vec<usize> = [0].into_iter().chain(fence).collect();
    let end = run.over(
        &mut client,
        octets,
        Some(&fences),
        || usize::MAX,
        |_, event, _| {
            ready |= event == client::Event::UpgradeReady;
            plaintext |= matches!(event, client::Event::Plaintext(_));
            if ready || plaintext { Go::Stop } else { Go::On }
        },
    );
    let writes = run.trace.iter().filter(|entry| matches!(entry, Entry::Wrote(_))).count();
    let told = match (end, run.trace.last()) {
        _ if ready => Told::Upgrade,
        _ if plaintext => Told::Features(false),
        (End::Failure, Some(Entry::Failed(error))) => Told::Failed(*error),
        _ if writes == 2 => Told::Features(true),
        _ => Told::Waits,
    };
    (told, run.consumed)
}

/// Everything that quick-xml finds in a document, or `None` if it is not well-formed.
fn elements(document: &[u8]) -> Option<Vec<Element>> {
    let mut reader = NsReader::from_reader(document);
    let mut found: Vec<Element> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    loop {
        let event = reader.read_event().ok()?;
        match &event {
            Event::Start(tag) | Event::Empty(tag) => {
                let namespace = check(&reader, tag)?;
                if let Some(parent) = open.last() {
                    found[*parent].empty = false;
                }
                let local = tag.local_name().as_ref().to_vec();
                let depth = open.len();
                found.push(Element { depth, namespace, local, empty: true });
                if matches!(event, Event::Start(_)) {
                    open.push(found.len() - 1);
                }
            }
            Event::End(_) => {
                open.pop()?;
            }
            Event::Eof => return open.is_empty().then_some(found),
            Event::Text(text) if text.is_empty() => {}
            Event::Text(_) | Event::GeneralRef(_) => {
                if let Some(parent) = open.last() {
                    found[*parent].empty = false;
                }
            }
            Event::Decl(_) => {}
            _ => return None,
        }
    }
}

/// An element's namespace, if its attributes are valid.
fn check(reader: &NsReader<&[u8]>, tag: &BytesStart<'_>) -> Option<Vec<u8>> {
    for attribute in tag.attributes() {
        let attribute = attribute.ok()?;
        attribute.unescape_value().ok()?;
        if attribute.key.as_namespace_binding().is_none()
            && let (ResolveResult::Unknown(_), _) = reader.resolve_attribute(attribute.key)
        {
            return None;
        }
    }
    match reader.resolve_element(tag.name()).0 {
        ResolveResult::Bound(namespace) => Some(namespace.as_ref().to_vec()),
        ResolveResult::Unbound => Some(Vec::new()),
        ResolveResult::Unknown(_) => None,
    }
}

fn is(element: &Element, namespace: &[u8], local: &[u8]) -> bool {
    element.namespace == namespace && element.local == local
}

fn offers(names: &[Element]) -> bool {
    names.iter().any(|element| element.depth == 2 && is(element, TLS, b"starttls"))
}

/// The stream's child that was read, as quick-xml finds it; `None` for the stream's end.
fn child(frame: &[u8]) -> Option<Vec<Element>> {
    let end = if frame.starts_with(b"</") { &b""[..] } else { END };
    let shown = frame.escape_ascii().to_string();
    let names = elements(&[HEADER, frame, end].concat()).unwrap_or_else(|| panic!("{shown}"));
    assert_eq!(names.iter().filter(|name| name.depth == 1).count(), end.len().min(1), "{shown}");
    (names.len() > 1).then_some(names)
}

fn features(octets: &[u8]) {
    let (told, consumed) = play(&[HEADER, octets].concat(), None);
    if matches!(told, Told::Waits | Told::Failed(Error::Syntax | Error::FrameTooLong)) {
        return;
    }
    if told == Told::Failed(Error::ReplyTooLong) {
        return;
    }
    let frame = octets[..consumed - HEADER.len()].trim_ascii_start();
    // Bytes after the features answer no request.
    let Some(names) = child(first(frame)) else {
        return assert_eq!(told, Told::Failed(Error::Closing));
    };
    match told {
        Told::Features(offered) => {
            assert!(is(&names[1], STREAMS, b"features"));
            assert_eq!(offered, offers(&names));
        }
        Told::Failed(Error::Closing) if !is(&names[1], STREAMS, b"features") => {
            assert!(is(&names[1], STREAMS, b"error"));
        }
        Told::Failed(Error::UnexpectedReply) => {
            assert!(!is(&names[1], STREAMS, b"features") && !is(&names[1], STREAMS, b"error"));
        }
        Told::Failed(_) => assert!(is(&names[1], STREAMS, b"features")),
        Told::Upgrade | Told::Waits => panic!("{told:?}"),
    }
}

/// The first of the frames in these bytes.
fn first(octets: &[u8]) -> &[u8] {
    use starttls::wire::Framing as _;
    type Grammar = <xmpp::Xmpp as Roles>::Client<'static>;
    let mut framing = <Grammar as client::Grammar>::Framing::default();
    let mut header = HEADER;
    framing.next(&mut header).expect("the header");
    let mut rest = octets;
    framing.next(&mut rest).ok().flatten().unwrap_or_default()
}

fn answer(octets: &[u8]) {
    let front = [HEADER, FEATURES].concat();
    let whole = [&front[..], octets].concat();
    let (told, consumed) = play(&whole, Some(front.len()));
    let frame = || octets[..consumed - front.len()].trim_ascii_start();
    match told {
        Told::Upgrade => {
            let names = child(frame()).expect("an element");
            assert!(is(&names[1], TLS, b"proceed") && names[1].empty);
        }
        Told::Failed(Error::Refused) => {
            let names = child(frame()).expect("an element");
            assert!(is(&names[1], TLS, b"failure"));
        }
        Told::Failed(Error::UnexpectedReply) => {
            let names = child(frame()).expect("an element");
            assert!(!is(&names[1], TLS, b"proceed") || !names[1].empty);
        }
        Told::Failed(Error::Closing) => {
            if let Some(names) = child(frame()) {
                assert!(is(&names[1], STREAMS, b"error"));
            }
        }
        Told::Failed(_) | Told::Features(_) | Told::Waits => {}
    }
}

/// A stream from its start: if our grammar accepts it, quick-xml does, too.
fn header(octets: &[u8]) {
    let mut client = xmpp::Client::new(xmpp::Domain::new("a").expect("a domain"), Policy::Required);
    let mut run = Run::default();
    let mut frames = Vec::new();
    let end = run.over(
        &mut client,
        octets,
        Some(&[0]),
        || usize::MAX,
        |_, event, _| {
            if let client::Event::Received(said) = event {
                frames.push(said.as_untrusted_bytes().to_vec());
            }
            Go::On
        },
    );
    let is_header = |frame: &Vec<u8>| frame.len() > 1 && !frame.starts_with(b"<?");
    let Some(place) = frames.iter().position(is_header) else { return };
    // The last report before a failure is its cause.
    if end == End::Failure && place + 1 == frames.len() {
        return;
    }
    let header = &frames[place];
    let name = header[1..].split(|octet| octet.is_ascii_whitespace() || *octet == b'>').next();
    let end = [b"</", name.expect("a name"), b">"].concat();
    let document = [&frames[..=place].concat()[..], &end].concat();
    let names = elements(&document).unwrap_or_else(|| panic!("{}", document.escape_ascii()));
    assert!(is(&names[0], STREAMS, b"stream"));
}

/// A child of a stream within our limits, written by the chosen bytes.
fn write(octets: &[u8]) -> Vec<u8> {
    const NAMES: [&str; 8] = [
        "a",
        "b:c",
        "stream:features",
        "stream:error",
        "starttls",
        "tls:starttls",
        "proceed",
        "x-1.y_Z",
    ];
    const TEXTS: [&str; 8] =
        ["", " ", "x", "&lt;&gt;", "\u{e4}\u{1f512}", "&amp;&apos;&quot;&gt;", "a > b ]] >", "\"'"];
    const ATTRIBUTES: [&str; 8] = [
        "",
        " d='e'",
        " d=\"&lt;'\"",
        " xml:lang = 'en'",
        " xmlns='urn:ietf:params:xml:ns:xmpp-tls'",
        " xmlns=''",
        " xmlns:tls='urn:x'",
        "\n b:f='g' d='\u{e4}'",
    ];
    let (mut out, mut open) = (Vec::new(), Vec::new());
    // Few enough to stay below the limit.
    for octet in octets.iter().take(36) {
        let name = NAMES[usize::from(octet & 7)];
        let other = usize::from(octet >> 3 & 7);
        match octet >> 6 {
            0 if !open.is_empty() => {
                out.extend(format!("</{}>", open.pop().expect("open")).bytes());
                if open.is_empty() {
                    return out;
                }
            }
            1 if !open.is_empty() => out.extend(TEXTS[other].bytes()),
            2 if !open.is_empty() => {
                out.extend(format!("<{name}{}{}/>", ATTRIBUTES[other], BOUND).bytes());
            }
            _ if open.len() < 15 => {
                out.extend(format!("<{name}{}{}>", ATTRIBUTES[other], BOUND).bytes());
                open.push(name);
            }
            _ => {}
        }
    }
    if open.is_empty() {
        return b"<a/>".to_vec();
    }
    out.extend(open.iter().rev().flat_map(|name| format!("</{name}>").into_bytes()));
    out
}

/// Declares the namespaces that an element or its attributes may need.
const BOUND: &str = " xmlns:b='urn:b'";
