//! The connection ends, or the server says goodbye, at every byte of a mail.

use starttls::mail::receiver::{self, Limits};
use starttls::mail::session::{Event, Fate};
use starttls::mail::{Address, Envelope, Receiver, Session};
use starttls::smtp::{Domain, Smtp};
use starttls::{Error, Machine, Policy, Step, Tls, Verification};

const MESSAGE: &[u8] = b"Subject: x\r\n\r\n.\r\nbody\r\n";

/// The server's replies, one flight per element; the client speaks between them.
type Script = &'static [&'static str];

const LOCKSTEP: Script = &[
    "220 mx\r\n",
    "250-mx\r\n250 SIZE\r\n",
    "250 ok\r\n",
    "250 ok\r\n",
    "550 no\r\n",
    "354 go\r\n",
    "250-2.0.0\r\n250 ok\r\n",
    "221 bye\r\n",
];
const PIPELINED: Script = &[
    "220 mx\r\n",
    "250-mx\r\n250 PIPELINING\r\n",
    "250 ok\r\n250-ok\r\n250 ok\r\n550 no\r\n354 go\r\n",
    "250-2.0.0\r\n250 ok\r\n",
    "221 bye\r\n",
];

/// The client's knowledge at the end.
#[derive(Debug, PartialEq, Eq)]
struct Known {
    fate: Fate,
    error: Option<Error>,
    /// The server asked for the message.
    asked: bool,
    /// The mail is done.
    done: bool,
}

/// Plays `script` up to its byte `end`, then the end of the connection.
fn client(script: &[&str], end: usize) -> Known {
    let tls = Tls::implicit(Policy::Required, Verification::Verified).expect("verified");
    let to = [Address::new("a@example.org").expect("valid"); 2];
    let envelope = Envelope::new(None, &to).expect("recipients");
    let mut session = Session::<Tls, Smtp>::new(tls);
    let mut output = [0; 512];
    let mut known = Known { fate: Fate::NotSent, error: None, asked: false, done: false };
    let mut left = end;
    let mut flights = script.iter().map(|flight| {
        let flight = &flight.as_bytes()[..flight.len().min(left)];
        left -= flight.len();
        flight
    });
    let mut input: &[u8] = b"";
    let mut job = 0;
    while job < 3 {
        let exchange = match job {
            0 => session.hello(Domain::LOCALHOST),
            1 => session.send(&envelope),
            _ => session.quit(),
        };
        let mut exchange = match exchange {
            Ok(exchange) => exchange,
            Err(error) => {
                known.error = Some(error);
                break;
            }
        };
        let outcome = match exchange.step(&mut input, &mut output) {
            Ok(Step::Read) => match flights.next() {
                Some(next) if !next.is_empty() => {
                    input = [input, next].concat().leak();
                    Ok(())
                }
                _ => match exchange.end_of_input() {
                    Ok(()) => break,
                    Err(error) => Err(error),
                },
            },
            Ok(Step::Event(Event::Body(_))) => {
                known.asked = true;
                let mut message = MESSAGE;
                while !message.is_empty() {
                    exchange.body(&mut message, &mut output).expect("strict form");
                }
                exchange.finish()
            }
            Ok(Step::Event(event)) => {
                known.done |= job == 1 && event.is_last();
                job += usize::from(event.is_last());
                Ok(())
            }
            Ok(Step::Write(_)) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = outcome {
            known.error = Some(error);
            break;
        }
    }
    known.fate = session.fate();
    known
}

#[test]
fn a_server_disconnects_at_every_byte() {
    for script in [LOCKSTEP, PIPELINED] {
        let whole = script.concat();
        let place = |what: &str| whole.find(what).expect("said") + what.len();
        let (go, done) = (place("354 go\r\n"), place("250-2.0.0\r\n250 ok\r\n"));
        for end in 0..=whole.len() {
            let expected = Known {
                fate: match end {
                    _ if end < go => Fate::NotSent,
                    _ if end < done => Fate::Unknown,
                    _ => Fate::Accepted,
                },
                error: (end < done).then_some(Error::Closed),
                asked: end >= go,
                done: end >= done,
            };
            assert_eq!(client(script, end), expected, "{end} bytes of {whole:?}");
        }
    }
}

#[test]
fn a_server_says_goodbye_at_every_reply() {
    for script in [LOCKSTEP, PIPELINED] {
        for flight in 0..script.len() {
            let replies: Vec<&str> = script[flight].split_inclusive('\n').collect();
            // Within a multi-line reply, another code is a different error.
            let begins = |at: usize| at == 0 || replies[at - 1].as_bytes()[3] == b' ';
            for at in (0..replies.len()).filter(|at| begins(*at)) {
                let said = replies[..at].concat() + "421 4.3.2 closing\r\n";
                let mut short = script[..flight].to_vec();
                short.push(&said);
                let known = client(&short, usize::MAX);
                let last = flight + 1 == script.len();
                assert_eq!(known.error, (!last).then_some(Error::Closing), "{short:?}");
                let fate = match flight + 2 {
                    n if n == script.len() => Fate::NotAccepted,
                    n if n > script.len() => Fate::Accepted,
                    _ => Fate::NotSent,
                };
                assert_eq!(known.fate, fate, "{short:?}");
            }
        }
    }
}

/// Plays a client's commands up to byte `end`, then the end of the connection. Returns the number of
/// complete mails, and the end.
fn server(said: &[u8], end: usize) -> (usize, Result<(), Error>) {
    let limits = Limits::default();
    let mut receiver = Receiver::<Tls>::new(Tls::implicit_server(), Domain::LOCALHOST, limits);
    let (mut input, mut output) = (&said[..end], [0; 512]);
    let mut whole = 0;
    loop {
        match receiver.step(&mut input, &mut output).expect("a client of ours") {
            Step::Read | Step::Event(receiver::Event::Quit) => break,
            Step::Event(event) => {
                whole += usize::from(matches!(event, receiver::Event::Message { .. }));
                let _ = receiver.accept();
            }
            Step::Write(_) => {}
        }
    }
    (whole, receiver.end_of_input())
}

#[test]
fn a_client_disconnects_at_every_byte() {
    for message in ["DATA\r\nx\r\n.\r\n", "BDAT 3\r\nx\r\nBDAT 2 LAST\r\n\r\n"] {
        let envelope = "EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\n";
        let said = [envelope, message, "QUIT\r\n"].concat();
        let done = envelope.len() + message.len();
        for end in 0..=said.len() {
            let (whole, outcome) = server(said.as_bytes(), end);
            assert_eq!(whole, usize::from(end >= done), "{end} bytes of {said:?}");
            let expected = if end == said.len() { Ok(()) } else { Err(Error::Closed) };
            assert_eq!(outcome, expected, "{end} bytes of {said:?}");
        }
    }
}
