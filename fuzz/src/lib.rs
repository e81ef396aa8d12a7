//! What the fuzz targets share: how an input is read, one step that checks what every machine
//! promises, and runs that can be compared.

pub mod engine;
pub mod model;

use core::fmt::Debug;

use arbitrary::Arbitrary;
use starttls::smtp::{self, Domain};
use starttls::{Error, Machine, Plaintext, Policy, Step, Tls, Verification, client};

/// A fuzzer's input: 32 octets that choose, then what the peer sends, as it is.
///
/// The fixed head keeps the peer's octets where a dictionary and a recorded dialogue fit in.
#[derive(Arbitrary, Debug)]
pub struct Case<'a> {
    /// Policies, dialects and the like, one bit each.
    pub settings: u8,
    /// Which calls are made, and how large the chunks are.
    pub calls: [u8; 31],
    /// What the peer sends.
    pub octets: &'a [u8],
}

impl Case<'_> {
    /// One bit of the settings.
    #[must_use]
    pub const fn bit(&self, n: u8) -> bool {
        self.settings & (1 << n) != 0
    }

    /// The choices, over and over.
    pub fn choices(&self) -> impl Iterator<Item = u8> + '_ {
        self.calls.iter().copied().cycle()
    }
}

/// What one run of a machine did, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// [`Step::Write`].
    Wrote(Vec<u8>),
    /// An event, as its `Debug` shows it.
    Told(String),
    /// Octets of a message, in pieces of any size.
    Body(Vec<u8>),
    /// The error that ended it.
    Failed(Error),
}

/// A run and where it stands in what the peer sends.
#[derive(Debug, Default)]
pub struct Run {
    /// What it did.
    pub trace: Vec<Entry>,
    /// How much the machine had consumed at each write.
    pub fences: Vec<usize>,
    /// How much it has consumed now.
    pub consumed: usize,
    /// How much it was shown.
    pub available: usize,
}

/// Whether a run goes on behind an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Go {
    /// It does.
    On,
    /// The machine is to be given up.
    Stop,
}

/// What ended a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// An event, by [`Go::Stop`].
    Event,
    /// There are no more octets.
    Silence,
    /// An error.
    Failure,
}

const UNTOUCHED: u8 = 0xa5;

/// One step with room for `room` octets. Checks what holds for every machine in every state, and
/// returns what was written.
///
/// # Panics
/// If a promise of [`Machine`] is broken.
pub fn step<'i, M: Machine>(
    machine: &mut M,
    input: &mut &'i [u8],
    room: usize,
) -> (Result<Step<M::Event<'i>>, Error>, Vec<u8>) {
    let before = *input;
    let mut output = vec![UNTOUCHED; room];
    let result = machine.step(input, &mut output);
    assert!(before.ends_with(input), "the input was moved elsewhere");
    let consumed = before.len() - input.len();
    assert_eq!(before[consumed..].as_ptr(), input.as_ptr(), "the input is another one");
    match &result {
        Ok(Step::Write(n)) => {
            assert!((1..=room).contains(n), "{n} octets written, {room} allowed");
            output.truncate(*n);
            return (result, output);
        }
        Err(Error::OutputTooSmall { needed }) => {
            assert!(*needed > room, "{needed} octets fit into {room}");
            assert_eq!(consumed, 0, "an error of ours consumed input");
        }
        Ok(Step::Read) => assert!(input.len() < M::MAX_INPUT, "a frame may never be complete"),
        _ => assert!(output.iter().all(|octet| *octet == UNTOUCHED), "octets nobody will send"),
    }
    (result, Vec::new())
}

impl Run {
    /// A run that is shown everything from the start.
    #[must_use]
    pub fn showing(octets: &[u8]) -> Self {
        Self { available: octets.len(), ..Self::default() }
    }

    /// Runs a machine over the octets, in chunks, to the end of the octets, an error or
    /// [`Go::Stop`]. With `fences` no octet is shown before the write it answers.
    ///
    /// # Panics
    /// If a promise of [`Machine`] is broken, or the machine turns in circles.
    pub fn over<M: Machine>(
        &mut self,
        machine: &mut M,
        octets: &[u8],
        fences: Option<&[usize]>,
        mut chunk: impl FnMut() -> usize,
        mut act: impl FnMut(&mut M, M::Event<'_>, &mut Self) -> Go,
    ) -> End {
        for _ in 0..octets.len() * 8 + 1024 {
            let mut input = &octets[self.consumed..self.available];
            let (result, written) = step(machine, &mut input, M::MAX_OUTPUT);
            let consumed = self.available - input.len();
            match result {
                Ok(Step::Write(_)) => {
                    self.consumed = consumed;
                    self.fences.push(consumed);
                    self.trace.push(Entry::Wrote(written));
                }
                Ok(Step::Event(event)) => {
                    self.consumed = consumed;
                    if act(machine, event, self) == Go::Stop {
                        return End::Event;
                    }
                }
                Ok(Step::Read) => {
                    self.consumed = consumed;
                    let limit = fences
                        .and_then(|fences| fences.get(self.fences.len()).copied())
                        .unwrap_or(octets.len());
                    let next = self.available.saturating_add(chunk().max(1)).min(limit);
                    if next <= self.available {
                        return End::Silence;
                    }
                    self.available = next;
                }
                Err(error) => {
                    self.consumed = consumed;
                    self.trace.push(Entry::Failed(error));
                    return End::Failure;
                }
            }
        }
        panic!("the machine turns in circles");
    }

    /// Notes an event.
    pub fn told(&mut self, event: impl Debug) {
        self.trace.push(Entry::Told(format!("{event:?}")));
    }

    /// Notes a piece of a message; the pieces of one message make one entry.
    pub fn body(&mut self, piece: &[u8]) {
        match self.trace.last_mut() {
            Some(Entry::Body(all)) => all.extend_from_slice(piece),
            _ => self.trace.push(Entry::Body(piece.to_vec())),
        }
    }

    /// Holds a run in which the peer said everything at once against this one, in which it waited
    /// for its turn: equal up to the first request with an answer already there.
    ///
    /// # Panics
    /// If it went on from there, or differs before.
    pub fn assert_early(&self, early: &Self, octets: &[u8]) {
        let Some(answered) = self.fences.iter().position(|fence| *fence < octets.len()) else {
            return assert_eq!(self.trace, early.trace);
        };
        let writes = self.trace.iter().enumerate().filter(|(_, e)| matches!(e, Entry::Wrote(_)));
        let end = writes.map(|(n, _)| n).nth(answered).expect("as many writes as fences");
        let (last, before) = early.trace.split_last().expect("the error");
        assert_eq!(&self.trace[..end], before);
        assert_eq!(*last, Entry::Failed(Error::Unsolicited));
    }
}

/// How many octets to show more of, in a run of calls in any order: mostly a line, so that the peer
/// waits for its turn, and at times too few or too many.
#[must_use]
pub fn feed(choice: u8, unseen: &[u8]) -> usize {
    const FEED: [usize; 7] = [0, 1, 2, 7, 64, 511, usize::MAX];
    let line = || unseen.iter().position(|octet| *octet == b'\n').map_or(unseen.len(), |n| n + 1);
    FEED.get(usize::from(choice >> 5)).copied().unwrap_or_else(line).min(unseen.len())
}

/// Checks that an error of the peer's is final and that one of ours changed nothing.
///
/// # Panics
/// If not.
pub fn assert_lasting<M: Machine + Debug>(
    machine: &mut M,
    before: &str,
    error: Error,
    input: &[u8],
) {
    if error.is_ours() {
        assert_eq!(before, format!("{machine:?}"), "a mistake of the caller's changed something");
        return;
    }
    let mut rest = input;
    let (again, _) = step(machine, &mut rest, M::MAX_OUTPUT);
    assert_eq!(again.err(), Some(error), "a failed machine goes on");
    assert_eq!(rest.len(), input.len(), "a failed machine reads");
    assert_eq!(machine.end_of_input(), Err(error));
    assert_eq!(machine.timed_out(), error);
    assert_eq!(machine.wait(), None, "a failed machine waits");
}

/// One step as [`step`] does it, in a run of calls in any order: what fails must have failed for
/// good, or changed nothing.
///
/// # Panics
/// If not, or if a promise of [`Machine`] is broken.
pub fn observed_step<'i, M: Machine + Debug>(
    machine: &mut M,
    input: &mut &'i [u8],
    room: usize,
) -> (Result<Step<M::Event<'i>>, Error>, Vec<u8>) {
    let before = format!("{machine:?}");
    let (result, written) = step(machine, input, room);
    if let Err(error) = result {
        assert_lasting(machine, &before, error, input);
    }
    (result, written)
}

/// A client's channel over TLS, behind an upgrade.
///
/// # Panics
/// Never: the dialogue is a fixed one.
#[must_use]
pub fn upgraded(policy: Policy, verification: Verification) -> Tls {
    let mut client = smtp::Client::new(Domain::LOCALHOST, policy);
    let dialogue = b"220 a\r\n250-a\r\n250 STARTTLS\r\n220 go\r\n";
    Run::default().over(
        &mut client,
        dialogue,
        None,
        || 1,
        |_, event, _| match event {
            client::Event::UpgradeReady => Go::Stop,
            _ => Go::On,
        },
    );
    let upgrade = client.into_upgrade(&[]).expect("the go-ahead");
    upgrade.established(verification).expect("verified, or not required")
}

/// A client's channel without TLS, knowingly.
///
/// # Panics
/// Never: the dialogue is a fixed one.
#[must_use]
pub fn plaintext() -> Plaintext {
    let mut client = smtp::Client::new(Domain::LOCALHOST, Policy::Opportunistic);
    Run::default().over(
        &mut client,
        b"220 a\r\n250 a\r\n",
        None,
        || 1,
        |_, event, _| match event {
            client::Event::Plaintext(_) => Go::Stop,
            _ => Go::On,
        },
    );
    client.into_plaintext(&[]).expect("no upgrade")
}

/// Checks that what was written is one line, or one reply of many lines, or the end of a message,
/// and nothing else.
///
/// # Panics
/// If a line end stands where none belongs.
pub fn assert_lines(written: &[u8]) {
    if written == b"\r\n.\r\n" {
        return;
    }
    // Some have lines without CR.
    if let Some(line) = written.strip_suffix(b"\n").filter(|line| !line.contains(&b'\r')) {
        assert!(!line.is_empty() && !line.contains(&b'\n') && !line.contains(&0));
        return;
    }
    assert!(written.ends_with(b"\r\n"), "{}", written.escape_ascii());
    for line in written[..written.len() - 2].split(|octet| *octet == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        assert!(!line.is_empty() && line.iter().all(|o| !matches!(o, b'\r' | b'\n' | 0)));
    }
    let lf = written.iter().filter(|octet| **octet == b'\n').count();
    let crlf = written.windows(2).filter(|pair| pair == b"\r\n").count();
    assert_eq!(lf, crlf, "a bare LF in {}", written.escape_ascii());
}
