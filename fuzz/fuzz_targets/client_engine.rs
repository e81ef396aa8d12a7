//! The client's engine: every cutting is the same, every order of calls is safe.

#![no_main]

use libfuzzer_sys::fuzz_target;
use starttls::smtp::{ClientGrammar, Dialect, Domain, Smtp};
use starttls::{Client, Error, Machine, Policy, Step, client, lmtp};
use starttls_fuzz::{Case, End, Entry, Go, Run, assert_lines, feed, observed_step};

fuzz_target!(|case: Case<'_>| {
    if case.bit(0) {
        cuttings::<lmtp::Lmtp>(&case);
        any_order::<lmtp::Lmtp>(&case);
    } else {
        cuttings::<Smtp>(&case);
        any_order::<Smtp>(&case);
    }
});

type Machined<D> = Client<ClientGrammar<'static, D>>;

fn policy(case: &Case<'_>) -> Policy {
    if case.bit(1) { Policy::Opportunistic } else { Policy::Required }
}

fn run<D: Dialect>(
    case: &Case<'_>,
    mut run: Run,
    fences: Option<&[usize]>,
    chunk: impl FnMut() -> usize,
) -> (Machined<D>, Run, End) {
    let mut client = Machined::<D>::new(Domain::LOCALHOST, policy(case));
    let end = run.over(&mut client, case.octets, fences, chunk, |_, event, run| {
        run.told(event);
        match event {
            client::Event::UpgradeReady => {
                assert_answered(&run.trace);
                Go::Stop
            }
            client::Event::Plaintext(_) => {
                assert_eq!(policy(case), Policy::Opportunistic);
                Go::Stop
            }
            _ => Go::On,
        }
    });
    (client, run, end)
}

/// The go-ahead, and nothing but the go-ahead, was the answer to our request.
fn assert_answered(trace: &[Entry]) {
    let request = trace.iter().rposition(|entry| matches!(entry, Entry::Wrote(_)));
    let request = request.expect("a request");
    assert_eq!(trace[request], Entry::Wrote(b"STARTTLS\r\n".to_vec()));
    let (told, answers) = trace[request + 1..].split_last().expect("an event");
    assert_eq!(*told, Entry::Told("UpgradeReady".into()));
    let (last, others) = answers.split_last().expect("an answer");
    let is = |entry: &Entry, start: &str| matches!(entry, Entry::Told(t) if t.starts_with(start));
    assert!(is(last, "Received(\"220 ") || is(last, "Received(\"220\")"), "{last:?}");
    assert!(others.iter().all(|entry| is(entry, "Received(\"220-")), "{others:?}");
}

fn cuttings<D: Dialect>(case: &Case<'_>) {
    let (client, slow, end) = run::<D>(case, Run::default(), None, || 1);
    let mut choices = case.choices();
    let mut some = || choices.next().map_or(1, usize::from);
    let (again, cut, cut_end) = run::<D>(case, Run::default(), Some(&slow.fences), &mut some);
    assert_eq!((&slow.trace, slow.consumed, end), (&cut.trace, cut.consumed, cut_end));
    let (_, whole, whole_end) = run::<D>(case, Run::default(), Some(&slow.fences), || usize::MAX);
    assert_eq!((&slow.trace, slow.consumed, end), (&whole.trace, whole.consumed, whole_end));
    let (_, early, _) = run::<D>(case, Run::showing(case.octets), None, || usize::MAX);
    slow.assert_early(&early, case.octets);

    let unread = case.octets.len() - slow.consumed;
    let outcome = client.into_upgrade(&case.octets[slow.consumed..]);
    assert_eq!(outcome, again.into_upgrade(&case.octets[cut.consumed..]));
    if let (End::Event, Policy::Required) = (end, policy(case)) {
        match unread {
            0 => assert!(outcome.is_ok()),
            _ => assert_eq!(outcome, Err(Error::PlaintextAfterGoAhead { unread })),
        }
    }
}

fn any_order<D: Dialect>(case: &Case<'_>) {
    let mut client = Machined::<D>::new(Domain::LOCALHOST, policy(case));
    let (mut consumed, mut available) = (0, 0);
    let (mut request, mut answer) = (Vec::new(), Vec::new());
    let (mut ready, mut plaintext, mut failed) = (false, false, false);
    for choice in case.calls {
        available += feed(choice, &case.octets[available..]);
        match choice & 0x1f {
            29 => {
                assert!(client.end_of_input().is_err());
                failed = true;
            }
            30 => {
                assert!(!client.timed_out().is_ours());
                failed = true;
            }
            31 => assert!(client.wait().is_none() || !failed),
            steps => {
                let room = if steps & 1 == 0 { Machined::<D>::MAX_OUTPUT } else { steps.into() };
                for _ in 0..steps.max(1) {
                    let mut input = &case.octets[consumed..available];
                    let (result, written) = observed_step(&mut client, &mut input, room);
                    consumed = available - input.len();
                    match result {
                        Ok(Step::Write(_)) => {
                            assert_lines(&written);
                            assert_eq!(written.iter().filter(|octet| **octet == b'\n').count(), 1);
                            assert!(input.is_empty(), "asks what may be answered already");
                            request = written;
                        }
                        Ok(Step::Event(client::Event::Received(said))) => {
                            answer = said.as_untrusted_bytes().to_vec();
                        }
                        Ok(Step::Event(client::Event::UpgradeReady)) => {
                            assert_eq!(request, b"STARTTLS\r\n");
                            assert!(answer == b"220" || answer.starts_with(b"220 "));
                            ready = true;
                        }
                        Ok(Step::Event(client::Event::Plaintext(_))) => {
                            assert_eq!(policy(case), Policy::Opportunistic);
                            plaintext = true;
                        }
                        Err(error) => {
                            failed |= !error.is_ours();
                            break;
                        }
                        Ok(Step::Read) => break,
                        Ok(Step::Event(event)) => panic!("{event:?}"),
                    }
                    assert!(!(ready && plaintext));
                }
            }
        }
    }
    let unread = &case.octets[consumed..available];
    if case.bit(2) {
        let allowed = plaintext && !failed && unread.is_empty();
        assert_eq!(client.into_plaintext(unread).is_ok(), allowed);
    } else {
        let allowed = ready && !failed && unread.is_empty();
        assert_eq!(client.into_upgrade(unread).is_ok(), allowed);
    }
}
