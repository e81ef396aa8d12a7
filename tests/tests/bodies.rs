//! Messages by the block and by the byte: the result is the same.
//!
//! A piece of one byte has no blocks, so the same functions are their own reference.

use proptest::prelude::*;
use starttls::mail::message::{Attachment, Encoding, Mailbox, Progress};
use starttls::mail::receiver::{self, Limits};
use starttls::mail::{Address, Checked, LineEnds, Message, Receiver, Stuffer};
use starttls::smtp::{self, Domain};
use starttls::{Error, Machine, Policy, Step, Tls, Verification, client};

/// Messages with long parts in which nothing happens, and with everything that may happen between them.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let lines =
        |length: usize, count: usize| [vec![b'x'; length], b"\r\n".to_vec()].concat().repeat(count);
    let sound = (0..90_usize, 1..30_usize).prop_map(move |(length, count)| lines(length, count));
    let long = (900..1010_usize).prop_map(|length| vec![b'y'; length]);
    let special = prop::sample::select(vec![
        &b"\r\n"[..],
        b"\r\n.",
        b"\r\n.\r\n",
        b"\r\n..",
        b".",
        b"\r\n\r\n",
        b"z",
    ]);
    let faulty =
        prop::sample::select(vec![&b"\r"[..], b"\n", b"\0", b"\r\r\n", b"\n.\n", b"\r.\r"]);
    let part = prop_oneof![
        8 => sound,
        2 => long,
        8 => special.prop_map(<[u8]>::to_vec),
        1 => faulty.prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..40),
    ];
    prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

/// Splits bytes into pieces of these lengths, in turn.
fn pieces<'a>(octets: &'a [u8], lengths: &[usize]) -> Vec<&'a [u8]> {
    let (mut rest, mut pieces) = (octets, Vec::new());
    for length in lengths.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at(rest.len().min(*length));
        pieces.push(piece);
        rest = after;
    }
    pieces
}

/// What leaves for a message in these pieces, with outputs of this size: up to the error, if there is one.
fn pushed(
    message: &[u8],
    lengths: &[usize],
    room: usize,
    line_ends: LineEnds,
) -> (Vec<u8>, Result<&'static [u8], Error>) {
    let mut stuffer = Stuffer::new(line_ends);
    let (mut all, mut output) = (Vec::new(), vec![0; room]);
    for mut piece in pieces(message, lengths) {
        while !piece.is_empty() {
            match stuffer.push(&mut piece, &mut output) {
                Ok(n) => all.extend_from_slice(&output[..n]),
                Err(error) => return (all, Err(error)),
            }
        }
    }
    let end = stuffer.end();
    (all, end)
}

/// What leaves for a checked message.
fn taken(message: Checked<'_>) -> (Vec<u8>, Result<&'static [u8], Error>) {
    let (mut stuffer, mut pieces) = (Stuffer::new(LineEnds::Strict), message.pieces());
    let mut all = Vec::new();
    loop {
        match stuffer.piece(&mut pieces) {
            Ok(Some(piece)) => all.extend_from_slice(piece),
            Ok(None) => return (all, stuffer.end()),
            Err(error) => return (all, Err(error)),
        }
    }
}

fn tls() -> Tls {
    let mut client = smtp::Client::new(Domain::LOCALHOST, Policy::Required);
    let mut output = [0; 512];
    for text in ["220 a\r\n", "250-a\r\n250 STARTTLS\r\n", "220 a\r\n"] {
        let mut input = text.as_bytes();
        while !matches!(
            client.step(&mut input, &mut output).expect("well-formed"),
            Step::Write(_) | Step::Event(client::Event::UpgradeReady)
        ) {}
    }
    let upgrade = client.into_upgrade(b"").expect("nothing is unread");
    upgrade.established(Verification::Verified).expect("verified")
}

/// What a receiver hands over and replies for a mail in these pieces: `wire` follows `start`.
fn received(
    start: &[u8],
    wire: &[u8],
    lengths: &[usize],
) -> (Vec<u8>, Vec<u8>, Option<Error>, usize) {
    let mut receiver = Receiver::<Tls>::new(tls(), Domain::LOCALHOST, Limits::default());
    let (mut body, mut replies, mut unread) = (Vec::new(), Vec::new(), Vec::new());
    for piece in [&[start][..], &pieces(wire, lengths)].concat() {
        unread.extend_from_slice(piece);
        let mut rest = &unread[..];
        loop {
            let mut output = [0; 1024];
            match receiver.step(&mut rest, &mut output) {
                Ok(Step::Read) => break,
                Ok(Step::Write(n)) => replies.extend_from_slice(&output[..n]),
                Ok(Step::Event(receiver::Event::Body(piece))) => body.extend_from_slice(piece),
                Ok(Step::Event(
                    receiver::Event::Mail(_)
                    | receiver::Event::Recipient(_)
                    | receiver::Event::Message { .. },
                )) => receiver.accept().expect("asked"),
                Ok(Step::Event(_)) => {}
                Err(error) => return (body, replies, Some(error), rest.len()),
            }
        }
        unread = rest.to_vec();
    }
    (body, replies, None, unread.len())
}

/// A message with this text and file, in outputs of this size.
fn composed(
    text: &str,
    file: &[u8],
    lengths: &[usize],
    room: usize,
    encoding: Encoding,
) -> Vec<u8> {
    let me = [Mailbox::new(Address::new("a@b.example").expect("valid"))];
    let files = [Attachment::new("a/b", "c").expect("valid").with_size(file.len())];
    let message = Message::new(me[0], &me).with_text(text).with_attachments(&files);
    let message = message.with_encoding(encoding);
    let (mut composer, mut all, mut output) = (message.compose(), Vec::new(), vec![0; room]);
    loop {
        match composer.step(&mut output).expect("room") {
            Progress::Write(n) => all.extend_from_slice(&output[..n]),
            Progress::Attachment(_) => {
                for mut piece in pieces(file, lengths) {
                    while !piece.is_empty() {
                        let n = composer.attach(&mut piece, &mut output).expect("asked");
                        all.extend_from_slice(&output[..n]);
                    }
                }
                composer.end_attachment().expect("asked");
            }
            Progress::Done => break,
        }
    }
    assert_eq!(message.size(), Some(all.len()));
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn a_message_is_sent_the_same_by_the_block_and_by_the_byte(
        message in message(),
        lengths in prop::collection::vec(1..3000_usize, 1..5),
        room in 2..4000_usize,
        normalize: bool,
    ) {
        let line_ends = if normalize { LineEnds::Normalize } else { LineEnds::Strict };
        let octets = pushed(&message, &[1], 2, line_ends);
        prop_assert_eq!(&pushed(&message, &[usize::MAX], 1 << 20, line_ends), &octets);
        prop_assert_eq!(&pushed(&message, &lengths, room, line_ends), &octets);
    }

    #[test]
    fn a_checked_message_is_sent_without_a_copy_as_with_one(
        message in message(),
        cut: prop::sample::Index,
    ) {
        let (copied, end) = pushed(&message, &[1], 2, LineEnds::Strict);
        prop_assert_eq!(Checked::new(&message).map(drop), end.map(drop));
        if let Ok(end) = end {
            for checked in [Checked::new(&message).expect("good"), Checked::promised(&message)] {
                prop_assert_eq!(taken(checked), (copied.clone(), Ok(end)));
            }
        }
        // No line end of any kind is followed by a lone dot, whatever was promised.
        let (wire, _) = taken(Checked::promised(&message[..cut.index(message.len() + 1)]));
        for end in [b'\r', b'\n'] {
            let lines = wire.split(|octet| *octet == end).skip(1);
            prop_assert!(lines.filter(|line| line.first() == Some(&b'.')).all(|line| line.starts_with(b"..")));
        }
        prop_assert!(!wire.contains(&0));
    }

    #[test]
    fn a_message_is_received_the_same_by_the_block_and_by_the_byte(
        message in message(),
        lengths in prop::collection::vec(1..3000_usize, 1..5),
    ) {
        let start = b"EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\n";
        for end in [&b"\r\n.\r\nQUIT\r\n"[..], b""] {
            let wire = [&message[..], end].concat();
            let mut octets = received(start, &wire, &[1]);
            for lengths in [&[usize::MAX][..], &lengths] {
                let mut blocks = received(start, &wire, lengths);
                // After an error it depends on the cut how much had arrived.
                if blocks.2.is_some() {
                    (blocks.3, octets.3) = (0, 0);
                }
                prop_assert_eq!(&blocks, &octets);
            }
        }
    }

    #[test]
    fn a_message_is_composed_the_same_by_the_line_and_by_the_byte(
        text in "([ -~]{0,90}(\r\n|\n|\r|\t|=|\u{e4}){0,2}){0,12}",
        file in prop::collection::vec(any::<u8>(), 0..1200),
        lengths in prop::collection::vec(1..400_usize, 1..5),
        room in 1..400_usize,
        encoding in prop::sample::select(vec![
            Encoding::SevenBit,
            Encoding::EightBit,
            Encoding::QuotedPrintable,
        ]),
    ) {
        let octets = composed(&text, &file, &[1], 1, encoding);
        prop_assert_eq!(&composed(&text, &file, &[usize::MAX], 1 << 20, encoding), &octets);
        prop_assert_eq!(&composed(&text, &file, &lengths, room, encoding), &octets);
    }

    #[test]
    fn a_chunk_is_received_the_same_by_the_block_and_by_the_byte(
        message in message(),
        lengths in prop::collection::vec(1..3000_usize, 1..5),
        cut: prop::sample::Index,
    ) {
        let start = b"EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\n";
        let (front, back) = message.split_at(cut.index(message.len() + 1));
        let commands = [front.len(), back.len()].map(|length| format!("BDAT {length}"));
        let [first, last] = commands.each_ref().map(String::as_bytes);
        let wire = [first, b"\r\n", front, last, b" LAST\r\n", back, b"QUIT\r\n"].concat();
        let octets = received(start, &wire, &[1]);
        prop_assert_eq!(&received(start, &wire, &[usize::MAX]), &octets);
        prop_assert_eq!(&received(start, &wire, &lengths), &octets);
    }
}
