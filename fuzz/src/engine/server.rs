//! A server: the cut does not matter, and every order of calls is safe.

use starttls::server::{Event, Grammar};
use starttls::wire::Line;
use starttls::{Error, Machine, Policy, Roles, Server, Step, server};

use super::NAMES;
use crate::{Case, End, Entry, Go, Run, assert_lasting, assert_lines, feed, observed_step};

/// A protocol's server.
pub trait ServerSide: Roles {
    /// An application's own reply.
    const ANSWER: &'static str;

    /// A server at the start of a connection.
    ///
    /// # Panics
    /// Never: the names are valid in every protocol.
    fn new(config: server::Config) -> Server<Self::Server<'static>> {
        <Self as Roles>::server(&NAMES, config).expect("names")
    }

    /// Whether a command requests TLS.
    fn asks(command: &[u8]) -> bool;

    /// Whether TLS follows this reply.
    fn is_go_ahead(reply: &[u8]) -> bool;

    /// Whether the server closes after this reply: it answers a goodbye, or is the last refusal.
    fn is_goodbye(reply: &[u8]) -> bool;

    /// Whether a reply may be the farewell to a client that is disconnected.
    fn is_farewell(reply: &[u8]) -> bool {
        !Self::is_goodbye(reply)
    }

    /// Checks that the written bytes are exactly one reply.
    ///
    /// # Panics
    /// If not.
    fn assert_reply(written: &[u8]) {
        assert_lines(written);
    }
}

/// Plays a case.
///
/// # Panics
/// If a promise is broken.
pub fn server<P: ServerSide>(case: &Case<'_>)
where
    Server<P::Server<'static>>: core::fmt::Debug,
{
    cuttings::<P>(case);
    any_order::<P>(case);
}

fn answer<P: ServerSide>() -> Line<'static> {
    Line::new(P::ANSWER).expect("one line")
}

fn config(case: &Case<'_>) -> server::Config {
    let policy = if case.bit(1) { Policy::Opportunistic } else { Policy::Required };
    server::Config::default()
        .with_policy(policy)
        .with_available(!case.bit(2))
        .with_max_errors(case.settings >> 4)
}

/// Decides by the number of decisions so far, which no cut may change.
fn decide<P: ServerSide>(
    case: &Case<'_>,
    chunk: &mut dyn FnMut() -> usize,
) -> (Server<P::Server<'static>>, Run, End) {
    let mut server = P::new(config(case));
    let mut choices = case.choices();
    let mut run = Run::default();
    let end = run.over(&mut server, case.octets, None, chunk, |server, event, run| {
        run.told(event);
        let mut yes = || choices.next().is_some_and(|choice| choice & 1 == 0);
        match event {
            Event::UpgradeRequested if yes() => server.accept().expect("asked"),
            Event::UpgradeRequested => server.refuse().expect("asked"),
            Event::Command(_) if yes() => {
                let mut output = [0; 128];
                let n = server.answer(&[answer::<P>()], &mut output).expect("128 bytes are enough");
                run.trace.push(Entry::Wrote(output[..n].to_vec()));
            }
            Event::Command(_) => server.unknown().expect("unanswered"),
            Event::UpgradeReady | Event::Plaintext | Event::Quit => {
                return Go::Stop;
            }
            _ => {}
        }
        Go::On
    });
    (server, run, end)
}

fn cuttings<P: ServerSide>(case: &Case<'_>) {
    let (server, slow, end) = decide::<P>(case, &mut || 1);
    let mut choices = case.choices();
    let (again, cut, cut_end) = decide::<P>(case, &mut || choices.next().map_or(1, usize::from));
    let (whole, all, whole_end) = decide::<P>(case, &mut || usize::MAX);
    for (run, run_end) in [(&cut, cut_end), (&all, whole_end)] {
        assert_eq!((&slow.trace, end), (&run.trace, run_end));
        // The number of dropped white space bytes depends on the input available before the go-ahead.
        let dropped = &case.octets[slow.consumed..run.consumed];
        assert!(
            dropped.len() <= P::Server::<'static>::MAX_BLANKS && dropped.trim_ascii().is_empty()
        );
    }

    let unread = &case.octets[slow.consumed..];
    let outcome = server.into_upgrade(unread);
    assert_eq!(outcome, again.into_upgrade(unread));
    if let Ok(upgrade) = &outcome {
        assert_eq!(upgrade.early(), unread);
        assert!(matches!(unread, [] | [0x16, ..]));
    }
    assert!(config(case).policy() == Policy::Opportunistic || whole.into_plaintext().is_err());
}

/// The caller's pending decision after the last events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Nothing,
    Upgrade,
    Command,
}

fn any_order<P: ServerSide>(case: &Case<'_>)
where
    Server<P::Server<'static>>: core::fmt::Debug,
{
    let mut server = P::new(config(case));
    let required = config(case).policy() == Policy::Required;
    let (mut consumed, mut available) = (0, 0);
    let (mut asked, mut accepted, mut request) = (Asked::Nothing, false, Vec::new());
    let (mut ready, mut plaintext, mut quit, mut failed) = (false, false, false, None::<Error>);
    let mut last_written = Vec::new();
    for choice in case.calls {
        available += feed(choice, &case.octets[available..]);
        let before = format!("{server:?}");
        let mut output = [0; 512];
        let called = match choice & 0x1f {
            24 => server.end_of_input().inspect(|()| assert!(quit || P::is_goodbye(&last_written))),
            25 => Err(server.timed_out()),
            26 => server.accept().inspect(|()| {
                assert_eq!(asked, Asked::Upgrade);
                accepted = true;
            }),
            27 => server.refuse().inspect(|()| assert_eq!(asked, Asked::Upgrade)),
            28 => server.answer(&[answer::<P>()], &mut output).map(|written| {
                assert_eq!(asked, Asked::Command);
                assert!(output[..written].starts_with(P::ANSWER.as_bytes()));
            }),
            29 => server.answer(&[answer::<P>()], &mut output[..7]).map(|_| panic!("7 bytes")),
            30 => server.unknown().inspect(|()| assert_eq!(asked, Asked::Command)),
            31 => {
                let said = server.farewell(&mut output).expect("512 bytes are enough");
                assert!(said == 0 || failed.is_some(), "a farewell before the end");
                assert!(
                    said == 0 || !P::is_go_ahead(&last_written),
                    "a farewell into the handshake"
                );
                if said != 0 {
                    P::assert_reply(&output[..said]);
                }
                assert!(!P::is_go_ahead(&output[..said]) && P::is_farewell(&output[..said]));
                assert_eq!(before, format!("{server:?}"));
                continue;
            }
            steps => {
                let room =
                    if steps & 1 == 0 { P::Server::<'static>::MAX_OUTPUT } else { steps.into() };
                for _ in 0..steps.max(1) {
                    let mut input = &case.octets[consumed..available];
                    let (result, written) = observed_step(&mut server, &mut input, room);
                    consumed = available - input.len();
                    match result {
                        Ok(Step::Write(_)) => {
                            P::assert_reply(&written);
                            assert_eq!(
                                P::is_go_ahead(&written),
                                accepted,
                                "a go-ahead without a decision"
                            );
                            last_written = written;
                        }
                        Ok(Step::Event(event)) => match event {
                            Event::Received(said) => {
                                request = said.as_untrusted_bytes().to_vec();
                            }
                            Event::Command(_) => {
                                assert!(!required);
                                asked = Asked::Command;
                            }
                            Event::UpgradeRequested => {
                                assert!(P::asks(&request), "{}", request.escape_ascii());
                                assert!(config(case).available());
                                asked = Asked::Upgrade;
                            }
                            Event::UpgradeReady => {
                                assert!(accepted);
                                ready = true;
                            }
                            Event::Plaintext => {
                                assert!(!required);
                                plaintext = true;
                            }
                            Event::Quit => quit = true,
                            other => panic!("{other:?}"),
                        },
                        Err(error) => {
                            if !error.is_ours() {
                                failed = Some(error);
                            }
                            break;
                        }
                        Ok(Step::Read) => break,
                    }
                }
                continue;
            }
        };
        match called {
            Ok(()) => asked = Asked::Nothing,
            Err(error) => {
                if !error.is_ours() {
                    assert_eq!(failed.unwrap_or(error), error);
                    failed = Some(error);
                }
                let input = &case.octets[consumed..available];
                assert_lasting(&mut server, &before, error, input);
            }
        }
    }
    let unread = &case.octets[consumed..available];
    if case.bit(3) {
        assert_eq!(server.into_plaintext().is_ok(), plaintext && failed.is_none());
    } else {
        let allowed = ready && failed.is_none() && matches!(unread, [] | [0x16, ..]);
        let outcome = server.into_upgrade(unread);
        assert_eq!(outcome.is_ok(), allowed);
        assert!(outcome.is_err() || outcome.is_ok_and(|upgrade| upgrade.early() == unread));
    }
}
