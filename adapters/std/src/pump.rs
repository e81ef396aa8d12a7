use std::ops::ControlFlow;

use starttls::{Machine, Step, Untrusted};

use crate::{Error, Observer};

/// How many octets make a write worth its system call: one TLS record.
pub const FULL: usize = 16 * 1024;

/// How much of the last thing said an error can quote.
const QUOTE: usize = 512;

/// What drives a machine, but for reading and writing: the part that every loop has alike.
#[derive(Debug)]
pub struct Pump {
    pending: Vec<u8>,
    said: Vec<u8>,
    secret: bool,
    quotes: bool,
}

/// What a loop does next.
#[derive(Debug)]
pub enum Turn<T> {
    /// Send what is pending, then receive more.
    Receive,
    /// Send what is pending, and go on.
    Send,
    /// `on_event` broke; what is pending was said before.
    Done(T),
    /// The machine failed; what is pending are its last words.
    Failed(starttls::Error),
}

impl Pump {
    /// Nothing is said yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { pending: Vec::new(), said: Vec::new(), secret: false, quotes: true }
    }

    /// Runs a machine as far as `input` leads, whose start moves past what was consumed.
    ///
    /// # Errors
    /// Those of `on_event`.
    pub fn run<M: Machine, T>(
        &mut self,
        machine: &mut M,
        input: &mut &[u8],
        observer: &mut dyn Observer,
        is_secret: &impl Fn(M::Event<'_>) -> bool,
        on_event: &mut impl FnMut(&mut M, M::Event<'_>, &mut Vec<u8>) -> Result<ControlFlow<T>, Error>,
    ) -> Result<Turn<T>, Error> {
        while !self.is_full() {
            let filled = *input;
            let start = self.pending.len();
            self.pending.resize(start + M::MAX_OUTPUT, 0);
            let step = machine.step(input, &mut self.pending[start..]);
            let written = if let Ok(Step::Write(n)) = step { n } else { 0 };
            self.pending.truncate(start + written);
            let consumed = &filled[..filled.len() - input.len()];
            if !consumed.is_empty() {
                self.remember(consumed);
                match step {
                    Ok(Step::Event(event))
                        if is_secret(event) && !consumed.trim_ascii().is_empty() =>
                    {
                        observer.credential(consumed.len());
                    }
                    _ => observer.received(consumed),
                }
            }
            match step {
                Ok(Step::Event(event)) => {
                    if let ControlFlow::Break(value) = on_event(machine, event, &mut self.pending)?
                    {
                        return Ok(Turn::Done(value));
                    }
                }
                Ok(Step::Write(_)) => {}
                Ok(Step::Read) => return Ok(Turn::Receive),
                Err(error) => return Ok(Turn::Failed(error)),
            }
        }
        Ok(Turn::Send)
    }

    /// Said, and not sent.
    #[must_use]
    pub fn pending(&self) -> &[u8] {
        &self.pending
    }

    /// Says octets of the caller's.
    pub fn say(&mut self, octets: &[u8]) {
        self.pending.extend_from_slice(octets);
    }

    /// Whether so much is pending that it should be sent.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.pending.len() >= FULL
    }

    /// Everything pending was sent, or never will be. Keeps no memory.
    pub fn sent(&mut self, observer: &mut dyn Observer) {
        let sent = std::mem::take(&mut self.pending);
        match (sent.is_empty(), self.secret) {
            (true, _) => {}
            (false, true) => observer.withheld(sent.len()),
            (false, false) => observer.sent(&sent),
        }
    }

    /// Errors will not say what the peer said: a client may have said its password.
    pub const fn never_quote(&mut self) {
        self.quotes = false;
    }

    /// From now on, whether what is sent carries a credential.
    pub const fn set_secret(&mut self, secret: bool) {
        self.secret = secret;
    }

    /// A machine's error, with the last thing that the peer said.
    #[must_use]
    pub fn protocol(&self, error: starttls::Error) -> Error {
        Error::Protocol { error, said: Untrusted::new(self.said.trim_ascii_end()).to_string() }
    }

    fn remember(&mut self, consumed: &[u8]) {
        if self.quotes {
            self.said.clear();
            self.said.extend_from_slice(&consumed[..consumed.len().min(QUOTE)]);
        }
    }
}

impl Default for Pump {
    fn default() -> Self {
        Self::new()
    }
}
