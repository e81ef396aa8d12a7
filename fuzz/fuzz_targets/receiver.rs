//! The receiving side of mail: it behaves like a second, simpler implementation of the RFCs, the cut does
//! not matter, and every order of calls is safe.

#![no_main]

use libfuzzer_sys::fuzz_target;
use starttls::mail::Receiver;
use starttls::mail::receiver::{
    Answer, Authentication, Config, Event, Limits, Login, Scram, ScramExchange, ScramFirst,
    ScramKeys,
};
use starttls::smtp::{Dialect, Domain, Smtp};
use starttls::{Channel, Error, Machine, Step, Tls, lmtp};
use starttls_fuzz::model::parameters::Offer;
use starttls_fuzz::model::receiver::Receiver as Model;
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
    let new = || Receiver::<C, D>::new(channel(), Domain::LOCALHOST, config(case));
    let (slow, end) = run(new(), case, &mut || 1);
    let mut choices = case.choices();
    let (cut, cut_end) = run(new(), case, &mut || choices.next().map_or(1, usize::from));
    let (whole, whole_end) = run(new(), case, &mut || usize::MAX);
    assert_eq!((&slow.trace, slow.consumed, end), (&cut.trace, cut.consumed, cut_end));
    assert_eq!((&slow.trace, slow.consumed, end), (&whole.trace, whole.consumed, whole_end));

    let mut choices = case.choices();
    let model = model(case).read(case.octets, &mut || is_yes(choices.next().unwrap_or_default()));
    assert_eq!(seen(&slow, end, !case.bit(1)), model);
    any_order(new(), case);
}

/// The settings besides dialect and channel, also from the first byte of choices.
fn config(case: &Case<'_>) -> Config {
    let limits = Limits::default()
        .with_size(case.bit(2).then_some(20))
        .with_recipients(3)
        .with_errors(case.settings >> 4)
        .with_commands(30);
    let more = case.calls[0];
    Config::from(limits)
        .with_authentication(match more & 3 {
            0 => Authentication::Offered,
            1 => Authentication::Required,
            _ => Authentication::None,
        })
        .with_scram(if more & 32 == 0 { Scram::None } else { Scram::Unbound })
        .with_dsn(more & 4 != 0)
        .with_smtp_utf8(more & 8 != 0)
        .with_require_tls(more & 16 != 0)
}

/// The same for the second implementation.
fn model(case: &Case<'_>) -> Model {
    let config = config(case);
    let tls = !case.bit(1);
    Model {
        lmtp: case.bit(0),
        tls,
        login: match config.authentication() {
            Authentication::None => None,
            authentication => Some(authentication == Authentication::Required),
        },
        scram: config.scram() != Scram::None,
        offer: Offer {
            size: config.limits().size(),
            auth: tls && config.authentication() != Authentication::None,
            dsn: config.dsn(),
            utf8: config.smtp_utf8(),
            require_tls: tls && config.require_tls(),
        },
        recipients: config.limits().recipients(),
        errors: config.limits().errors(),
        commands: config.limits().commands(),
    }
}

fn is_yes(choice: u8) -> bool {
    choice & 2 == 0 || choice & 1 == 0
}

fn answer(yes: bool) -> Answer<'static> {
    let (code, text) = if yes { (250, "2.0.0 Yes") } else { (550, "5.7.1 No") };
    Answer::new(code, text).expect("a code and a line")
}

/// The visible behaviour of a run, in the model's notation.
fn seen(run: &Run, end: End, greets: bool) -> Vec<String> {
    let mut seen: Vec<String> = run
        .trace
        .iter()
        .skip(usize::from(greets))
        .map(|entry| match entry {
            Entry::Wrote(reply) => String::from_utf8_lossy(&reply[..3]).into_owned(),
            Entry::Told(told) => told.clone(),
            Entry::Body(body) => format!("body {}", body.escape_ascii()),
            Entry::Failed(_) => "error".to_string(),
        })
        .collect();
    if end == End::Silence {
        seen.push("waiting".to_string());
    }
    seen
}

/// An event in the model's notation.
fn told(event: Event<'_>) -> String {
    let mut buffer = [0; Login::MAX];
    match event {
        Event::Received(line) => format!("said {}", line.as_untrusted_bytes().escape_ascii()),
        Event::Hello(name) => format!("hello {}", name.as_untrusted_bytes().escape_ascii()),
        Event::User(name) => {
            assert_eq!(format!("{event:?}"), "User(UserName(..))");
            let name = name.decode(&mut buffer);
            format!("user {}", name.map_or("malformed".into(), |name| format!("<{name}>")))
        }
        Event::Login(login) => {
            assert_eq!(format!("{event:?}"), "Login(Login(..))");
            match login.decode(&mut buffer).map(|c| (c.authorization, c.user, c.password)) {
                Ok((act_as, Some(user), password)) => {
                    format!("login <{act_as}> <{user}> <{password}>")
                }
                Ok((_, None, password)) => format!("login <{password}>"),
                Err(_) => "login malformed".to_string(),
            }
        }
        Event::ScramFirst(first) => {
            assert_eq!(format!("{event:?}"), "ScramFirst(ScramFirst(..))");
            let mut buffer = [0; ScramFirst::MAX];
            let (mut user, mut act_as) = ([0; 255], [0; 255]);
            first.decode(&mut buffer).map_or("scram malformed".into(), |start| {
                let user = start.user(&mut user).expect("checked");
                format!("scram <{}> <{user}>", start.authorization(&mut act_as).expect("checked"))
            })
        }
        Event::ScramFinal(_) => "scram final".to_string(),
        Event::Mail(mail) => format!("mail <{}> {}", mail.path.as_str(), mail.parameters),
        Event::Recipient(recipient) => {
            format!("recipient <{}> {}", recipient.path.as_str(), recipient.parameters)
        }
        Event::Message { index } => format!("message {index}"),
        Event::Refused { index } => format!("refused {index}"),
        Event::Discarded => "discarded".to_string(),
        Event::Reset => "reset".to_string(),
        Event::Quit => "quit".to_string(),
        event => panic!("a new event: {event:?}"),
    }
}

fn run<C: Channel, D: Dialect>(
    mut receiver: Receiver<'_, C, D>,
    case: &Case<'_>,
    chunk: &mut dyn FnMut() -> usize,
) -> (Run, End) {
    let mut choices = case.choices();
    let mut run = Run::default();
    let mut exchange = None;
    let end = run.over(&mut receiver, case.octets, None, chunk, |receiver, event, run| {
        match event {
            Event::Body(piece) => {
                assert!(!piece.is_empty());
                run.body(piece);
            }
            _ => run.trace.push(Entry::Told(told(event))),
        }
        match event {
            Event::Login(_) | Event::Mail(_) | Event::Recipient(_) | Event::Message { .. } => {
                let choice = choices.next().unwrap_or_default();
                if choice & 2 == 0 {
                    receiver.accept().expect("asked");
                } else {
                    let mut output = [0; 64];
                    let written = receiver.answer(answer(is_yes(choice)), &mut output);
                    let written = &output[..written.expect("64 bytes are enough")];
                    run.trace.push(Entry::Wrote(written.to_vec()));
                }
                Go::On
            }
            Event::ScramFirst(first) => {
                exchange = begin(first).filter(|_| is_yes(choices.next().unwrap_or_default()));
                let mut output = [0; 512];
                let written = match &exchange {
                    Some(exchange) => {
                        assert_eq!(receiver.accept(), Err(Error::OutOfOrder));
                        receiver.challenge(exchange, &mut output)
                    }
                    None => receiver.answer(answer(false), &mut output),
                };
                run.trace.push(Entry::Wrote(output[..written.expect("asked")].to_vec()));
                Go::On
            }
            Event::ScramFinal(last) => {
                let exchange = exchange.as_mut().expect("begun");
                assert!(exchange.verify(&last).is_err(), "a proof by chance");
                let mut output = [0; 512];
                assert_eq!(receiver.challenge(exchange, &mut output), Err(Error::OutOfOrder));
                let written = receiver.answer(answer(false), &mut output).expect("asked");
                run.trace.push(Entry::Wrote(output[..written].to_vec()));
                Go::On
            }
            Event::Quit => Go::Stop,
            _ => Go::On,
        }
    });
    if let Some(Entry::Failed(error)) = run.trace.last() {
        let mut output = [0; 64];
        let said = receiver.farewell(&mut output).expect("64 bytes are enough");
        assert!(!error.is_ours() && !output[..said].starts_with(b"2"));
    }
    (run, end)
}

/// An exchange with keys that no password has.
fn begin(first: ScramFirst<'_>) -> Option<ScramExchange> {
    let mut buffer = [0; ScramFirst::MAX];
    let keys = ScramKeys::new(b"salt", 4096, [1; 32], [2; 32]).expect("keys");
    first.decode(&mut buffer).ok()?.exchange(&keys, &[3; 18], &[]).ok()
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
            30 => receiver.answer(answer(true), &mut output[..9]).map(|_| panic!("9 bytes")),
            31 => {
                let said = receiver.farewell(&mut output).expect("64 bytes are enough");
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
                                Event::Login(_)
                                    | Event::ScramFirst(_)
                                    | Event::ScramFinal(_)
                                    | Event::Mail(_)
                                    | Event::Recipient(_)
                                    | Event::Message { .. }
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
