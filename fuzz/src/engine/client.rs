//! A client: the cut does not matter, and every order of calls is safe.

use starttls::client::{Client, Event, Grammar};
use starttls::{Error, Machine, Policy, Roles, Step};

use super::NAMES;
use crate::{Case, End, Entry, Go, Run, assert_lines, feed, observed_step};

/// A protocol's client.
pub trait ClientSide: Roles {
    /// The dictionary for both roles.
    const DICTIONARY: &'static str = "lines";

    /// The request for TLS.
    const REQUEST: &'static [u8];

    /// A client at the start of a connection.
    ///
    /// # Panics
    /// Never: the names are valid in every protocol.
    fn new(policy: Policy) -> Client<Self::Client<'static>> {
        <Self as Roles>::client(&NAMES, policy).expect("names")
    }

    /// Whether TLS follows this frame: the go-ahead, or the last frame where the request has no answer.
    fn is_go_ahead(frame: &[u8]) -> bool;

    /// Checks that the written bytes are exactly one request.
    ///
    /// # Panics
    /// If not.
    fn assert_request(written: &[u8]) {
        assert_lines(written);
        assert_eq!(written.iter().filter(|octet| **octet == b'\n').count(), 1);
    }
}

/// Plays a case.
///
/// # Panics
/// If a promise is broken.
pub fn client<P: ClientSide>(case: &Case<'_>)
where
    Client<P::Client<'static>>: core::fmt::Debug,
{
    cuttings::<P>(case);
    any_order::<P>(case);
}

fn policy(case: &Case<'_>) -> Policy {
    if case.bit(1) { Policy::Opportunistic } else { Policy::Required }
}

fn run<P: ClientSide>(
    case: &Case<'_>,
    mut run: Run,
    fences: Option<&[usize]>,
    chunk: impl FnMut() -> usize,
) -> (Client<P::Client<'static>>, Run, End) {
    let mut client = P::new(policy(case));
    let mut last = Vec::new();
    let end = run.over(&mut client, case.octets, fences, chunk, |_, event, run| {
        run.told(event);
        match event {
            Event::Received(said) => {
                last = said.as_untrusted_bytes().to_vec();
                Go::On
            }
            Event::UpgradeReady => {
                assert!(P::is_go_ahead(&last), "{}", last.escape_ascii());
                assert_answered::<P>(&run.trace);
                Go::Stop
            }
            Event::Plaintext(_) => {
                assert_eq!(policy(case), Policy::Opportunistic);
                Go::Stop
            }
            _ => Go::On,
        }
    });
    (client, run, end)
}

/// Checks that the go-ahead answered our request, and that this request was the last one.
fn assert_answered<P: ClientSide>(trace: &[Entry]) {
    let request = trace.iter().rposition(|entry| matches!(entry, Entry::Wrote(_)));
    let request = request.expect("a request");
    assert_eq!(trace[request], Entry::Wrote(P::REQUEST.to_vec()));
    let between = trace.len() - request - 2;
    assert_eq!(between > 0, P::Client::<'static>::HAS_GO_AHEAD, "between request and TLS");
}

fn cuttings<P: ClientSide>(case: &Case<'_>) {
    let (client, slow, end) = run::<P>(case, Run::default(), None, || 1);
    let mut choices = case.choices();
    let mut some = || choices.next().map_or(1, usize::from);
    let (again, cut, cut_end) = run::<P>(case, Run::default(), Some(&slow.fences), &mut some);
    assert_eq!((&slow.trace, slow.consumed, end), (&cut.trace, cut.consumed, cut_end));
    let (_, whole, whole_end) = run::<P>(case, Run::default(), Some(&slow.fences), || usize::MAX);
    assert_eq!((&slow.trace, slow.consumed, end), (&whole.trace, whole.consumed, whole_end));
    let (_, early, _) = run::<P>(case, Run::showing(case.octets), None, || usize::MAX);
    // A peer that may speak unasked has sent something else by speaking early.
    if !P::Client::<'static>::IS_CHATTY {
        slow.assert_early(&early, case.octets);
    }

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

fn any_order<P: ClientSide>(case: &Case<'_>)
where
    Client<P::Client<'static>>: core::fmt::Debug,
{
    let mut client = P::new(policy(case));
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
                let room =
                    if steps & 1 == 0 { P::Client::<'static>::MAX_OUTPUT } else { steps.into() };
                for _ in 0..steps.max(1) {
                    let mut input = &case.octets[consumed..available];
                    let (result, written) = observed_step(&mut client, &mut input, room);
                    consumed = available - input.len();
                    match result {
                        Ok(Step::Write(_)) => {
                            P::assert_request(&written);
                            assert!(
                                input.is_empty(),
                                "sends a request although the answer may have arrived already"
                            );
                            request = written;
                        }
                        Ok(Step::Event(Event::Received(said))) => {
                            answer = said.as_untrusted_bytes().to_vec();
                        }
                        Ok(Step::Event(Event::UpgradeReady)) => {
                            assert_eq!(request, P::REQUEST);
                            assert!(P::is_go_ahead(&answer));
                            ready = true;
                        }
                        Ok(Step::Event(Event::Plaintext(_))) => {
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
