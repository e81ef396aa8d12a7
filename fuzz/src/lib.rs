//! The fuzz targets' common code: the form of an input, one step that checks the promises of every
//! machine, and comparable runs.

pub mod engine;
pub mod model;

use core::fmt::Debug;

use arbitrary::Arbitrary;
use starttls::smtp::{self, Domain};
use starttls::{Error, Machine, Plaintext, Policy, Step, Tls, Verification, client};

/// A fuzzer's input: 32 bytes of choices, then the peer's bytes unchanged.
///
/// The fixed head keeps dictionaries and recorded dialogues usable for the peer's bytes.
#[derive(Arbitrary, Debug)]
pub struct Case<'a> {
    /// Policies, dialects and the like, one bit each.
    pub settings: u8,
    /// The calls to make, and the sizes of chunks.
    pub calls: [u8; 31],
    /// The peer's bytes.
    pub octets: &'a [u8],
}

impl Case<'_> {
    /// One bit of the settings.
    #[must_use]
    pub const fn bit(&self, n: u8) -> bool {
        self.settings & (1 << n) != 0
    }

    /// The choices, repeated endlessly.
    pub fn choices(&self) -> impl Iterator<Item = u8> + '_ {
        self.calls.iter().copied().cycle()
    }
}

/// The actions of one run of a machine, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// [`Step::Write`].
    Wrote(Vec<u8>),
    /// An event, in its `Debug` form.
    Told(String),
    /// Bytes of a message, in pieces of any size.
    Body(Vec<u8>),
    /// The error that ended it.
    Failed(Error),
}

/// A run and its position in the peer's bytes.
#[derive(Debug, Default)]
pub struct Run {
    /// Its actions.
    pub trace: Vec<Entry>,
    /// The bytes consumed before each write.
    pub fences: Vec<usize>,
    /// The bytes consumed so far.
    pub consumed: usize,
    /// The bytes made available.
    pub available: usize,
}

/// Whether a run continues after an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Go {
    /// It continues.
    On,
    /// The machine is abandoned.
    Stop,
}

/// The end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// An event, by [`Go::Stop`].
    Event,
    /// There are no more bytes.
    Silence,
    /// An error.
    Failure,
}

const UNTOUCHED: u8 = 0xa5;

/// One step with an output buffer of `room` bytes. Checks the properties of every machine in every state, and
/// returns the written bytes.
///
/// # Panics
/// If a promise of [`Machine`] is broken.
pub fn step<'i, M: Machine>(
    machine: &mut M,
    input: &mut &'i [u8],
    room: usize,
) -> (Result<Step<M::Event<'i>>, Error>, Vec<u8>) {
    let (before, was_cut) = (*input, machine.is_cut());
    let mut output = vec![UNTOUCHED; room];
    let result = machine.step(input, &mut output);
    assert!(before.ends_with(input), "the input was moved elsewhere");
    let consumed = before.len() - input.len();
    assert_eq!(before[consumed..].as_ptr(), input.as_ptr(), "the input was replaced");
    match &result {
        Ok(Step::Write(n)) => {
            assert!((1..=room).contains(n), "{n} bytes written, {room} allowed");
            output.truncate(*n);
            return (result, output);
        }
        Err(Error::OutputTooSmall { needed }) => {
            assert!(*needed > room, "{needed} bytes fit into {room}");
            assert!(was_cut || consumed == 0, "a caller's error consumed input");
        }
        // A challenge may be longer than the guaranteed buffer size.
        Ok(Step::Read) => assert!(
            input.len() < M::MAX_INPUT || input.starts_with(b"334"),
            "a frame may never be complete"
        ),
        _ => assert!(
            output.iter().all(|octet| *octet == UNTOUCHED),
            "bytes outside the written part"
        ),
    }
    (result, Vec::new())
}

impl Run {
    /// A run that is shown everything from the start.
    #[must_use]
    pub fn showing(octets: &[u8]) -> Self {
        Self { available: octets.len(), ..Self::default() }
    }

    /// Runs a machine over the bytes, in chunks, until they end, an error or
    /// [`Go::Stop`]. With `fences` no byte is available before the write that it answers.
    ///
    /// # Panics
    /// If a promise of [`Machine`] is broken, or the machine loops.
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
        panic!("the machine loops");
    }

    /// Records an event.
    pub fn told(&mut self, event: impl Debug) {
        self.trace.push(Entry::Told(format!("{event:?}")));
    }

    /// Records a piece of a message; the pieces of one message form one entry.
    pub fn body(&mut self, piece: &[u8]) {
        match self.trace.last_mut() {
            Some(Entry::Body(all)) => all.extend_from_slice(piece),
            _ => self.trace.push(Entry::Body(piece.to_vec())),
        }
    }

    /// Compares a run in which the peer sent everything at once with this one, in which it waited
    /// for its turn: both are equal up to the first request whose answer had already arrived.
    ///
    /// # Panics
    /// If it continued after that, or differs before.
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

/// The number of further bytes to make available, in a run of calls in any order: mostly a line, so that
/// the peer waits for its turn, and sometimes too few or too many.
#[must_use]
pub fn feed(choice: u8, unseen: &[u8]) -> usize {
    const FEED: [usize; 7] = [0, 1, 2, 7, 64, 511, usize::MAX];
    let line = || unseen.iter().position(|octet| *octet == b'\n').map_or(unseen.len(), |n| n + 1);
    FEED.get(usize::from(choice >> 5)).copied().unwrap_or_else(line).min(unseen.len())
}

/// Checks that an error caused by the peer is final, and that one caused by the caller changed nothing.
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
        assert_eq!(before, format!("{machine:?}"), "a caller's error changed something");
        return;
    }
    let mut rest = input;
    let (again, _) = step(machine, &mut rest, M::MAX_OUTPUT);
    assert_eq!(again.err(), Some(error), "a failed machine continues");
    assert_eq!(rest.len(), input.len(), "a failed machine reads");
    assert_eq!(machine.end_of_input(), Err(error));
    assert_eq!(machine.timed_out(), error);
    assert_eq!(machine.wait(), None, "a failed machine waits");
}

/// One step by [`step`], in a run of calls in any order: an error must be final, or change
/// nothing.
///
/// # Panics
/// If not, or if a promise of [`Machine`] is broken.
pub fn observed_step<'i, M: Machine + Debug>(
    machine: &mut M,
    input: &mut &'i [u8],
    room: usize,
) -> (Result<Step<M::Event<'i>>, Error>, Vec<u8>) {
    let (before, was_cut, available) = (format!("{machine:?}"), machine.is_cut(), input.len());
    let (result, written) = step(machine, input, room);
    match result {
        // The rest of a truncated frame is dropped, and the input moved behind it, before the write that does not fit.
        Err(Error::OutputTooSmall { .. }) if input.len() < available => {
            assert!(was_cut && !machine.is_cut(), "a write that does not fit reads");
            // After that, the same call fails in the same way and changes nothing.
            let (before, rest) = (format!("{machine:?}"), *input);
            let (again, _) = step(machine, input, room);
            assert_eq!((again.as_ref().err(), input.len()), (result.as_ref().err(), rest.len()));
            assert_eq!(before, format!("{machine:?}"), "a caller's error changed something");
        }
        Err(error) => assert_lasting(machine, &before, error, input),
        Ok(_) => {}
    }
    (result, written)
}

/// A client's channel over TLS, after an upgrade.
///
/// # Panics
/// Never: the dialogue is fixed.
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

/// A client's channel deliberately without TLS.
///
/// # Panics
/// Never: the dialogue is fixed.
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

/// Checks that the written bytes are exactly one line, one multi-line reply, or the end of a message.
///
/// # Panics
/// If a line end is in the wrong place.
pub fn assert_lines(written: &[u8]) {
    if written == b"\r\n.\r\n" {
        return;
    }
    // Some protocols have lines without CR.
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
