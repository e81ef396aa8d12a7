//! The server's engine: every cutting is the same, every order of calls is safe.

#![no_main]

use libfuzzer_sys::fuzz_target;
use starttls::smtp::{Dialect, Domain, ServerGrammar, Smtp};
use starttls::wire::Line;
use starttls::{Error, Machine, Policy, Server, Step, lmtp, server};
use starttls_fuzz::{Case, End, Go, Run, assert_lasting, assert_lines, feed, observed_step};

fuzz_target!(|case: Case<'_>| {
    if case.bit(0) {
        cuttings::<lmtp::Lmtp>(&case);
        any_order::<lmtp::Lmtp>(&case);
    } else {
        cuttings::<Smtp>(&case);
        any_order::<Smtp>(&case);
    }
});

type Machined<D> = Server<ServerGrammar<'static, D>>;

const GO_AHEAD: &[u8] = b"220 2.0.0 Ready to start TLS\r\n";
const ANSWER: Line<'_> = match Line::new("250 2.0.0 The application's own") {
    Ok(line) => line,
    Err(_) => panic!("one line"),
};

fn config(case: &Case<'_>) -> server::Config {
    let policy = if case.bit(1) { Policy::Opportunistic } else { Policy::Required };
    server::Config { policy, available: !case.bit(2), max_errors: case.settings >> 4 }
}

/// Decides by the number of questions so far, which no cutting may change.
fn decide<D: Dialect>(
    case: &Case<'_>,
    chunk: &mut dyn FnMut() -> usize,
) -> (Machined<D>, Run, End) {
    let mut server = Machined::<D>::new(Domain::LOCALHOST, config(case));
    let mut choices = case.choices();
    let mut run = Run::default();
    let end = run.over(&mut server, case.octets, None, chunk, |server, event, run| {
        run.told(event);
        let mut yes = || choices.next().is_some_and(|choice| choice & 1 == 0);
        match event {
            server::Event::UpgradeRequested if yes() => server.accept().expect("asked"),
            server::Event::UpgradeRequested => server.refuse().expect("asked"),
            server::Event::Command(_) if yes() => {
                let mut output = [0; 64];
                let n = server.answer(&[ANSWER], &mut output).expect("64 octets are enough");
                run.trace.push(starttls_fuzz::Entry::Wrote(output[..n].to_vec()));
            }
            server::Event::Command(_) => server.unknown().expect("unanswered"),
            server::Event::UpgradeReady | server::Event::Plaintext | server::Event::Quit => {
                return Go::Stop;
            }
            _ => {}
        }
        Go::On
    });
    (server, run, end)
}

fn cuttings<D: Dialect>(case: &Case<'_>) {
    let (server, slow, end) = decide::<D>(case, &mut || 1);
    let mut choices = case.choices();
    let (again, cut, cut_end) = decide::<D>(case, &mut || choices.next().map_or(1, usize::from));
    let (whole, all, whole_end) = decide::<D>(case, &mut || usize::MAX);
    assert_eq!((&slow.trace, slow.consumed, end), (&cut.trace, cut.consumed, cut_end));
    assert_eq!((&slow.trace, slow.consumed, end), (&all.trace, all.consumed, whole_end));

    let unread = &case.octets[slow.consumed..];
    let outcome = server.into_upgrade(unread);
    assert_eq!(outcome, again.into_upgrade(unread));
    if let Ok(upgrade) = &outcome {
        assert_eq!(upgrade.early(), unread);
        assert!(matches!(unread, [] | [0x16, ..]));
    }
    assert!(config(case).policy == Policy::Opportunistic || whole.into_plaintext().is_err());
}

/// What the last events ask of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Nothing,
    Upgrade,
    Command,
}

fn any_order<D: Dialect>(case: &Case<'_>) {
    let mut server = Machined::<D>::new(Domain::LOCALHOST, config(case));
    let required = config(case).policy == Policy::Required;
    let (mut consumed, mut available) = (0, 0);
    let (mut asked, mut accepted, mut request) = (Asked::Nothing, false, Vec::new());
    let (mut ready, mut plaintext, mut quit, mut failed) = (false, false, false, None::<Error>);
    let mut last_written = Vec::new();
    for choice in case.calls {
        available += feed(choice, &case.octets[available..]);
        let before = format!("{server:?}");
        let mut output = [0; 64];
        let called = match choice & 0x1f {
            24 => server
                .end_of_input()
                .inspect(|()| assert!(quit || last_written.starts_with(b"221"))),
            25 => Err(server.timed_out()),
            26 => server.accept().inspect(|()| {
                assert_eq!(asked, Asked::Upgrade);
                accepted = true;
            }),
            27 => server.refuse().inspect(|()| assert_eq!(asked, Asked::Upgrade)),
            28 => server.answer(&[ANSWER], &mut output).map(|written| {
                assert_eq!(asked, Asked::Command);
                assert_eq!(&output[..written], b"250 2.0.0 The application's own\r\n");
            }),
            29 => server.answer(&[ANSWER], &mut output[..7]).map(|_| panic!("7 octets")),
            30 => server.unknown().inspect(|()| assert_eq!(asked, Asked::Command)),
            31 => {
                let said = server.farewell(&mut output).expect("64 octets are enough");
                assert!(said == 0 || failed.is_some(), "a farewell before the end");
                assert!(said == 0 || last_written != GO_AHEAD, "a farewell into the handshake");
                assert!(said == 0 || output[..said].ends_with(b"\r\n"));
                assert!(!output[..said].starts_with(b"2"));
                assert_eq!(before, format!("{server:?}"));
                continue;
            }
            steps => {
                let room = if steps & 1 == 0 { Machined::<D>::MAX_OUTPUT } else { steps.into() };
                for _ in 0..steps.max(1) {
                    let mut input = &case.octets[consumed..available];
                    let (result, written) = observed_step(&mut server, &mut input, room);
                    consumed = available - input.len();
                    match result {
                        Ok(Step::Write(_)) => {
                            assert_lines(&written);
                            assert_eq!(written == GO_AHEAD, accepted, "a go-ahead of its own");
                            last_written = written;
                        }
                        Ok(Step::Event(event)) => match event {
                            server::Event::Received(said) => {
                                request = said.as_untrusted_bytes().to_ascii_uppercase();
                            }
                            server::Event::Command(_) => {
                                assert!(!required);
                                asked = Asked::Command;
                            }
                            server::Event::UpgradeRequested => {
                                assert_eq!(request.trim_ascii_end(), b"STARTTLS");
                                assert!(config(case).available);
                                asked = Asked::Upgrade;
                            }
                            server::Event::UpgradeReady => {
                                assert!(accepted);
                                ready = true;
                            }
                            server::Event::Plaintext => {
                                assert!(!required);
                                plaintext = true;
                            }
                            server::Event::Quit => quit = true,
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
