//! A loop that keeps an open connection and re-creates its job for each step.

use proptest::prelude::*;

use starttls::mail::session::{Event, Fate};
use starttls::mail::{Address, Envelope, LineEnds, Opening, Outbound, Stuffer, opening};
use starttls::smtp::Domain;
use starttls::{Error, Machine, Policy, Step, Verification};

/// The server's replies, each sent when the client waits for it.
const REPLIES: [&[u8]; 6] = [
    b"220 mx\r\n",
    b"250 mx\r\n",
    b"250 sender\r\n",
    b"250 recipient\r\n",
    b"354 go\r\n",
    b"250 taken\r\n",
];

fn open(replies: &mut impl Iterator<Item = &'static [u8]>) -> Outbound {
    let mut opening: Opening<'_> = Opening::implicit(Domain::LOCALHOST, Policy::Required);
    let (mut received, mut output) = (&[][..], [0; 512]);
    loop {
        match opening.step(&mut received, &mut output).expect("a server that accepts everything") {
            Step::Event(opening::Event::Ready) => {
                return opening.into_outbound(LineEnds::Normalize).expect("ready");
            }
            Step::Event(opening::Event::StartTls) => {
                assert!(opening.awaits_tls());
                opening.encrypted(Verification::Verified, None).expect("verified");
            }
            Step::Read => received = replies.next().expect("a reply"),
            Step::Write(_) | Step::Event(_) => {}
        }
        assert!(!opening.awaits_tls() || received.is_empty());
    }
}

/// All sent bytes of the mail, with output buffers of `room` bytes.
fn sent(message: &[u8], room: usize) -> Vec<u8> {
    let mut replies = REPLIES.into_iter();
    let mut outbound = open(&mut replies);
    let to = [Address::new("you@example.test").expect("an address")];
    let envelope = Envelope::new(None, &to).expect("a recipient");
    outbound.send(&envelope).map(drop).expect("open");
    let (mut rest, mut received, mut sent) = (message, &[][..], Vec::new());
    let mut output = vec![0; room];
    loop {
        let job = outbound.resume(Some(&envelope)).expect("under way");
        let mut job = job.with_message(&mut rest);
        match job.step(&mut received, &mut output).expect("a server that accepts everything") {
            Step::Event(event) if event.is_last() => break,
            Step::Read => received = replies.next().expect("a reply"),
            Step::Write(n) => sent.extend_from_slice(&output[..n]),
            Step::Event(_) => {}
        }
    }
    assert!(outbound.outcome().expect("taken").is_complete());
    assert_eq!(replies.next(), None);
    sent
}

fn stuffed(message: &[u8]) -> Vec<u8> {
    let mut stuffer = Stuffer::new(LineEnds::Normalize);
    let (mut rest, mut output) = (message, vec![0; 2 * message.len() + 8]);
    let n = stuffer.push(&mut rest, &mut output).expect("normalized");
    assert!(rest.is_empty());
    output.truncate(n);
    output.extend_from_slice(stuffer.end().expect("normalized"));
    output
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_between_two_jobs(
        pieces in prop::collection::vec(
            prop::sample::select(vec![&b"\r\n"[..], b"\r", b"\n", b".", b"..", b"text", b"\xff"]),
            0..400,
        ),
        room in 64_usize..600,
    ) {
        let message = pieces.concat();
        let sent = sent(&message, room);
        let data = b"DATA\r\n";
        let begins = sent.windows(data.len()).position(|octets| octets == data);
        let begins = begins.expect("the command") + data.len();
        prop_assert_eq!(&sent[begins..], stuffed(&message));
    }
}

/// Each byte of a piece expands as much as possible.
#[test]
fn the_worst_message_fits_into_any_output() {
    for room in 64..600 {
        for message in [&b"\n"[..], b"\r.", b"\r"] {
            let message = message.repeat(300);
            assert!(sent(&message, room).ends_with(&stuffed(&message)), "{message:?} in {room}");
        }
    }
}

/// Drives a check. Returns what was sent and whether the server takes another mail.
fn check(outbound: &mut Outbound, reply: &'static [u8]) -> Result<(Vec<u8>, bool), Error> {
    outbound.check().map(drop)?;
    let (mut received, mut sent, mut output) = (&[][..], Vec::new(), [0; 512]);
    loop {
        match outbound.resume(None)?.step(&mut received, &mut output)? {
            Step::Event(Event::Done(_)) => return Ok((sent, true)),
            Step::Event(event) if event.is_last() => return Ok((sent, false)),
            Step::Read => received = reply,
            Step::Write(n) => sent.extend_from_slice(&output[..n]),
            Step::Event(_) => {}
        }
    }
}

/// A check is no mail: it changes neither the fate nor the outcome of the last one.
#[test]
fn a_check_between_two_mails() {
    let mut replies = REPLIES.into_iter();
    let mut outbound = open(&mut replies);
    let yes = check(&mut outbound, b"250 ok\r\n");
    assert_eq!(yes, Ok((b"RSET\r\n".to_vec(), true)));
    assert!(outbound.is_open());
    assert_eq!(outbound.fate(), Fate::NotSent);

    let refused = check(&mut outbound, b"502 no\r\n").expect("a reply");
    assert!(!refused.1 && outbound.is_open());
    assert_eq!(check(&mut outbound, b"421 idle for too long\r\n"), Err(Error::Closing));
    assert!(!outbound.is_open());
    assert_eq!(outbound.check().map(drop), Err(Error::Closed));

    // An unsolicited reply before the check answers nothing.
    let mut outbound = open(&mut REPLIES.into_iter());
    outbound.check().map(drop).expect("open");
    let early =
        outbound.resume(None).expect("under way").step(&mut &b"250 ok\r\n"[..], &mut [0; 64]);
    assert_eq!(early.map(drop), Err(Error::Unsolicited));
    let quit = outbound.quit().map(drop);
    assert_eq!(quit, Err(Error::Closed));
}
