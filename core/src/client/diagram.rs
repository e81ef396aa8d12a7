//! The client's state diagram, drawn by running the engine with a scripted grammar.

extern crate std;

use std::collections::{BTreeMap, BTreeSet};
use std::string::String;
use std::{format, vec};

use core::time::Duration;

use super::state::{Phase, Reply, State};
use super::{Client, Event, Grammar};
use crate::diagram::{Diagram, Names, PAGE, guards, truths};
use crate::generated::assert_section;
use crate::wire::{Framing, Writer};
use crate::{Error, Machine, Policy, Protocol, Step};

const NAMES: Names<6> = [
    ["not offered", "offered"],
    ["required", "opportunistic"],
    ["no fallback", "fallback"],
    ["quiet", "chatty"],
    ["has go-ahead", "no go-ahead"],
    ["all asked", "more to ask"],
];

/// The first byte of a frame that is not complete.
const PART: u8 = b'.';

/// A framing in which every byte is a frame.
#[derive(Default)]
struct Octet;

impl Framing for Octet {
    const MAX_FRAME: usize = 1;

    fn next<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<&'i [u8]>, Error> {
        Ok(if input.first() == Some(&PART) { None } else { input.split_off(..1) })
    }
}

/// A grammar that returns what the test sets.
struct Script<const FALLBACK: bool, const CHATTY: bool, const SILENT: bool> {
    reply: Result<Reply, Error>,
    offered: bool,
    asks_on: bool,
}

impl<const FALLBACK: bool, const CHATTY: bool, const SILENT: bool> Grammar
    for Script<FALLBACK, CHATTY, SILENT>
{
    type Framing = Octet;

    const PROTOCOL: Protocol = Protocol::SMTP;
    const MAX_OUTPUT: usize = 1;
    const HAS_FALLBACK: bool = FALLBACK;
    const IS_CHATTY: bool = CHATTY;
    const HAS_GO_AHEAD: bool = !SILENT;

    fn reply(&mut self, _: Phase, _: &[u8]) -> Result<Reply, Error> {
        self.reply
    }

    fn unasked(&mut self, _: &[u8]) -> Result<Reply, Error> {
        self.reply
    }

    fn offers_upgrade(&self) -> bool {
        self.offered
    }

    fn asks_on(&self, phase: Phase) -> bool {
        phase == Phase::Capabilities && self.asks_on
    }

    fn request(&self, _: Phase, out: &mut Writer<'_>) {
        out.put(b"?");
    }

    fn wait(&self, _: Phase) -> Duration {
        Duration::ZERO
    }
}

/// An input to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    More,
    Yes,
    No,
    NotNow,
    Refused,
    Never,
    Closing,
    Step,
    Broken,
    Unread,
    EndOfInput,
    TimedOut,
    Upgrade,
    UpgradeUnread,
    Plaintext,
    PlaintextUnread,
}

use Happening::*;

const ALL: [Happening; 16] = [
    More,
    Yes,
    No,
    NotNow,
    Refused,
    Never,
    Closing,
    Step,
    Broken,
    Unread,
    EndOfInput,
    TimedOut,
    Upgrade,
    UpgradeUnread,
    Plaintext,
    PlaintextUnread,
];

/// A state's name with its phase, but without other data.
fn name(state: State) -> String {
    let shown = format!("{state:?}");
    match state {
        State::Await(_) | State::Ask(_) | State::Listen(_) => shown.replace(['(', ')'], ""),
        _ => shown.split('(').next().map(String::from).expect("a name"),
    }
}

/// The result of an input.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Way {
    cause: String,
    to: String,
    effect: String,
}

/// Applies an input. Returns `None` if it has no effect; the state is `None` if the client is consumed.
fn happen<const FALLBACK: bool, const CHATTY: bool, const SILENT: bool>(
    state: State,
    happening: Happening,
    [offered, opportunistic, .., asks_on]: [bool; 6],
) -> Option<(Way, Option<State>)> {
    let policy = if opportunistic { Policy::Opportunistic } else { Policy::Required };
    let reply = match happening {
        More => Ok(Reply::More),
        Yes => Ok(Reply::Yes),
        No => Ok(Reply::No),
        NotNow => Ok(Reply::NotNow),
        Refused => Ok(Reply::Refused),
        Never => Ok(Reply::Never),
        Closing => Ok(Reply::Closing),
        _ => Err(Error::Syntax),
    };
    let grammar = Script::<FALLBACK, CHATTY, SILENT> { reply, offered, asks_on };
    let mut client = Client { state, ..Client::with_grammar(grammar, policy) };
    let waits = match state {
        State::Await(_) => true,
        State::Ask(_) | State::Listen(_) => CHATTY,
        _ => false,
    };
    let asks = matches!(state, State::Ask(_));
    let before = state;
    let mut step = |mut input: &[u8]| match client.step(&mut input, &mut [0; 1]) {
        Ok(Step::Read) if client.state != before => Some(String::from("part of a frame")),
        Ok(Step::Read) | Err(Error::OutOfOrder) => None,
        Ok(Step::Write(_)) => Some(String::from("request written")),
        Ok(Step::Event(Event::Received(_))) | Err(_) => Some(format!("{happening:?}")),
        Ok(Step::Event(event)) => Some(format!("{event:?} told").replace(['(', ')'], " ")),
    };
    let cause = match happening {
        More | Yes | No | NotNow | Refused | Never | Closing | Broken => {
            waits.then(|| step(b"x"))?
        }
        Unread => asks.then(|| step(&[PART]))?,
        Happening::Step => step(b""),
        EndOfInput => client.end_of_input().err().map(|_| String::new()),
        TimedOut => Some(client.timed_out()).map(|_| String::new()),
        Upgrade => {
            return given_up("into_upgrade [nothing unread]", "TLS", client.into_upgrade(b""));
        }
        UpgradeUnread => {
            return given_up("into_upgrade [unread]", "TLS", client.into_upgrade(b"x"));
        }
        Plaintext => {
            let outcome = client.into_plaintext(b"");
            return given_up("into_plaintext [nothing unread]", "WithoutTLS", outcome);
        }
        PlaintextUnread => {
            let outcome = client.into_plaintext(b"x");
            return given_up("into_plaintext [unread]", "WithoutTLS", outcome);
        }
    }?;
    let effect = match client.state {
        State::Failed(error) => format!("{error:?}"),
        _ => String::new(),
    };
    Some((Way { cause, to: name(client.state), effect }, Some(client.state)))
}

fn given_up<T>(cause: &str, to: &str, outcome: Result<T, Error>) -> Option<(Way, Option<State>)> {
    let (to, effect) = match outcome {
        Ok(_) => (to, String::new()),
        Err(error) if error.is_ours() => return None,
        Err(error) => ("Failed", variant(error)),
    };
    Some((Way { cause: cause.into(), to: to.into(), effect }, None))
}

/// An error's name without its data.
fn variant(error: Error) -> String {
    format!("{error:?}").split(' ').next().map(String::from).expect("a name")
}

fn draw() -> String {
    let mut diagram = Diagram::default();
    let grammar =
        Script::<true, true, false> { reply: Ok(Reply::More), offered: false, asks_on: false };
    let start = Client::with_grammar(grammar, Policy::Required).state;
    diagram.edge("[*]", &name(start), "", "", "");
    let mut found = vec![start];
    let mut next = 0;
    while let Some(state) = found.get(next).copied() {
        next += 1;
        let from = name(state);
        if from != "Failed" {
            diagram.state(&from);
        }
        for happening in ALL {
            let mut ways: BTreeMap<Way, BTreeSet<[bool; 6]>> = BTreeMap::new();
            for truth in truths::<6>() {
                let lead = match truth {
                    [.., false, false, false, _] => happen::<false, false, false>,
                    [.., false, true, false, _] => happen::<false, true, false>,
                    [.., true, false, false, _] => happen::<true, false, false>,
                    [.., true, true, false, _] => happen::<true, true, false>,
                    [.., false, false, true, _] => happen::<false, false, true>,
                    [.., false, true, true, _] => happen::<false, true, true>,
                    [.., true, false, true, _] => happen::<true, false, true>,
                    [.., true, true, true, _] => happen::<true, true, true>,
                };
                let Some((way, reached)) = lead(state, happening, truth) else { continue };
                ways.entry(way).or_default().insert(truth);
                found.extend(reached.filter(|reached| !found.contains(reached)));
                let failed = matches!(state, State::Failed(_));
                assert!(!failed || reached.is_none_or(|reached| reached == state));
            }
            for (Way { cause, to, effect }, truths) in ways {
                let everywhere = match happening {
                    _ if from == "Failed" => continue,
                    Broken => "a frame that breaks a rule",
                    Unread if to == "Failed" => "anything unread before the request, if quiet",
                    EndOfInput => "the end of the input",
                    TimedOut => "the end of the time",
                    _ => {
                        for guard in guards(NAMES, &truths) {
                            diagram.edge(&from, &to, &cause, &guard, &effect);
                        }
                        continue;
                    }
                };
                let all = match (happening, state) {
                    (Unread, _) | (Broken, State::Ask(_) | State::Listen(_)) => 32,
                    _ => 64,
                };
                assert_eq!((to.as_str(), truths.len()), ("Failed", all), "{state:?} {happening:?}");
                diagram.fails(everywhere, &from);
            }
        }
    }
    diagram.text()
}

#[test]
fn the_page_shows_the_states() {
    assert_section(PAGE, "client states", &draw());
}
