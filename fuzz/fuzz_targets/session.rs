//! The sending side of mail: the cut does not matter, every order of jobs is safe, and no
//! message can end itself.

#![no_main]

use core::fmt::Debug;

use libfuzzer_sys::fuzz_target;
use starttls::mail::session::{Event, Exchange};
use starttls::mail::{
    Address, ChannelBinding, Credentials, Envelope, LineEnds, Nonce, Session, Stuffer,
};
use starttls::smtp::{Dialect, Domain, Smtp};
use starttls::{Channel, Error, Machine, Plaintext, Policy, Step, Tls, Verification, lmtp};
use starttls_fuzz::{
    Case, End, Entry, Go, Run, assert_lasting, assert_lines, feed, observed_step, plaintext,
    upgraded,
};

fuzz_target!(|case: Case<'_>| match (case.bit(0), case.bit(1)) {
    (false, false) => all::<_, Smtp>(&case, tls, log_in),
    (true, false) => all::<_, lmtp::Lmtp>(&case, tls, log_in),
    (false, true) => all::<_, Smtp>(&case, |_| plaintext(), |_, _, _| None),
    (true, true) => all::<_, lmtp::Lmtp>(&case, |_| plaintext(), |_, _, _| None),
});

/// The SCRAM values of the tables' rows.
const NONCE: Nonce = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18];

fn tls(case: &Case<'_>) -> Tls {
    let verification = if case.bit(2) { Verification::Unverified } else { Verification::Verified };
    if case.bit(3) {
        Tls::implicit(Policy::Opportunistic, verification).expect("nothing is required")
    } else {
        upgraded(Policy::Opportunistic, verification)
    }
}

type Login<C, D> = fn(&mut Session<C, D>, &Case<'_>, &mut Talk<'_, '_>) -> Option<Outcome>;

fn log_in<D: Dialect + Debug>(
    session: &mut Session<Tls, D>,
    case: &Case<'_>,
    talk: &mut Talk<'_, '_>,
) -> Option<Outcome> {
    let password = Credentials::new("tim", "secret").expect("valid");
    let credentials = match (case.bit(6), case.bit(7)) {
        (false, false) => password,
        (true, false) => password.with_nonce(&NONCE),
        (true, true) => password
            .with_nonce(&NONCE)
            .with_binding(ChannelBinding::Exporter(&[7; 32]))
            .expect("valid"),
        (false, true) => Credentials::bearer("tim", "token").expect("valid"),
    };
    let verified = session.channel().verification() == Verification::Verified;
    match session.authenticate(&credentials) {
        Ok(mut job) => {
            assert!(verified, "credentials for an unverified peer");
            Some(talk.over(&mut job, |_, _| {}))
        }
        Err(Error::Unverified) => {
            assert!(!verified);
            None
        }
        Err(error) if error.is_unsupported() => None,
        Err(error) => panic!("{error:?}"),
    }
}

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Ended,
    Over(End),
}

/// A run over many jobs.
struct Talk<'c, 'f> {
    run: Run,
    octets: &'c [u8],
    fences: Option<&'f [usize]>,
    chunk: &'f mut dyn FnMut() -> usize,
}

impl Talk<'_, '_> {
    fn over<C: Channel, D: Dialect>(
        &mut self,
        job: &mut Exchange<'_, '_, C, D>,
        mut body: impl FnMut(&mut Exchange<'_, '_, C, D>, &mut Run),
    ) -> Outcome {
        let end =
            self.run.over(job, self.octets, self.fences, &mut self.chunk, |job, event, run| {
                run.told(event);
                match event {
                    Event::Done(_)
                    | Event::Rejected { .. }
                    | Event::NoRecipients
                    | Event::Delivered => Go::Stop,
                    Event::Body(_) | Event::Chunks => {
                        body(job, run);
                        Go::On
                    }
                    _ => Go::On,
                }
            });
        if end == End::Event { Outcome::Ended } else { Outcome::Over(end) }
    }
}

/// A message of sequences that mail servers interpret differently.
fn message(case: &Case<'_>) -> Vec<u8> {
    const PIECES: [&[u8]; 8] = [b"\r\n", b".", b"a", b"\r\n.\r\n", b"\xff", b"QUIT", b"\r", b"\n"];
    let lone = if case.bit(4) { 8 } else { 6 };
    case.calls.iter().flat_map(|n| PIECES[usize::from(*n) % lone]).copied().collect()
}

fn jobs<C: Channel, D: Dialect>(
    session: &mut Session<C, D>,
    case: &Case<'_>,
    talk: &mut Talk<'_, '_>,
    log_in: Login<C, D>,
) -> Result<Outcome, Error> {
    session.set_line_ends(if case.bit(5) { LineEnds::Normalize } else { LineEnds::Strict });
    let hello = talk.over(&mut session.hello(Domain::LOCALHOST)?, |_, _| {});
    if hello != Outcome::Ended {
        return Ok(hello);
    }
    if let Some(outcome @ Outcome::Over(_)) = log_in(session, case, talk) {
        return Ok(outcome);
    }
    let to = ["a@example.org", "\"b >\"@[192.0.2.1]", "c@d"];
    let to = to.map(|to| Address::new(to).expect("valid"));
    let envelope = Envelope::new(None, &to).expect("recipients");
    let message = message(case);
    for mail in 0..2 {
        let in_chunks = mail == 1 && session.extensions().chunking();
        let mut lone = false;
        let mut rest = &message[..];
        let job =
            if in_chunks { session.send_chunks(&envelope)? } else { session.send(&envelope)? };
        let sent = talk.over(&mut { job }, |job, run| {
            let mut rooms = case.choices().map(usize::from);
            let wire = run.trace.len();
            while !rest.is_empty() && !lone {
                let least = if in_chunks { 40 } else { Stuffer::MIN_OUTPUT };
                let mut output = vec![0; rooms.next().unwrap_or_default().max(least)];
                let written = if in_chunks {
                    job.chunk(&mut rest, &mut output)
                } else {
                    job.body(&mut rest, &mut output)
                };
                match written {
                    // The server has to reply first.
                    Ok(0) if in_chunks && !rest.is_empty() => return,
                    Ok(n) => run.body(&output[..n]),
                    Err(error) => {
                        assert!(matches!(error, Error::BareLineEnd | Error::LineTooLong));
                        lone = true;
                    }
                }
            }
            lone |= job.finish().is_err();
            if let (Some(Entry::Body(wire)), false) = (run.trace.get(wire), in_chunks) {
                assert_unfinished(wire);
            }
        });
        assert!(!lone || case.bit(4) && !case.bit(5) || message.len() > 998);
        if lone || sent != Outcome::Ended {
            return Ok(sent);
        }
    }
    Ok(talk.over(&mut session.quit()?, |_, _| {}))
}

/// No message ends before its end (RFC 5321 §4.5.2), and no lone CR or LF is sent.
fn assert_unfinished(wire: &[u8]) {
    let whole = [b"\r\n", wire].concat();
    assert!(!whole.windows(5).any(|five| five == b"\r\n.\r\n"));
    let count = |octet| whole.iter().filter(|other| **other == octet).count();
    let pairs = whole.windows(2).filter(|pair| pair == b"\r\n").count();
    assert_eq!((count(b'\r'), count(b'\n')), (pairs, pairs));
}

fn talk<C: Channel, D: Dialect>(
    case: &Case<'_>,
    channel: C,
    run: Run,
    fences: Option<&[usize]>,
    chunk: &mut dyn FnMut() -> usize,
    log_in: Login<C, D>,
) -> (Run, Result<Outcome, Error>) {
    let mut session = Session::<C, D>::new(channel);
    let mut talk = Talk { run, octets: case.octets, fences, chunk };
    let outcome = jobs(&mut session, case, &mut talk, log_in);
    (talk.run, outcome)
}

fn all<C: Channel + Debug, D: Dialect>(
    case: &Case<'_>,
    channel: fn(&Case<'_>) -> C,
    log_in: Login<C, D>,
) {
    let (slow, outcome) =
        talk::<C, D>(case, channel(case), Run::default(), None, &mut || 1, log_in);
    assert!(outcome.is_ok(), "{outcome:?}");
    let mut choices = case.choices();
    let mut some = || choices.next().map_or(1, usize::from);
    let (cut, same) =
        talk(case, channel(case), Run::default(), Some(&slow.fences), &mut some, log_in);
    assert_eq!((&slow.trace, slow.consumed, outcome), (&cut.trace, cut.consumed, same));
    let (whole, same) =
        talk(case, channel(case), Run::default(), Some(&slow.fences), &mut || usize::MAX, log_in);
    assert_eq!((&slow.trace, slow.consumed, outcome), (&whole.trace, whole.consumed, same));
    let (early, _) = talk::<C, D>(
        case,
        channel(case),
        Run::showing(case.octets),
        None,
        &mut || usize::MAX,
        log_in,
    );
    slow.assert_early(&early, case.octets);
    for entry in &slow.trace {
        if let Entry::Wrote(written) = entry {
            assert_lines(written);
            let auth = written.starts_with(b"AUTH");
            assert!(!auth || !case.bit(1) && !case.bit(2), "credentials in the clear");
        }
    }
    any_order(case, Session::<C, D>::new(channel(case)));
}

fn any_order<C: Channel + Debug, D: Dialect>(case: &Case<'_>, mut session: Session<C, D>) {
    let to = [Address::new("a@b").expect("valid")];
    let envelope = Envelope::new(Some(to[0]), &to).expect("recipients");
    let mut place = Place { case, consumed: 0, available: 0, failed: None };
    for choice in case.calls {
        let before = format!("{session:?}");
        let outcome = match choice & 7 {
            0 | 1 => session.hello(Domain::LOCALHOST).map(|mut job| place.drive(&mut job, choice)),
            2 => session.reset().map(|mut job| place.drive(&mut job, choice)),
            3 => session.quit().map(|mut job| place.drive(&mut job, choice)),
            4 if choice & 0x40 != 0 => session
                .send_chunks(&envelope)
                .map(|mut job| place.drive(&mut job, choice))
                .or_else(|error| if error.is_unsupported() { Ok(()) } else { Err(error) }),
            4 => session.send(&envelope).map(|mut job| {
                let ours = job.finish().err().is_none_or(Error::is_ours);
                assert!(ours || place.failed.is_some());
            }),
            5 => session.send(&envelope).map(|mut job| {
                let mut output = [0; 8];
                let mut message = &b".\r\n.\r\n"[..];
                if let Ok(written) = job.body(&mut message, &mut output) {
                    assert_unfinished(&output[..written]);
                }
            }),
            _ => session.send(&envelope).map(|mut job| place.drive(&mut job, choice)),
        };
        match (outcome, place.failed) {
            (Ok(()), _) => {}
            (Err(error), Some(failure)) => assert_eq!(error, failure),
            (Err(error), None) => {
                assert_eq!(error, Error::OutOfOrder);
                assert_eq!(before, format!("{session:?}"));
            }
        }
    }
}

/// The state of a session driven in any order.
struct Place<'c> {
    case: &'c Case<'c>,
    consumed: usize,
    available: usize,
    failed: Option<Error>,
}

impl Place<'_> {
    fn drive<C: Channel + Debug, D: Dialect>(
        &mut self,
        job: &mut Exchange<'_, '_, C, D>,
        choice: u8,
    ) {
        let octets = self.case.octets;
        self.available += feed(choice, &octets[self.available..]);
        if choice == 0x98 || choice == 0x99 {
            let before = format!("{job:?}");
            let told = if choice == 0x98 { job.end_of_input() } else { Err(job.timed_out()) };
            if let Err(error) = told {
                assert_lasting(job, &before, error, &octets[self.consumed..self.available]);
                self.failed = Some(error);
            }
            return;
        }
        let room = if choice & 8 == 0 { 1024 } else { 9 };
        for _ in 0..16 {
            let mut input = &octets[self.consumed..self.available];
            let (result, written) = observed_step(job, &mut input, room);
            self.consumed = self.available - input.len();
            match result {
                Ok(Step::Write(_)) => {
                    assert_lines(&written);
                    assert!(self.failed.is_none(), "output after a failure");
                }
                Ok(Step::Event(_)) => {}
                Ok(Step::Read) => break,
                Err(error) => {
                    if !error.is_ours() {
                        self.failed = Some(error);
                    }
                    break;
                }
            }
        }
    }
}

/// A plaintext session has no method for credentials; these are all its methods.
const _: fn(Session<Plaintext>) -> bool = |session| session.extensions().pipelining();
