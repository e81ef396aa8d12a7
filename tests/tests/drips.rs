//! A peer that sends one byte every two seconds gains no time, whatever the bytes are: each wait is for a whole
//! command, reply or block of a message.

use std::time::Duration;

use starttls::driver::{Driver, Next};
use starttls::mail::{Inbound, Opening, Session, inbound, opening, receiver};
use starttls::smtp::{Domain, Smtp};
use starttls::{
    Buffer, Error, Introduction, Machine, Policy, Roles, Step, Tls, Verification, server,
};

const NAMES: Introduction<'static> =
    Introduction::new("im.example.org", *b"\x12\x34\x56\x78abcdefghijklmnop");

/// The time between two bytes.
const PAUSE: Duration = Duration::from_secs(2);

/// Room for the longest frame of any protocol.
type Room = Buffer<{ 1 << 17 }>;

/// When a connection ended, and why.
#[derive(Debug)]
struct Ended {
    after: Duration,
    why: Error,
}

/// Sends `first` at once, then `drip` byte by byte and over again, until the connection ends.
fn drip<M: Machine>(
    machine: &mut M,
    first: &[u8],
    drip: &[u8],
    mut on_event: impl FnMut(&mut M, M::Event<'_>, &mut Vec<u8>),
) -> Ended {
    let mut driver = Box::new(Driver::new(Room::new(), Room::new()));
    assert_eq!(driver.receive(first), first.len());
    let (mut now, mut next_byte, mut said) = (Duration::ZERO, PAUSE, Vec::new());
    let mut bytes = drip.iter().cycle();
    loop {
        match driver.next(machine, now) {
            Next::Write(output) => {
                let n = output.len();
                driver.sent(n);
            }
            Next::Read => {
                let deadline = driver.deadline();
                if deadline < next_byte {
                    now = deadline;
                } else {
                    now = next_byte;
                    next_byte += PAUSE;
                    assert_eq!(driver.receive(&[*bytes.next().expect("a cycle")]), 1);
                }
            }
            Next::Event { event, .. } => {
                on_event(machine, event, &mut said);
                let answer = std::mem::take(&mut said);
                let copied = driver.write_with(answer.len(), |room| {
                    room[..answer.len()].copy_from_slice(&answer);
                    Ok::<_, Error>(answer.len())
                });
                copied.expect("room");
            }
            Next::Shutdown => {}
            Next::Ended => return Ended { after: now, why: Error::Closed },
            Next::Failed(why) => return Ended { after: now, why },
        }
        assert!(now < Duration::from_secs(24 * 60 * 60), "the connection stays open");
    }
}

/// Bytes that are no whole frame, however many of them arrive.
const UNFINISHED: &[u8] = b"aA0 \t*<{\x30\x7f\x84\xff\0";

/// Whole frames that mean nothing, or that another one of the same reply may follow.
const MEANINGLESS: &[&[u8]] = &[
    b"\n",
    b"\r\n",
    b" \r\n",
    b"* OK still here\r\n",
    b"* 1 EXISTS\r\n",
    b"220-a\r\n",
    b"220 a\r\n",
    b"250-a\r\n",
    b"+OK\r\n",
    b":a.example NOTICE * :wait\r\n",
    b"PING :a\r\n",
    b"<!-- -->",
    b"<a/>",
    b"NOOP\r\n",
    b"a NOOP\r\n",
    b"200 a\r\n",
    b"\"a\"\r\n",
    b"\x01\0\0\0\0",
];

fn dripped<P: Roles>() {
    let name = P::PROTOCOL.name;
    // The driver reads on for two seconds after a farewell.
    let soon = Duration::from_secs(2);
    for byte in UNFINISHED {
        let mut client = P::client(&NAMES, Policy::Required).expect("names");
        let ended = drip(&mut client, b"", &[*byte], |_, _, _| {});
        assert!(ended.after <= minutes(5), "{name} client, {byte:#x}: {ended:?}");
        let mut server = P::server(&NAMES, server::Config::default()).expect("names");
        let wait = loop {
            match server.wait() {
                Some(wait) => break wait,
                None => drop(server.step(&mut &b""[..], &mut [0; 4096]).expect("a greeting")),
            }
        };
        let ended = drip(&mut server, b"", &[*byte], |_, _, _| {});
        assert!(ended.after <= wait + soon, "{name} server, {byte:#x}: {ended:?}");
    }
    for frame in MEANINGLESS {
        let mut client = P::client(&NAMES, Policy::Required).expect("names");
        let ended = drip(&mut client, b"", frame, |_, _, _| {});
        let frame = frame.escape_ascii();
        // The greeting, and each of up to three requests, has one wait.
        assert!(ended.after <= minutes(4 * 5), "{name} client, {frame}: {ended:?}");
    }
}

const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

macro_rules! all {
    ([] $($module:ident :: $Type:ident,)*) => {
        #[test]
        fn no_machine_waits_for_a_dripping_peer() {
            $(dripped::<starttls::$module::$Type>();)*
        }
    };
}
starttls::for_each_protocol!(all []);

/// A connection inside TLS, on which every mail is accepted.
fn receiving(first: &str, unit: &[u8]) -> Ended {
    let config = receiver::Config::default().with_authentication(receiver::Authentication::Offered);
    let mut inbound = Inbound::<Smtp>::implicit(Domain::LOCALHOST, config);
    drip(&mut inbound, first.as_bytes(), unit, |inbound, event, _| match event {
        inbound::Event::StartTls => inbound.encrypted().expect("the event"),
        inbound::Event::Receiver(
            receiver::Event::Mail(_)
            | receiver::Event::Recipient(_)
            | receiver::Event::Message { .. },
        ) => inbound.accept().expect("asked"),
        _ => {}
    })
}

const ENVELOPE: &str = "EHLO a\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n";

#[test]
fn a_client_inside_tls_gains_no_time() {
    let soon = Duration::from_secs(2);
    for (first, unit, most) in [
        ("", &b"a"[..], minutes(5)),
        ("EHLO a\r\nAUTH PLAIN\r\n", b"a", minutes(5)),
        (&format!("{ENVELOPE}DATA\r\n"), b"a", minutes(3)),
        (&format!("{ENVELOPE}DATA\r\n"), b"a\r\n", minutes(3)),
        (&format!("{ENVELOPE}BDAT 4000000 LAST\r\n"), b"a", minutes(3)),
        // A chunk that is dropped.
        ("EHLO a\r\nBDAT 4000000 LAST\r\n", b"a", minutes(3)),
    ] {
        let ended = receiving(first, unit);
        assert_eq!(ended.why, Error::TimedOut, "{first:?}");
        assert_eq!(ended.after, most + soon, "{first:?}: {ended:?}");
    }
}

/// A block of 512 bytes makes progress, and 511 bytes do not.
#[test]
fn a_message_makes_progress_by_blocks() {
    for begin in ["DATA\r\n", "BDAT 4000000 LAST\r\n"] {
        for (octets, renewed) in [(511, 0), (512, 1), (513, 1)] {
            let first = format!("{ENVELOPE}{begin}{}", "a".repeat(octets));
            // The first bytes come after a while, so that a new wait shows.
            let mut inbound =
                Inbound::<Smtp>::implicit(Domain::LOCALHOST, receiver::Config::default());
            let mut driver = Driver::new(Buffer::<4096>::new(), Buffer::<2048>::new());
            let (mut now, mut sent) = (Duration::ZERO, 0);
            let deadline = loop {
                match driver.next(&mut inbound, now) {
                    Next::Write(output) => {
                        let n = output.len();
                        driver.sent(n);
                    }
                    Next::Read if sent == 0 => {
                        sent = first.len() - octets;
                        assert_eq!(driver.receive(&first.as_bytes()[..sent]), sent);
                    }
                    Next::Read if sent < first.len() => {
                        now = minutes(1);
                        let rest = &first.as_bytes()[sent..];
                        assert_eq!(driver.receive(rest), rest.len());
                        sent = first.len();
                    }
                    Next::Read => break driver.deadline(),
                    Next::Event { event: inbound::Event::StartTls, .. } => {
                        inbound.encrypted().expect("the event");
                    }
                    Next::Event { event: inbound::Event::Receiver(event), .. } => {
                        if matches!(event, receiver::Event::Mail(_) | receiver::Event::Recipient(_))
                        {
                            inbound.accept().expect("asked");
                        }
                    }
                    next => panic!("{next:?}"),
                }
            };
            assert_eq!(deadline, minutes(3 + renewed), "{begin:?}, {octets} bytes");
        }
    }
}

#[test]
fn a_mail_server_gains_no_time() {
    for unit in [&b"2"[..], b"220-a\r\n", b"250-a\r\n"] {
        let mut opening = Opening::<Smtp>::implicit(Domain::LOCALHOST, Policy::Required);
        let ended = drip(&mut opening, b"", unit, |opening, event, _| {
            if event == opening::Event::StartTls {
                opening.encrypted(Verification::Verified, None).expect("the event");
            }
        });
        assert!(ended.after <= minutes(5), "{}: {ended:?}", unit.escape_ascii());
    }
}

/// The rest of a line that was too long broke a rule: nothing is awaited any more.
#[test]
fn a_failed_session_does_not_wait() {
    let tls = Tls::implicit(Policy::Required, Verification::Verified).expect("verified");
    let mut session = Session::<Tls>::new(tls);
    let mut hello = session.hello(Domain::new("im.example.org").expect("a name")).expect("ready");
    let mut output = [0; 512];
    let long = [b"220 ", &[b'x'; 1000][..]].concat();
    assert!(matches!(hello.step(&mut &long[..], &mut output), Ok(Step::Event(_) | Step::Read)));
    while hello.is_cut() && hello.wait().is_some() {
        if let Err(error) = hello.step(&mut &b"\r x"[..], &mut output) {
            assert_eq!((error.rule(), hello.wait()), ("I11", None));
            return;
        }
    }
    panic!("the line was not cut, or a lone CR is allowed");
}
