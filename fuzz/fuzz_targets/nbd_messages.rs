//! Our NBD server and client behave like a second, naive implementation of `doc/proto.md`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use starttls::server::{self, Config};
use starttls::{Machine, Policy, Step, client, nbd};
use starttls_fuzz::Case;

const MAGIC: u64 = 0x0003_e889_0455_65a9;

/// How a dialogue ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Waits,
    Fails,
    Upgrade,
    Plaintext,
    Closed,
}

/// Takes a number of `N` bytes off the front.
fn take<const N: usize>(octets: &mut &[u8]) -> Option<u64> {
    let (front, rest) = octets.split_first_chunk::<N>()?;
    *octets = rest;
    Some(front.iter().fold(0, |sum, octet| sum << 8 | u64::from(*octet)))
}

fn reply(option: u64, kind: u32) -> Vec<u8> {
    let option = u32::try_from(option).expect("four bytes");
    [&MAGIC.to_be_bytes()[..], &option.to_be_bytes(), &kind.to_be_bytes(), &[0; 4]].concat()
}

/// A server's output and its end; `None` while it waits for more.
fn served(mut input: &[u8], required: bool, sent: &mut Vec<u8>) -> Option<End> {
    let flags = take::<4>(&mut input)?;
    if flags > 3 {
        return Some(End::Fails);
    }
    let fixed = flags & 1 == 1;
    let mut errors = 0;
    loop {
        let wrong = input.iter().zip(b"IHAVEOPT").any(|(octet, wanted)| octet != wanted);
        if wrong {
            return Some(End::Fails);
        }
        take::<8>(&mut input)?;
        let (option, length) = (take::<4>(&mut input)?, take::<4>(&mut input)?);
        if length > 8192 {
            return Some(End::Fails);
        }
        input = input.get(usize::try_from(length).expect("few")..)?;
        let error = match (option, fixed) {
            (5, false) => 2,
            (5, true) if length == 0 => {
                sent.extend(reply(5, 1));
                return Some(End::Upgrade);
            }
            (5, true) => 3,
            (2, true) => {
                sent.extend(reply(2, 1));
                return Some(End::Closed);
            }
            (2, false) => return Some(End::Closed),
            _ if !required => return Some(End::Plaintext),
            (1, _) | (_, false) => 0,
            _ => 5,
        };
        errors += 1;
        match error {
            _ if errors > 10 => return Some(End::Fails),
            0 => return Some(End::Closed),
            error => sent.extend(reply(option, 1 << 31 | error)),
        }
    }
}

fn server(octets: &[u8], policy: Policy) {
    let config = Config::default().with_policy(policy);
    let mut server = nbd::Server::new(nbd::Flags::NO_ZEROES, config);
    let (mut input, mut output, mut sent) = (octets, [0; 20], Vec::new());
    let end = loop {
        match server.step(&mut input, &mut output) {
            Ok(Step::Write(n)) => sent.extend(&output[..n]),
            Ok(Step::Event(server::Event::UpgradeRequested)) => server.accept().expect("asked"),
            Ok(Step::Event(server::Event::UpgradeReady)) => break End::Upgrade,
            Ok(Step::Event(server::Event::Plaintext)) => break End::Plaintext,
            Ok(Step::Event(server::Event::Quit)) => break End::Closed,
            Ok(Step::Event(_)) => {}
            Ok(Step::Read) => break End::Waits,
            Err(_) => break End::Fails,
        }
    };
    let mut expected = b"NBDMAGICIHAVEOPT\0\x03".to_vec();
    let expected_end = served(octets, policy == Policy::Required, &mut expected);
    assert_eq!((end, sent), (expected_end.unwrap_or(End::Waits), expected));
}

/// A client's end after a greeting and a reply.
fn asked(mut greeting: &[u8], mut input: &[u8], required: bool) -> Option<End> {
    let no = Some(if required { End::Fails } else { End::Plaintext });
    greeting = greeting.strip_prefix(b"NBDMAGICIHAVEOPT").expect("a greeting");
    if take::<2>(&mut greeting)? & 1 == 0 {
        return no;
    }
    let wrong = input.iter().zip(&MAGIC.to_be_bytes()).any(|(octet, wanted)| octet != wanted);
    if wrong && input.first() != Some(&b'N') {
        return Some(End::Fails);
    }
    if wrong {
        // Another greeting is not a reply; the error comes as soon as it is recognised.
        let begins = |whole: &[u8]| input.iter().zip(whole).all(|(octet, wanted)| octet == wanted);
        let new = begins(b"NBDMAGICIHAVEOPT") && input.len() < 18;
        let old = begins(b"NBDMAGIC\x00\x00\x42\x02\x81\x86\x12\x53") && input.len() < 152;
        return if new || old { None } else { Some(End::Fails) };
    }
    take::<8>(&mut input)?;
    let (option, kind) = (take::<4>(&mut input)?, take::<4>(&mut input)?);
    let length = take::<4>(&mut input)?;
    if length > 4096 {
        return Some(End::Fails);
    }
    input = input.get(usize::try_from(length).expect("few")..)?;
    match (option, kind) {
        (5, 1) if length == 0 && input.is_empty() => Some(End::Upgrade),
        (5, 0x8000_0007) => Some(End::Fails),
        (5, 0x8000_0000..) if input.is_empty() => no,
        _ => Some(End::Fails),
    }
}

fn client(octets: &[u8], policy: Policy) {
    let [high, low, octets @ ..] = octets else { return };
    let greeting = [&b"NBDMAGICIHAVEOPT"[..], &[*high, *low]].concat();
    let mut client = nbd::Client::new(nbd::Flags::default(), policy);
    let (mut input, mut output) = (&greeting[..], [0; 20]);
    let mut answered = false;
    let end = loop {
        match client.step(&mut input, &mut output) {
            Ok(Step::Event(client::Event::UpgradeReady)) => {
                break client.into_upgrade(input).map_or(End::Fails, |_| End::Upgrade);
            }
            Ok(Step::Event(client::Event::Plaintext(_))) => {
                break client.into_plaintext(input).map_or(End::Fails, |_| End::Plaintext);
            }
            Ok(Step::Read) if !answered => {
                (input, answered) = (octets, true);
            }
            Ok(Step::Read) => break End::Waits,
            Ok(_) => {}
            Err(_) => break End::Fails,
        }
    };
    let expected = asked(&greeting, octets, policy == Policy::Required).unwrap_or(End::Waits);
    assert_eq!(end, expected);
}

fuzz_target!(|case: Case<'_>| {
    for policy in [Policy::Required, Policy::Opportunistic] {
        server(case.octets, policy);
        client(case.octets, policy);
    }
});
