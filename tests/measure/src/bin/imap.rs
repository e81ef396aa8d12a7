//! Repeats an IMAP client's dialogue up to the upgrade, for an instruction counter: by this library, by
//! others on the same bytes, and by a scan that only finds the line ends.
//!
//! usage: imap MODE REPETITIONS

use std::hint::black_box;
use std::process::ExitCode;

use imap_codec::decode::Decoder as _;
use imap_codec::{GreetingCodec, ResponseCodec};
use starttls::{Policy, client, imap};
use starttls_measure::aligned;
use starttls_measure::talk::{Cuts, cuts, repeat, scan, talk};

/// The server's replies, in three turns.
const TURNS: [&[u8]; 3] = [
    aligned!(b"* OK [CAPABILITY IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE LITERAL+] Server ready.\r\n"),
    aligned!(b"* CAPABILITY IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE LITERAL+ STARTTLS LOGINDISABLED NAMESPACE\r\n\
      AAAAAAAA1 OK Capability completed (0.001 + 0.000 secs).\r\n"),
    aligned!(b"AAAAAAAA2 OK Begin TLS negotiation now, and nothing before it.\r\n"),
];

const _: () = assert!(TURNS[0].len() + TURNS[1].len() + TURNS[2].len() == 317);

fn dialogue(cuts: &Cuts) -> bool {
    let mut client = imap::Client::new(black_box(imap::Tag::new(0)), Policy::Required);
    talk(&mut client, black_box(&TURNS), black_box(cuts), |event| {
        event == client::Event::UpgradeReady
    })
    .is_ok()
        && client.into_upgrade(&[]).is_ok()
}

fn imap_proto() -> bool {
    black_box(TURNS).iter().all(|turn| {
        let mut rest = *turn;
        while !rest.is_empty() {
            let Ok((after, response)) = imap_proto::Response::parse(rest) else { return false };
            drop(black_box(response));
            rest = after;
        }
        true
    })
}

fn imap_codec() -> bool {
    let [greeting, replies @ ..] = black_box(TURNS);
    let greeted = black_box(GreetingCodec::default().decode(greeting)).is_ok();
    greeted
        && replies.iter().all(|turn| {
            let mut rest = *turn;
            while !rest.is_empty() {
                let Ok((after, response)) = ResponseCodec::default().decode(rest) else {
                    return false;
                };
                drop(black_box(response));
                rest = after;
            }
            true
        })
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, mode, repetitions] = arguments.as_slice() else { return ExitCode::FAILURE };
    let Ok(n) = repetitions.parse::<usize>() else { return ExitCode::FAILURE };
    let (whole, octets) = (cuts(&TURNS, usize::MAX), cuts(&TURNS, 1));
    let done = match mode.as_str() {
        "ours" => repeat(n, || dialogue(&whole)),
        "octets" => repeat(n, || dialogue(&octets)),
        "imap-proto" => repeat(n, imap_proto),
        "imap-codec" => repeat(n, imap_codec),
        "memchr" => repeat(n, || scan(&TURNS, 4)),
        _ => false,
    };
    if done { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
