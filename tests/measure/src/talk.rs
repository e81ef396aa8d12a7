//! A dialogue with a machine, and other work of the programs that count instructions.

use std::hint::black_box;

use starttls::{Error, Machine, Step};

use crate::aligned;

/// The greeting of an SMTP server.
pub const SMTP_GREETING: &[u8] = aligned!(b"220 mail.example.org ESMTP\r\n");
/// The reply after which TLS starts.
pub const GO_AHEAD: &[u8] = aligned!(b"220 2.0.0 Ready to start TLS\r\n");
/// The reply to EHLO: 13 lines, 271 bytes.
pub const EHLO: &[u8] = aligned!(
    b"250-mail.example.org at your service\r\n\
    250-PIPELINING\r\n\
    250-SIZE 52428800\r\n\
    250-VRFY\r\n\
    250-ETRN\r\n\
    250-STARTTLS\r\n\
    250-AUTH PLAIN LOGIN CRAM-MD5 XOAUTH2\r\n\
    250-AUTH=PLAIN LOGIN\r\n\
    250-ENHANCEDSTATUSCODES\r\n\
    250-8BITMIME\r\n\
    250-DSN\r\n\
    250-CHUNKING\r\n\
    250 SMTPUTF8 REQUIRETLS LIMITS HELP 214\r\n"
);

/// What an SMTP server says before TLS, in three turns.
pub const TURNS: [&[u8]; 3] = [SMTP_GREETING, EHLO, GO_AHEAD];

const _: () = assert!(EHLO.len() == 271);

/// The ends of the reads of each turn.
pub type Cuts = Vec<Vec<usize>>;

/// Cuts each turn into reads of `piece` bytes.
pub fn cuts(turns: &[&[u8]], piece: usize) -> Cuts {
    let ends = |turn: &&[u8]| {
        let length = turn.len();
        (1..=length).filter(|end| end % piece == 0 || *end == length).collect()
    };
    turns.iter().map(ends).collect()
}

/// A client's dialogue. Returns whether its last event came with the last byte.
///
/// The step is behind a call, as in a program with more than one loop.
#[inline(never)]
pub fn talk<M: Machine>(
    machine: &mut M,
    turns: &[&[u8]],
    cuts: &Cuts,
    is_last: impl Fn(M::Event<'_>) -> bool,
) -> Result<bool, Error> {
    let mut output = [0; 512];
    for (turn, ends) in turns.iter().zip(cuts) {
        let mut start = 0;
        for end in ends {
            loop {
                let mut input = turn.get(start..*end).unwrap_or_default();
                let step = step(machine, &mut input, &mut output);
                start = end - input.len();
                match step {
                    Ok(Step::Read) => break,
                    Ok(Step::Write(n)) => drop(black_box(output.get(..n))),
                    Ok(Step::Event(event)) if is_last(event) => return Ok(input.is_empty()),
                    Ok(Step::Event(event)) => drop(black_box(event)),
                    Err(error) => return Err(error),
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
