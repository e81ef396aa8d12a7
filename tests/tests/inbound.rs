//! A client that continues in plaintext and sends STARTTLS later.

use starttls::mail::{Inbound, inbound, receiver};
use starttls::smtp::{Domain, Smtp};
use starttls::{Error, Machine, Policy, Step, server};

const HELLO: &str = "EHLO client.example.org\r\n";
const MAIL: &str = "MAIL FROM:<a@example.org>\r\n";

struct Played {
    inbound: Inbound<'static, Smtp>,
    /// The replies, and the events besides.
    told: String,
    end: Result<(), Error>,
}

/// Sends these lines, each after the reply to the one before; the last may be several lines.
fn play(available: bool, said: &[&'static str]) -> Played {
    let upgrade = server::Config::default().with_policy(Policy::Opportunistic);
    let upgrade = upgrade.with_available(available);
    let mut inbound = Inbound::new(Domain::LOCALHOST, upgrade, receiver::Config::default());
    let (mut told, mut output, mut said) = (String::new(), [0; 512], said.iter());
    let mut input: &[u8] = b"";
    let end = loop {
        match inbound.step(&mut input, &mut output) {
            Ok(Step::Write(n)) => told += std::str::from_utf8(&output[..n]).expect("ASCII"),
            Ok(Step::Read) => match said.next() {
                Some(line) => {
                    assert!(input.is_empty(), "whole lines");
                    input = line.as_bytes();
                }
                None => break Ok(()),
            },
            Ok(Step::Event(inbound::Event::StartTls)) => {
                told += "TLS";
                assert!(inbound.awaits_tls());
                break Ok(());
            }
            Ok(Step::Event(inbound::Event::Receiver(receiver::Event::Mail(_)))) => {
                inbound.accept().expect("asked");
            }
            Ok(Step::Event(_)) => {}
            Err(error) => break Err(error),
        }
    };
    Played { inbound, told, end }
}

#[test]
fn starttls_works_between_two_mails() {
    for said in [
        &[HELLO, MAIL, "RSET\r\n", "STARTTLS\r\n"][..],
        &[HELLO, MAIL, "RSET\r\n", HELLO, "STARTTLS\r\n"],
        &[HELLO, MAIL, HELLO, "STARTTLS\r\n"],
        &[HELLO, MAIL, "RSET\r\n", "STARTTLS\r\n\x16\x03\x01"],
    ] {
        let Played { mut inbound, told, end } = play(true, said);
        assert_eq!(end, Ok(()));
        assert!(told.ends_with("220 2.0.0 Ready to start TLS\r\nTLS"), "{told}");
        inbound.encrypted().expect("the event");
        assert!(inbound.is_encrypted());
        // The state is fresh: a client sends EHLO again, and STARTTLS is not offered inside TLS.
        let (mut output, mut input) = ([0; 512], MAIL.as_bytes());
        let mut inside = Vec::new();
        for line in [MAIL, HELLO] {
            input = if inside.is_empty() { input } else { line.as_bytes() };
            while let Step::Write(_) | Step::Event(_) = {
                let step = inbound.step(&mut input, &mut output).expect("a client of ours");
                if let Step::Write(n) = step {
                    inside.extend_from_slice(&output[..n]);
                }
                step
            } {}
        }
        let inside = String::from_utf8(inside).expect("ASCII");
        assert!(inside.starts_with("503 ") && !inside.contains("STARTTLS"), "{inside}");
    }
}

#[test]
fn starttls_is_listed_where_tls_is_available() {
    for available in [true, false] {
        let Played { told, .. } = play(available, &[HELLO, MAIL, HELLO]);
        let listed = told.matches("250-STARTTLS\r\n").count();
        assert_eq!(listed, if available { 2 } else { 0 }, "{told}");
        let Played { told, .. } = play(available, &[HELLO, MAIL, "RSET\r\n", "STARTTLS\r\n"]);
        assert_eq!(told.ends_with("TLS"), available, "{told}");
        assert_eq!(told.contains("503 "), !available, "{told}");
    }
}

#[test]
fn starttls_comes_last_and_not_within_a_mail() {
    for (said, error) in [
        ("STARTTLS\r\nMAIL FROM:<>\r\n", Error::PlaintextAfterGoAhead { unread: 14 }),
        ("STARTTLS\r\n\r\n", Error::PlaintextAfterGoAhead { unread: 2 }),
    ] {
        let Played { mut inbound, end, .. } = play(true, &[HELLO, MAIL, "RSET\r\n", said]);
        assert_eq!(end, Err(error));
        assert_eq!(inbound.encrypted(), Err(Error::OutOfOrder));
        assert_eq!(inbound.step(&mut &b""[..], &mut [0; 512]), Err(error));
    }
    let Played { told, end, .. } = play(true, &[HELLO, MAIL, "STARTTLS\r\n"]);
    assert_eq!(end, Ok(()));
    assert!(told.ends_with("503 5.5.1 Bad sequence of commands\r\n"), "{told}");
    let Played { told, .. } = play(true, &[HELLO, MAIL, "RSET\r\n", "STARTTLS now\r\n"]);
    assert!(told.ends_with("501 5.5.4 No parameters allowed\r\n"), "{told}");
}
