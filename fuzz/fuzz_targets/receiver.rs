//! The receiving side of the mail: every cutting is the same, every order of calls is safe.

#![no_main]

use libfuzzer_sys::fuzz_target;
use starttls::smtp::receiver::{Answer, Event, Limits};
use starttls::smtp::{Address, Dialect, Domain, Receiver, Smtp};
use starttls::{Channel, Error, Machine, Step, Tls, lmtp};
use starttls_fuzz::{
    Case, End, Entry, Go, Run, assert_lasting, assert_lines, feed, observed_step, plaintext,
};

fuzz_target!(|case: Case<'_>| match (case.bit(0), case.bit(1)) {
    (false, false) => all::<_, Smtp>(&case, Tls::implicit_server),
    (true, false) => all::<_, lmtp::Lmtp>(&case, Tls::implicit_server),
    (false, true) => all::<_, Smtp>(&case, plaintext),
    (true, true) => all::<_, lmtp::Lmtp>(&case, plaintext),
});

fn all<C: Channel + core::fmt::Debug, D: Dialect>(case: &Case<'_>, channel: fn() -> C) {
    let new = || {
        let limits = Limits { size: limit(case), recipients: 3, errors: case.settings >> 4 };
        Receiver::<C, D>::new(channel(), Domain::LOCALHOST, limits)
    };
    let (slow, end) = run(new(), case, &mut || 1);
    let mut choices = case.choices();
    let (cut, cut_end) = run(new(), case, &mut || choices.next().map_or(1, usize::from));
    let (whole, whole_end) = run(new(), case, &mut || usize::MAX);
    assert_eq!((&slow.trace, slow.consumed, end), (&cut.trace, cut.consumed, cut_end));
    assert_eq!((&slow.trace, slow.consumed, end), (&whole.trace, whole.consumed, whole_end));
    any_order(new(), case);
}

/// How many octets a message may have.
fn limit(case: &Case<'_>) -> Option<usize> {
    case.bit(2).then_some(20)
}

fn answer(yes: bool) -> Answer<'static> {
    let (code, text) = if yes { (250, "2.0.0 Yes") } else { (550, "5.7.1 No") };
    Answer::new(code, text).expect("a code and a line")
}

fn run<C: Channel, D: Dialect>(
    mut receiver: Receiver<'_, C, D>,
    case: &Case<'_>,
    chunk: &mut dyn FnMut() -> usize,
) -> (Run, End) {
    let mut choices = case.choices();
    let mut run = Run::default();
    let mut rules = Rules { limit: limit(case), ..Rules::default() };
    let end = run.over(&mut receiver, case.octets, None, chunk, |receiver, event, run| {
        match event {
            Event::Body(piece) => run.body(piece),
            _ => run.told(event),
        }
        let last_reply = run.trace.iter().rev().find_map(|entry| match entry {
            Entry::Wrote(reply) => Some(reply.as_slice()),
            _ => None,
        });
        rules.hold(event, case.bit(0), last_reply);
        match event {
            Event::Mail(_) | Event::Recipient(_) | Event::Message { .. } => {
                let choice = choices.next().unwrap_or_default();
                if choice & 2 == 0 {
                    receiver.accept().expect("asked");
                    rules.judged(true);
                } else {
                    let mut output = [0; 64];
                    let written = receiver.answer(answer(choice & 1 == 0), &mut output);
                    let written = &output[..written.expect("64 octets are enough")];
                    run.trace.push(Entry::Wrote(written.to_vec()));
                    rules.judged(choice & 1 == 0);
                }
                Go::On
            }
            Event::Quit => Go::Stop,
            _ => Go::On,
        }
    });
    if let Some(Entry::Failed(error)) = run.trace.last() {
        let mut output = [0; 64];
        let said = receiver.farewell(&mut output).expect("64 octets are enough");
        assert!(!error.is_ours() && !output[..said].starts_with(b"2"));
    }
    (run, end)
}

/// The order of a mail transaction (RFC 5321 §3.3), as a person would keep it on paper.
#[derive(Default)]
struct Rules {
    begun: bool,
    recipients: usize,
    asked: Option<&'static str>,
    in_body: bool,
    limit: Option<usize>,
    octets: usize,
    /// Judgements of the message that are still to come, after this one.
    more: usize,
}

impl Rules {
    fn hold(&mut self, event: Event<'_>, lmtp: bool, last_reply: Option<&[u8]>) {
        assert_eq!(self.asked, None, "an event before the answer");
        match event {
            Event::Hello(_) | Event::Reset => {
                (self.begun, self.recipients, self.octets) = (false, 0, 0);
            }
            Event::Mail(path) => {
                assert!(!self.begun);
                assert!(path.is_null() || is_mailbox(path.as_str()));
                self.asked = Some("mail");
            }
            Event::Recipient(path) => {
                assert!(self.begun && self.recipients < 3);
                assert!(is_mailbox(path.as_str()));
                self.asked = Some("recipient");
            }
            Event::Body(piece) => {
                assert!(self.recipients > 0 && !piece.is_empty());
                assert!(self.in_body || last_reply.is_some_and(|reply| reply.starts_with(b"354")));
                self.in_body = true;
                self.octets += piece.len();
            }
            Event::Refused { index } => {
                let index = usize::from(index);
                assert!(self.limit.is_some_and(|limit| self.octets > limit));
                assert!(index < self.recipients && (lmtp || index == 0));
                if !lmtp || index + 1 == self.recipients {
                    *self = Self { limit: self.limit, ..Self::default() };
                }
            }
            Event::Message { index } => {
                let index = usize::from(index);
                assert!(self.limit.is_none_or(|limit| self.octets <= limit));
                assert!(index < self.recipients && (lmtp || index == 0));
                self.more = if lmtp { self.recipients - index - 1 } else { 0 };
                self.asked = Some("message");
            }
            _ => {}
        }
    }

    fn judged(&mut self, yes: bool) {
        match self.asked.take() {
            Some("mail") => self.begun = yes,
            Some("recipient") => self.recipients += usize::from(yes),
            Some("message") => {
                self.in_body = false;
                if self.more == 0 {
                    (self.begun, self.recipients, self.octets) = (false, 0, 0);
                }
            }
            _ => panic!("nothing was asked"),
        }
    }
}

fn is_mailbox(path: &str) -> bool {
    Address::new(path).is_ok()
        || path.eq_ignore_ascii_case("postmaster")
        || path.rsplit_once('@').is_some_and(|(local, _)| local.len() > 64)
}

fn any_order<C: Channel + core::fmt::Debug, D: Dialect>(
    mut receiver: Receiver<'_, C, D>,
    case: &Case<'_>,
) {
    let (mut consumed, mut available) = (0, 0);
    let (mut asked, mut failed) = (false, None::<Error>);
    let mut bye = false;
    for choice in case.calls {
        available += feed(choice, &case.octets[available..]);
        let before = format!("{receiver:?}");
        let mut output = [0; 64];
        let called = match choice & 0x1f {
            26 => receiver.end_of_input().inspect(|()| assert!(bye)),
            27 => Err(receiver.timed_out()),
            28 => receiver.accept().inspect(|()| assert!(asked)),
            29 => receiver.answer(answer(choice & 32 == 0), &mut output).map(|_| assert!(asked)),
            30 => receiver.answer(answer(true), &mut output[..9]).map(|_| panic!("9 octets")),
            31 => {
                let said = receiver.farewell(&mut output).expect("64 octets are enough");
                assert!(said == 0 || failed.is_some());
                assert_eq!(before, format!("{receiver:?}"));
                continue;
            }
            steps => {
                let room = if steps & 1 == 0 { 512 } else { steps.into() };
                for _ in 0..steps.max(1) {
                    let mut input = &case.octets[consumed..available];
                    let (result, written) = observed_step(&mut receiver, &mut input, room);
                    consumed = available - input.len();
                    match result {
                        Ok(Step::Write(_)) => {
                            assert_lines(&written);
                            bye |= written.starts_with(b"221");
                        }
                        Ok(Step::Event(event)) => {
                            asked = matches!(
                                event,
                                Event::Mail(_) | Event::Recipient(_) | Event::Message { .. }
                            );
                        }
                        Ok(Step::Read) => break,
                        Err(error) => {
                            if !error.is_ours() {
                                failed = Some(error);
                            }
                            break;
                        }
                    }
                }
                continue;
            }
        };
        match called {
            Ok(()) => asked = false,
            Err(error) => {
                if !error.is_ours() {
                    failed = Some(error);
                }
                assert_lasting(&mut receiver, &before, error, &case.octets[consumed..available]);
            }
        }
    }
    assert!(failed.is_none() || receiver.wait().is_none());
}
