//! The server's state diagram, drawn by running the engine with a scripted grammar.

extern crate std;

use std::collections::{BTreeMap, BTreeSet};
use std::string::String;
use std::vec::Vec;
use std::{format, vec};

use core::time::Duration;

use super::state::{Command, Said, State, Then};
use super::{Config, Event, Grammar, Server};
use crate::diagram::{Diagram, Names, PAGE, guards, truths};
use crate::generated::assert_section;
use crate::wire::{Framing, Line, Writer};
use crate::{Error, Machine, Policy, Protocol, Step};

const NAMES: Names<4> = [
    ["required", "opportunistic"],
    ["TLS unavailable", "TLS available"],
    ["before hello", "after hello"],
    ["client may go on", "reply ends it"],
];

/// A framing in which every byte is a frame, except one that breaks a rule.
#[derive(Default)]
struct Octet;

const BROKEN: &[u8] = b"!";

impl Framing for Octet {
    const MAX_FRAME: usize = 1;

    fn next<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<&'i [u8]>, Error> {
        if input.starts_with(BROKEN) { Err(Error::Syntax) } else { Ok(input.split_off(..1)) }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reply;

/// A grammar that reads the command that the test sets, and ends the connection if the test says so.
struct Script(Command<Reply>, bool);

impl Grammar for Script {
    type Framing = Octet;
    type Reply = Reply;

    const PROTOCOL: Protocol = Protocol::SMTP;
    const MAX_OUTPUT: usize = 1;
    const HELLO_FIRST: bool = true;
    const WAIT: Duration = Duration::ZERO;

    fn command(&mut self, _: &[u8]) -> Command<Reply> {
        self.0
    }

    fn print(&self, _: Said<Reply>, _: bool, out: &mut Writer<'_>) {
        out.put(b"!");
    }

    fn ends(&self, _: Said<Reply>) -> bool {
        self.1
    }

    fn line(&self, _: Line<'_>, out: &mut Writer<'_>) {
        out.put(b"!");
    }
}

/// An input to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Happening {
    Command(Command<Reply>),
    Broken,
    Step,
    Accept,
    Refuse,
    Answer,
    Unknown,
    EndOfInput,
    TimedOut,
    Upgrade(&'static [u8]),
    Plaintext,
}

fn all() -> Vec<Happening> {
    const OWN: Reply = Reply;
    let mut all: Vec<_> = [
        Command::Hello(OWN),
        Command::PlainHello(OWN),
        Command::Harmless(OWN),
        Command::Plain(OWN),
        Command::Fault(OWN),
        Command::Upgrade,
        Command::Credentials,
        Command::Premature,
        Command::SkipUpgrade,
        Command::Unhandled,
        Command::Ignored,
        Command::Quit,
        Command::Foreign,
        Command::Malformed,
    ]
    .map(Happening::Command)
    .into();
    all.extend([
        Happening::Broken,
        Happening::Step,
        Happening::Accept,
        Happening::Refuse,
        Happening::Answer,
        Happening::Unknown,
        Happening::EndOfInput,
        Happening::TimedOut,
        Happening::Upgrade(b""),
        Happening::Upgrade(b"\x16"),
        Happening::Upgrade(b"x"),
        Happening::Plaintext,
    ]);
    all
}

/// The first word of `shown`, without what follows in brackets.
fn word(shown: &str) -> String {
    shown.split(['(', ' ']).next().map(String::from).expect("a word")
}

/// A state's name. For a reply, only the state after it counts.
fn name(state: State<Reply>) -> String {
    match state {
        State::Say(_, then) => format!("SayThen{}", word(&format!("{then:?}"))),
        _ => word(&format!("{state:?}")),
    }
}

/// The result of an input.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Way {
    cause: String,
    to: String,
    effect: String,
}

/// Applies an input. Returns `None` if it has no effect; the state is `None` if the server is consumed.
fn happen(
    state: State<Reply>,
    happening: Happening,
    [opportunistic, available, greeted, ends]: [bool; 4],
    max_errors: u8,
    max_commands: u16,
) -> Option<(Way, Option<State<Reply>>)> {
    let policy = if opportunistic { Policy::Opportunistic } else { Policy::Required };
    let command = match happening {
        Happening::Command(command) => command,
        _ => Command::Foreign,
    };
    let config = Config { policy, available, max_errors, max_commands };
    let fresh = Server::with_grammar(Script(command, ends), config);
    let mut server = Server { state, greeted, ..fresh };
    let waits = matches!(state, State::Await);
    let mut step = |mut input: &[u8]| match server.step(&mut input, &mut [0; 1]) {
        Ok(Step::Read) | Err(Error::OutOfOrder) => None,
        Ok(Step::Write(_)) => Some(String::from("written")),
        Ok(Step::Event(event @ (Event::UpgradeRequested | Event::UpgradeReady | Event::Quit))) => {
            Some(format!("{event:?} told"))
        }
        Ok(Step::Event(Event::Plaintext)) => Some(format!("{}, Plaintext told", word_of(command))),
        Ok(Step::Event(_)) | Err(_) => Some(word_of(command)),
    };
    let done = |outcome: Result<(), Error>| outcome.ok().map(|()| String::new());
    let cause = match happening {
        Happening::Command(_) => waits.then(|| step(b"x"))?,
        Happening::Broken => waits.then(|| step(BROKEN))?,
        Happening::Step => step(b""),
        Happening::Accept => done(server.accept()).map(|_| "accept".into()),
        Happening::Refuse => done(server.refuse()).map(|_| "refuse".into()),
        Happening::Answer => server
            .answer(&[Line::new("").expect("a line")], &mut [0; 1])
            .ok()
            .map(|_| "answer".into()),
        Happening::Unknown => done(server.unknown()).map(|_| "unknown".into()),
        Happening::EndOfInput => server.end_of_input().err().map(|_| String::new()),
        Happening::TimedOut => Some(server.timed_out()).map(|_| String::new()),
        Happening::Upgrade(unread) => {
            let what = match unread {
                [] => "nothing unread",
                [0x16, ..] => "TLS unread",
                _ => "anything else unread",
            };
            let outcome = server.into_upgrade(unread);
            return given_up(&format!("into_upgrade [{what}]"), "TLS", outcome);
        }
        Happening::Plaintext => {
            return given_up("into_plaintext", "WithoutTLS", server.into_plaintext());
        }
    }?;
    let effect = match server.state {
        State::Failed(error) => word(&format!("{error:?}")),
        State::Say(Said::Engine(answer), Then::Await) => format!("{answer:?}"),
        State::Say(Said::Grammar(Reply), _) => "its own reply".into(),
        _ => String::new(),
    };
    Some((Way { cause, to: name(server.state), effect }, Some(server.state)))
}

fn word_of(command: Command<Reply>) -> String {
    word(&format!("{command:?}"))
}

fn given_up<T>(
    cause: &str,
    to: &str,
    outcome: Result<T, Error>,
) -> Option<(Way, Option<State<Reply>>)> {
    let (to, effect) = match outcome {
        Ok(_) => (to, String::new()),
        Err(error) if error.is_ours() => return None,
        Err(error) => ("Failed", word(&format!("{error:?}"))),
    };
    Some((Way { cause: cause.into(), to: to.into(), effect }, None))
}

fn draw() -> String {
    let mut diagram = Diagram::default();
    let start = Server::with_grammar(Script(Command::Quit, false), Config::default()).state;
    diagram.edge("[*]", &name(start), "", "", "");
    let mut found = vec![start];
    let mut next = 0;
    while let Some(state) = found.get(next).copied() {
        next += 1;
        let from = name(state);
        if from != "Failed" {
            diagram.state(&from);
        }
        for happening in all() {
            let mut ways: BTreeMap<Way, BTreeSet<[bool; 4]>> = BTreeMap::new();
            for truth in truths() {
                let Some((mut way, reached)) = happen(state, happening, truth, u8::MAX, 1) else {
                    continue;
                };
                found.extend(reached.filter(|reached| !found.contains(reached)));
                let failed = matches!(state, State::Failed(_));
                assert!(!failed || reached.is_none_or(|reached| reached == state));
                let (strict, last) = happen(state, happening, truth, 0, 1).expect("as before");
                if strict != way {
                    way.effect += ", a mistake";
                    diagram.edge(&from, &strict.to, "one mistake too many", "", "TooManyErrors");
                    found.extend(last.filter(|reached| !found.contains(reached)));
                }
                if matches!(happening, Happening::Command(_)) {
                    let (last, reached) =
                        happen(state, happening, truth, 0, 0).expect("it is ended");
                    diagram.edge(&from, &last.to, "one command too many", "", "TooManyErrors");
                    found.extend(reached.filter(|reached| !found.contains(reached)));
                }
                ways.entry(way).or_default().insert(truth);
            }
            for (Way { cause, to, effect }, truths) in ways {
                let everywhere = match happening {
                    _ if from == "Failed" => continue,
                    Happening::Broken => "a frame that breaks a rule",
                    Happening::EndOfInput => "the end of the input",
                    Happening::TimedOut => "the end of the time",
                    _ => {
                        for guard in guards(NAMES, &truths) {
                            diagram.edge(&from, &to, &cause, &guard, &effect);
                        }
                        continue;
                    }
                };
                assert_eq!((to.as_str(), truths.len()), ("Failed", 16), "{state:?} {happening:?}");
                diagram.fails(everywhere, &from);
            }
        }
    }
    diagram.text()
}

#[test]
fn the_page_shows_the_states() {
    assert_section(PAGE, "server states", &draw());
}
