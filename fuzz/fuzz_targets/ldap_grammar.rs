//! The meaning of LDAP's messages, in both roles, compared with the elements that another parser finds.

#![no_main]

use lber::parse::parse_tag;
use lber::structure::{PL, StructureTag};
use lber::write::encode_into;
use libfuzzer_sys::fuzz_target;
use starttls::server::Config;
use starttls::{Error, Machine, Policy, ldap};
use starttls_fuzz::{Case, End, Entry, Go, Run};

const START_TLS: &[u8] = b"1.3.6.1.4.1.1466.20037";
const NOTICE: &[u8] = b"1.3.6.1.4.1.1466.20036";
const PASSWORD_MODIFY: &[u8] = b"1.3.6.1.4.1.4203.1.11.1";

fuzz_target!(|case: Case<'_>| {
    let Ok((rest, message)) = parse_tag(case.octets) else {
        // A message that only our parser accepts has a control, which it ignores.
        let ours = answered(case.octets);
        let nothing = matches!(ours, Meaning::Broken | Meaning::Unexpected);
        assert!(nothing || case.octets.contains(&0xa0), "{ours:?}");
        return;
    };
    let frame = &case.octets[..case.octets.len() - rest.len()];
    if frame.len() > ldap::MAX_MESSAGE {
        return;
    }
    let (answer, request) = (Meaning::of_answer(&message), Meaning::of_request(&message));
    // The original may have forbidden lengths; otherwise it equals the re-encoded message.
    assert!([Meaning::Broken, answer].contains(&answered(frame)), "{answer:?}");
    assert!([Meaning::Broken, request].contains(&asked(frame)), "{request:?}");
    let mut again = bytes::BytesMut::new();
    encode_into(&mut again, message).expect("it was read");
    if again.len() <= ldap::MAX_MESSAGE {
        assert_eq!(answered(&again), answer);
        assert_eq!(asked(&again), request);
    }
});

/// The effect of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Broken,
    /// A client: success, a refusal, a notice of disconnection, something else.
    Yes,
    No,
    Closing,
    Unexpected,
    /// A server: a request for TLS, a reply with this tag and resultCode, or an unbind.
    Asks,
    Answer(u8, u8),
    Silence,
    Goodbye,
}

/// A client's reaction.
fn answered(frame: &[u8]) -> Meaning {
    let mut client = ldap::Client::new(Policy::Required);
    let mut run = Run::default();
    let fences = [0];
    let end = run.over(
        &mut client,
        frame,
        Some(&fences),
        || usize::MAX,
        |_, event, _| match event {
            starttls::client::Event::UpgradeReady => Go::Stop,
            _ => Go::On,
        },
    );
    match (end, run.trace.last()) {
        (End::Event, _) => Meaning::Yes,
        (End::Failure, Some(Entry::Failed(error))) => match error {
            Error::Refused => Meaning::No,
            Error::Closing => Meaning::Closing,
            Error::UnexpectedReply => Meaning::Unexpected,
            _ => Meaning::Broken,
        },
        _ => Meaning::Broken,
    }
}

/// The reaction of a server that requires TLS.
fn asked(frame: &[u8]) -> Meaning {
    let mut server = ldap::Server::new(Config::default());
    let mut run = Run::default();
    let (mut asks, mut quit) = (false, false);
    let end = run.over(
        &mut server,
        frame,
        None,
        || usize::MAX,
        |_, event, _| {
            use starttls::server::Event;
            asks |= event == Event::UpgradeRequested;
            quit |= event == Event::Quit;
            if asks || quit { Go::Stop } else { Go::On }
        },
    );
    match (end, run.trace.last()) {
        _ if asks => Meaning::Asks,
        _ if quit => Meaning::Goodbye,
        (End::Silence, Some(Entry::Wrote(reply))) => {
            let id = usize::from(reply[3]);
            Meaning::Answer(reply[4 + id], reply[8 + id])
        }
        (End::Silence, None) if server.wait().is_some() && run.consumed == frame.len() => {
            Meaning::Silence
        }
        _ => Meaning::Broken,
    }
}

const fn octet(tag: &StructureTag) -> Option<u8> {
    // LDAP has no multi-byte tags.
    if tag.id >= 31 {
        return None;
    }
    let constructed = matches!(tag.payload, PL::C(_)) as u8;
    Some((tag.class as u8) << 6 | constructed << 5 | tag.id as u8)
}

fn primitive(tag: &StructureTag, wanted: u8) -> Option<&[u8]> {
    match &tag.payload {
        PL::P(octets) if octet(tag) == Some(wanted) => Some(octets),
        _ => None,
    }
}

fn constructed(tag: &StructureTag, wanted: u8) -> Option<&[StructureTag]> {
    match &tag.payload {
        PL::C(elements) if octet(tag) == Some(wanted) => Some(elements),
        _ => None,
    }
}

fn number(tag: &StructureTag, wanted: u8) -> Option<i64> {
    let octets = primitive(tag, wanted)?;
    let number = match octets.len() {
        1..=4 => octets.iter().fold(0, |number: i64, octet| number << 8 | i64::from(*octet)),
        _ => return None,
    };
    let bits = 8 * octets.len();
    let number = if octets[0] >= 0x80 { number - (1 << bits) } else { number };
    // A smaller value takes one byte less.
    let small = 1 << bits.saturating_sub(9);
    let minimal = octets.len() == 1 || !(-small..small).contains(&number);
    minimal.then_some(number)
}

/// Whether one of a message's controls is critical; `None` if one is malformed.
fn is_critical(message: &StructureTag) -> Option<bool> {
    let [_, _, controls] = constructed(message, 0x30)? else { return Some(false) };
    let mut critical = false;
    for control in constructed(controls, 0xa0)? {
        let [name, rest @ ..] = constructed(control, 0x30)? else { return None };
        primitive(name, 4)?;
        let rest = match rest {
            [first, after @ ..] if octet(first) == Some(1) => {
                let [truth] = primitive(first, 1)? else { return None };
                critical |= *truth != 0;
                after
            }
            rest => rest,
        };
        match rest {
            [] => {}
            [value] => drop(primitive(value, 4)?),
            _ => return None,
        }
    }
    Some(critical)
}

/// The messageID and the operation.
fn envelope(message: &StructureTag) -> Option<(i64, &StructureTag)> {
    let (id, op) = match constructed(message, 0x30)? {
        [id, op] => (id, op),
        [id, op, controls] => {
            let all = constructed(controls, 0xa0)?;
            all.iter().all(|control| constructed(control, 0x30).is_some()).then_some((id, op))?
        }
        _ => return None,
    };
    octet(op)?;
    Some((number(id, 2).filter(|id| *id >= 0)?, op))
}

impl Meaning {
    fn of_answer(message: &StructureTag) -> Self {
        let Some((id, op)) = envelope(message) else { return Self::Broken };
        let Some(fields) = constructed(op, 0x78) else { return Self::Unexpected };
        let Some((code, refers, name, value)) = response(fields) else { return Self::Broken };
        match (id, name, value) {
            (0, Some(NOTICE), _) => Self::Closing,
            (1, None | Some(START_TLS), None | Some(b"")) if code == 0 => {
                if refers {
                    Self::Unexpected
                } else {
                    Self::Yes
                }
            }
            (1, None | Some(START_TLS), None | Some(b"")) => Self::No,
            _ => Self::Unexpected,
        }
    }

    fn of_request(message: &StructureTag) -> Self {
        let read = || {
            let (_, op) = envelope(message).filter(|(id, _)| *id > 0)?;
            Some(match octet(op)? {
                0x60 => match constructed(op, 0x60)? {
                    [version, name, choice] => {
                        number(version, 2)?;
                        primitive(name, 4)?;
                        octet(choice)?;
                        Self::Answer(0x61, 13)
                    }
                    _ => return None,
                },
                0x63 => Self::Answer(0x65, 13),
                0x66 => Self::Answer(0x67, 13),
                0x68 => Self::Answer(0x69, 13),
                0x4a => Self::Answer(0x6b, 13),
                0x6c => Self::Answer(0x6d, 13),
                0x6e => Self::Answer(0x6f, 13),
                0x77 => {
                    let (name, value) = match constructed(op, 0x77)? {
                        [name] => (name, None),
                        [name, value] => (name, Some(primitive(value, 0x81)?)),
                        _ => return None,
                    };
                    match (primitive(name, 0x80)?, value) {
                        (START_TLS, None) if is_critical(message)? => Self::Answer(0x78, 12),
                        (START_TLS, None) => Self::Asks,
                        (PASSWORD_MODIFY, _) => Self::Answer(0x78, 13),
                        _ => Self::Answer(0x78, 2),
                    }
                }
                0x42 => Self::Goodbye,
                0x50 => Self::Silence,
                _ => return None,
            })
        };
        read().unwrap_or(Self::Broken)
    }
}

/// resultCode, presence of a referral, responseName and responseValue.
fn response(fields: &[StructureTag]) -> Option<(i64, bool, Option<&[u8]>, Option<&[u8]>)> {
    let [code, dn, text, rest @ ..] = fields else { return None };
    let mut rest = rest;
    let code = number(code, 0x0a)?;
    (primitive(dn, 4)?, primitive(text, 4)?);
    let mut refers = false;
    if let [referral, after @ ..] = rest
        && let Some(uris) = constructed(referral, 0xa3)
    {
        uris.iter().all(|uri| primitive(uri, 4).is_some()).then_some(())?;
        (rest, refers) = (after, true);
    }
    let mut next = |tag| {
        let (first, after) = rest.split_first()?;
        let octets = primitive(first, tag)?;
        rest = after;
        Some(octets)
    };
    let (name, value) = (next(0x8a), next(0x8b));
    rest.is_empty().then_some((code, refers, name, value))
}
