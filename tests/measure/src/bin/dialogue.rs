//! Repeats a client's dialogue up to the upgrade, for an instruction counter.
//!
//! usage: dialogue (whole|octets|idle-whole|idle-octets|scan) REPETITIONS

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Duration;

use starttls::smtp::{self, Domain};
use starttls::{Error, Machine, Policy, Step, client};
use starttls_measure::talk::{Cuts, TURNS, cuts};

/// Passes the server's replies to a machine, in chunks. Returns whether TLS may start.
#[inline(never)]
fn talk<M: Machine>(
    machine: &mut M,
    cuts: &Cuts,
    is_last: impl Fn(M::Event<'_>) -> bool,
) -> Result<bool, Error> {
    let mut output = [0; smtp::Client::MAX_OUTPUT];
    for (turn, ends) in black_box(&TURNS).iter().zip(cuts) {
        let mut start = 0;
        for end in ends {
            loop {
                let mut input = turn.get(start..*end).unwrap_or_default();
                let step = machine.step(&mut input, &mut output)?;
                start = end - input.len();
                match step {
                    Step::Read => break,
                    Step::Write(n) => drop(black_box(&output[..n])),
                    Step::Event(event) if is_last(event) => return Ok(input.is_empty()),
                    Step::Event(event) => drop(black_box(event)),
                }
            }
        }
    }
    Ok(false)
}

fn dialogue(cuts: &Cuts) -> Result<client::Upgrade, Error> {
    let mut client = smtp::Client::new(black_box(Domain::LOCALHOST), Policy::Required);
    talk(&mut client, cuts, |event| event == client::Event::UpgradeReady)?;
    client.into_upgrade(&[])
}

/// Always wants more input: measures the cost of the loop above, and of a call of a machine's step.
struct Idle;

impl Machine for Idle {
    type Event<'i> = client::Event<'i>;

    const MAX_INPUT: usize = 1;
    const MAX_OUTPUT: usize = 1;

    #[inline(never)]
    fn step<'i>(
        &mut self,
        input: &mut &'i [u8],
        _: &mut [u8],
    ) -> Result<Step<client::Event<'i>>, Error> {
        black_box(input.len());
        Ok(Step::Read)
    }

    fn end_of_input(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn timed_out(&mut self) -> Error {
        Error::TimedOut
    }

    fn wait(&self) -> Option<Duration> {
        None
    }
}

fn idle(cuts: &Cuts) -> bool {
    talk(&mut Idle, cuts, |event| event == client::Event::UpgradeReady) == Ok(false)
}

/// The minimal cost of finding the lines on this machine.
fn scan() -> usize {
    black_box(TURNS).iter().map(|turn| memchr::memchr_iter(b'\n', turn).count()).sum()
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, mode, repetitions] = arguments.as_slice() else { return ExitCode::FAILURE };
    let Ok(repetitions) = repetitions.parse::<u32>() else { return ExitCode::FAILURE };
    let (whole, octets) = (cuts(&TURNS, usize::MAX), cuts(&TURNS, 1));
    for _ in 0..repetitions {
        let done = match mode.as_str() {
            "whole" => dialogue(black_box(&whole)).is_ok(),
            "octets" => dialogue(black_box(&octets)).is_ok(),
            "idle-whole" => idle(black_box(&whole)),
            "idle-octets" => idle(black_box(&octets)),
            "scan" => scan() == 15,
            _ => false,
        };
        if !black_box(done) {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
