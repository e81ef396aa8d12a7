//! A dialogue with a machine, and other work of the programs that count instructions.

use std::hint::black_box;

use starttls::{Error, Machine, Step};

/// A client's dialogue: each reply in one read, or in reads of `piece` bytes.
///
/// The step is behind a call, as in a program with more than one loop.
#[inline(never)]
pub fn talk<M: Machine>(
    machine: &mut M,
    turns: &[&[u8]],
    piece: usize,
    is_last: impl Fn(M::Event<'_>) -> bool,
) -> Result<bool, Error> {
    let mut output = [0; 512];
    for turn in turns {
        let (mut start, mut end) = (0, 0);
        while end < turn.len() {
            end = turn.len().min(end + piece);
            loop {
                let mut input = turn.get(start..end).unwrap_or_default();
                let step = step(machine, &mut input, &mut output)?;
                start = end - input.len();
                match step {
                    Step::Read => break,
                    Step::Write(n) => drop(black_box(output.get(..n))),
                    Step::Event(event) if is_last(event) => return Ok(input.is_empty()),
                    Step::Event(event) => drop(black_box(event)),
                }
            }
        }
    }
    Ok(false)
}

#[inline(never)]
fn step<'i, M: Machine>(
    machine: &mut M,
    input: &mut &'i [u8],
    output: &mut [u8],
) -> Result<Step<M::Event<'i>>, Error> {
    machine.step(input, output)
}

/// Finds the line ends, by memchr. Returns whether there are as many as expected.
pub fn scan(turns: &[&[u8]], lines: usize) -> bool {
    turns.iter().map(|turn| memchr::memchr_iter(b'\n', black_box(turn)).count()).sum::<usize>()
        == lines
}

/// Repeats the work until it fails. Returns whether it never did.
pub fn repeat(repetitions: usize, work: impl Fn() -> bool) -> bool {
    (0..repetitions).all(|_| black_box(work()))
}
