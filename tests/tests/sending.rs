//! The grouping of a sender's commands, and its knowledge of a mail's fate in every case.

use starttls::mail::session::{Event, Fate};
use starttls::mail::{Address, Envelope, Session};
use starttls::smtp::Domain;
use starttls::{Error, Machine, Policy, Step, Tls, Verification, lmtp};

const GROUP: usize = 128;

fn tls() -> Tls {
    Tls::implicit(Policy::Required, Verification::Verified).expect("verified")
}

/// A server in memory: a reply for each line, 354 for DATA, and each reply counted.
struct Server {
    greeting: Option<&'static str>,
    hello: &'static str,
    in_message: bool,
    /// The client's writes, each answered before the next.
    flights: usize,
    most_at_once: usize,
}

impl Server {
    fn new(hello: &'static str) -> Self {
        let greeting = Some("220 mx\r\n");
        Self { greeting, hello, in_message: false, flights: 0, most_at_once: 0 }
    }

    fn answer(&mut self, sent: &[u8]) -> Vec<u8> {
        let mut replies = self.greeting.take().unwrap_or_default().to_owned();
        let mut count = 0;
        self.flights += usize::from(!sent.is_empty());
        for line in sent.split_inclusive(|octet| *octet == b'\n') {
            count += 1;
            replies += match line {
                b".\r\n" if self.in_message => {
                    self.in_message = false;
                    "250 ok\r\n"
                }
                _ if self.in_message => "",
                [b'E', b'H', b'L', b'O', ..] => self.hello,
                b"DATA\r\n" => {
                    self.in_message = true;
                    "354 go\r\n"
                }
                _ => "250 ok\r\n",
            };
        }
        self.most_at_once = self.most_at_once.max(count);
        replies.into_bytes()
    }
}

/// Runs a job to its end with an output buffer of `room` bytes. Returns the number of accepted recipients.
fn run(
    job: &mut starttls::mail::session::Exchange<'_, '_, Tls>,
    server: &mut Server,
    room: usize,
) -> usize {
    let (mut received, mut sent, mut output) = (Vec::new(), Vec::new(), vec![0; room]);
    let mut accepted = 0;
    loop {
        let mut input = &received[..];
        let step = job.step(&mut input, &mut output).expect("a server that accepts everything");
        let consumed = received.len() - input.len();
        let mut last = false;
        match step {
            Step::Write(n) => sent.extend_from_slice(&output[..n]),
            Step::Read => {
                let replies = server.answer(&std::mem::take(&mut sent));
                assert!(!replies.is_empty(), "both wait");
                received.extend_from_slice(&replies);
            }
            Step::Event(Event::Body(_)) => job.finish().expect("the server waits for it"),
            Step::Event(Event::Recipient { index, reply }) => {
                assert_eq!((usize::from(index), reply.code()), (accepted, 250));
                accepted += 1;
            }
            Step::Event(event) => last = event.is_last(),
        }
        received.drain(..consumed);
        if last {
            return accepted;
        }
    }
}

#[test]
fn a_flight_is_limited_by_the_room_for_its_replies() {
    let names: Vec<String> = (0..1000).map(|n| format!("{n}@example.org")).collect();
    let to: Vec<Address<'_>> =
        names.iter().map(|name| Address::new(name).expect("valid")).collect();
    for (recipients, flights) in [(1, 2), (126, 2), (127, 3), (1000, 9)] {
        for room in [64, 512, 65536] {
            let mut server = Server::new("250-mx\r\n250 PIPELINING\r\n");
            let envelope = Envelope::new(None, &to[..recipients]).expect("recipients");
            let mut session = Session::<Tls>::new(tls());
            run(&mut session.hello(Domain::LOCALHOST).expect("first"), &mut server, room);
            server.flights = 0;
            let accepted = run(&mut session.send(&envelope).expect("idle"), &mut server, room);
            assert_eq!((accepted, session.fate()), (recipients, Fate::Accepted));
            assert_eq!(server.flights, flights, "{recipients} recipients, room for {room}");
            assert!(server.most_at_once <= GROUP);
        }
    }
}

#[test]
fn without_pipelining_each_command_waits_for_its_reply() {
    let to = [Address::new("a@example.org").expect("valid"); 3];
    let mut server = Server::new("250 mx\r\n");
    let envelope = Envelope::new(None, &to).expect("recipients");
    let mut session = Session::<Tls>::new(tls());
    run(&mut session.hello(Domain::LOCALHOST).expect("first"), &mut server, 512);
    server.flights = 0;
    run(&mut session.send(&envelope).expect("idle"), &mut server, 512);
    assert_eq!((server.flights, server.most_at_once), (6, 1));
}

/// Plays `replies`, then the end of the connection. Returns the fate of the mail.
fn fate<D: starttls::smtp::Dialect>(replies: &[&str]) -> (Fate, Error) {
    let to = [Address::new("a@example.org").expect("valid"); 2];
    let envelope = Envelope::new(None, &to).expect("recipients");
    let mut session = Session::<Tls, D>::new(tls());
    let mut output = [0; 512];
    let mut replies = replies.iter();
    let mut received: &[u8] = b"220 mx\r\n250-mx\r\n250 PIPELINING\r\n";
    let (hello, mut all) = received.split_at(8);
    received = hello;
    for sending in [false, true] {
        let mut job =
            if sending { session.send(&envelope) } else { session.hello(Domain::LOCALHOST) }
                .expect("idle");
        loop {
            match job.step(&mut received, &mut output) {
                Ok(Step::Read) if !all.is_empty() => received = std::mem::take(&mut all),
                Ok(Step::Read) => match replies.next() {
                    Some(reply) => received = reply.as_bytes(),
                    None => {
                        let error = job.end_of_input().expect_err("within a job");
                        assert_eq!(job.step(&mut received, &mut output), Err(error));
                        return (session.fate(), error);
                    }
                },
                Ok(Step::Event(Event::Body(_))) => job.finish().expect("the server waits for it"),
                Ok(Step::Event(event)) if event.is_last() => break,
                Ok(_) => {}
                Err(error) => return (session.fate(), error),
            }
        }
    }
    (session.fate(), Error::OutOfOrder)
}

#[test]
fn the_fate_tells_what_is_safe_to_retry() {
    use starttls::smtp::Smtp;
    let go = "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n";
    for (replies, expected, error) in [
        (&[][..], Fate::NotSent, Error::Closed),
        (&["250 ok\r\n250 ok\r\n"], Fate::NotSent, Error::Closed),
        (&["421 bye\r\n"], Fate::NotSent, Error::Closing),
        (&["550 no\r\n"], Fate::NotSent, Error::OutOfOrder),
        (&[go], Fate::Unknown, Error::Closed),
        (&[go, "250-ok\r\n"], Fate::Unknown, Error::Closed),
        (&[go, "nonsense\r\n"], Fate::Unknown, Error::Syntax),
        (&[go, "421 bye\r\n"], Fate::NotAccepted, Error::Closing),
        (&[go, "250 ok\r\n"], Fate::Accepted, Error::OutOfOrder),
        (&[go, "452 full\r\n"], Fate::NotAccepted, Error::OutOfOrder),
    ] {
        assert_eq!(fate::<Smtp>(replies), (expected, error), "{replies:?}");
    }
    for (replies, expected, error) in [
        (&[go, "250 ok\r\n"][..], Fate::Unknown, Error::Closed),
        (&[go, "550 no\r\n250 ok\r\n"], Fate::Accepted, Error::OutOfOrder),
        (&[go, "550 no\r\n550 no\r\n"], Fate::NotAccepted, Error::OutOfOrder),
    ] {
        assert_eq!(fate::<lmtp::Lmtp>(replies), (expected, error), "{replies:?}");
    }
    assert!(Fate::NotSent.is_safe_to_retry() && Fate::NotAccepted.is_safe_to_retry());
    assert!(!Fate::Accepted.is_safe_to_retry() && !Fate::Unknown.is_safe_to_retry());
}

/// The connection ends within the message: the server has not seen its end.
#[test]
fn half_a_message_is_not_accepted() {
    let to = [Address::new("a@example.org").expect("valid")];
    let envelope = Envelope::new(None, &to).expect("recipients");
    let mut session = Session::<Tls>::new(tls());
    let mut received: &[u8] = b"220 mx\r\n";
    let mut output = [0; 512];
    let mut hello = session.hello(Domain::LOCALHOST).expect("first");
    while hello.step(&mut received, &mut output) != Ok(Step::Read) {}
    received = b"250 mx\r\n";
    while !matches!(hello.step(&mut received, &mut output), Ok(Step::Event(Event::Done(_)))) {}
    let mut mail = session.send(&envelope).expect("idle");
    for replies in ["", "250 ok\r\n", "250 ok\r\n", "354 go\r\n"] {
        received = replies.as_bytes();
        while !received.is_empty() || replies.is_empty() {
            if mail.step(&mut received, &mut output).is_ok_and(|step| step == Step::Read) {
                break;
            }
        }
        while received.is_empty()
            && matches!(mail.step(&mut received, &mut output), Ok(Step::Write(_)))
        {}
    }
    assert_eq!(mail.body(&mut &b"half"[..], &mut output), Ok(4));
    assert_eq!(mail.end_of_input(), Err(Error::Closed));
    assert_eq!(session.fate(), Fate::NotAccepted);
}
