//! A socket that follows a script, and a clock that advances only during waits.

use std::cell::Cell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use embedded_io::{ErrorKind, ErrorType};
use starttls::Error as Rule;
use starttls::mail::session::Fate;
use starttls::mail::{Address, Envelope};
use starttls_embedded::{Buffers, Error, Mailer, Receipt, Settings, Source};

use crate::through::{Failed, Through};

/// The next action of the peer.
#[derive(Clone, Debug)]
pub(crate) enum Turn {
    /// It sends these bytes.
    Says(Vec<u8>),
    /// It expects these bytes.
    Hears(Vec<u8>),
    /// It pauses for this many milliseconds.
    Thinks(u64),
    /// It closes the connection.
    Leaves,
    /// It resets the connection.
    Breaks,
    /// It sends nothing more.
    Sleeps,
}

pub(crate) fn says(text: &str) -> Turn {
    Turn::Says(text.into())
}

pub(crate) fn hears(text: &str) -> Turn {
    Turn::Hears(text.into())
}

/// The peer of a whole connection. `TLS` stands for the handshake.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) script: VecDeque<Turn>,
    /// How many bytes pass at once.
    pub(crate) chunk: usize,
    /// All received bytes.
    pub(crate) heard: Vec<u8>,
    now: Rc<Cell<u64>>,
}

impl Peer {
    pub(crate) fn new(script: &[Turn], chunk: usize) -> Self {
        let script = script.iter().cloned().collect();
        Self { script, chunk, heard: Vec::new(), now: Rc::default() }
    }

    pub(crate) fn clock(&self) -> Delay {
        Delay(Rc::clone(&self.now))
    }

    /// Whether a read would not block. The end counts too.
    fn ready(&mut self) -> bool {
        while let Some(Turn::Thinks(milliseconds)) = self.script.front_mut() {
            // The pause starts when the other end first looks.
            let now = self.now.get();
            if *milliseconds < 1 << 40 {
                *milliseconds += now + (1 << 40);
            }
            if now + (1 << 40) < *milliseconds {
                return false;
            }
            self.script.pop_front();
        }
        !matches!(self.script.front(), Some(Turn::Sleeps | Turn::Hears(_)))
    }

    fn hear(&mut self, octets: &[u8]) -> Result<usize, ErrorKind> {
        let octets = &octets[..octets.len().min(self.chunk)];
        let mut taken = 0;
        while taken < octets.len() {
            let rest = &octets[taken..];
            match self.script.front_mut() {
                Some(Turn::Hears(expected)) => {
                    let n = rest.len().min(expected.len());
                    assert_eq!(
                        rest[..n].escape_ascii().to_string(),
                        expected[..n].escape_ascii().to_string()
                    );
                    taken += n;
                    expected.drain(..n);
                    if expected.is_empty() {
                        self.script.pop_front();
                    }
                }
                Some(Turn::Breaks) if taken == 0 => return Err(ErrorKind::ConnectionReset),
                Some(Turn::Breaks) => break,
                // These bytes are not read any more.
                Some(Turn::Leaves | Turn::Sleeps) | None => taken = octets.len(),
                other => panic!("{} instead of {other:?}", rest.escape_ascii()),
            }
        }
        self.heard.extend_from_slice(&octets[..taken]);
        Ok(taken)
    }

    fn say(&mut self, buf: &mut [u8]) -> Result<usize, ErrorKind> {
        assert!(self.ready(), "no action of the script reads this: {:?}", self.script.front());
        match self.script.front_mut() {
            Some(Turn::Says(octets)) => {
                let n = octets.len().min(buf.len()).min(self.chunk);
                for (place, octet) in buf.iter_mut().zip(octets.drain(..n)) {
                    *place = octet;
                }
                if octets.is_empty() {
                    self.script.pop_front();
                }
                Ok(n)
            }
            Some(Turn::Breaks) => Err(ErrorKind::ConnectionReset),
            _ => Ok(0),
        }
    }
}

impl ErrorType for Peer {
    type Error = ErrorKind;
}

impl embedded_io::Read for Peer {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, ErrorKind> {
        self.say(buf)
    }
}

impl embedded_io::ReadReady for Peer {
    fn read_ready(&mut self) -> Result<bool, ErrorKind> {
        Ok(self.ready())
    }
}

impl embedded_io::Write for Peer {
    fn write(&mut self, buf: &[u8]) -> Result<usize, ErrorKind> {
        self.hear(buf)
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

impl embedded_io::WriteReady for Peer {
    fn write_ready(&mut self) -> Result<bool, ErrorKind> {
        Ok(true)
    }
}

impl embedded_io_async::Read for Peer {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, ErrorKind> {
        poll_fn(|_| if self.ready() { Poll::Ready(()) } else { Poll::Pending }).await;
        self.say(buf)
    }
}

impl embedded_io_async::Write for Peer {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, ErrorKind> {
        self.hear(buf)
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

/// Time advances only during waits.
#[derive(Clone)]
pub(crate) struct Delay(Rc<Cell<u64>>);

impl Delay {
    pub(crate) fn now(&self) -> u64 {
        self.0.get()
    }
}

impl embedded_hal::delay::DelayNs for Delay {
    fn delay_ns(&mut self, ns: u32) {
        self.0.set(self.0.get() + u64::from(ns) / 1_000_000);
    }
}

impl embedded_hal_async::delay::DelayNs for Delay {
    async fn delay_ns(&mut self, ns: u32) {
        self.0.set(self.0.get() + u64::from(ns) / 1_000_000);
    }
}

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return value;
        }
    }
}

pub(crate) const CHUNKS: [usize; 3] = [1, 7, usize::MAX];

pub(crate) const FROM: Address<'_> = address("sensor@example.org");

pub(crate) const fn address(text: &str) -> Address<'_> {
    match Address::new(text) {
        Ok(address) => address,
        Err(_) => panic!("not an address"),
    }
}

pub(crate) const fn envelope<'a>(to: &'a [Address<'a>]) -> Envelope<'a> {
    match Envelope::new(Some(FROM), to) {
        Ok(envelope) => envelope,
        Err(_) => panic!("no recipients"),
    }
}

pub(crate) type Outcome = Result<Receipt, Error<ErrorKind, Failed>>;

/// The result of a mail: the outcome, the fate, all bytes sent, and the time it took.
pub(crate) type Played = (Outcome, Fate, String, u64);

/// Sends one mail with the script in every way, and checks that the result is always the same.
pub(crate) fn play<const OUT: usize, M: Source>(
    script: &[Turn],
    settings: Settings<'_>,
    to: &[Address<'_>],
    message: impl Fn() -> M,
) -> Played {
    let mut played: Option<Played> = None;
    for chunk in CHUNKS {
        for asynchronous in [false, true] {
            let mut peer = Peer::new(script, chunk);
            let clock = peer.clock();
            let mut tls = Through::verified();
            let mut buffers = Buffers::<512, OUT>::new();
            let mut mailer =
                Mailer::new(&mut peer, &mut tls, &mut buffers, clock.clone()).with(settings);
            let outcome = if asynchronous {
                block_on(mailer.send_async(&envelope(to), message()))
            } else {
                mailer.send(&envelope(to), message())
            };
            let fate = mailer.fate();
            let now = (outcome, fate, peer.heard.escape_ascii().to_string(), clock.now());
            match &played {
                Some(before) => {
                    assert_eq!(
                        (&now.0, now.1, &now.2),
                        (&before.0, before.1, &before.2),
                        "{chunk} {asynchronous}"
                    );
                    // The ticks are longer on one side, and each counts as a whole.
                    assert!(now.3.abs_diff(before.3) <= 1000, "{} {}", now.3, before.3);
                }
                None => played = Some(now),
            }
        }
    }
    played.expect("played")
}

pub(crate) fn rule(outcome: &Outcome) -> Option<Rule> {
    outcome.as_ref().err().and_then(Error::protocol)
}

/// Sends one mail with the default settings and returns what the peer received.
pub(crate) fn send<const OUT: usize>(
    mut peer: Peer,
    mut tls: Through,
    asynchronous: bool,
) -> (Outcome, Fate, String) {
    let clock = peer.clock();
    let mut buffers = Buffers::<512, OUT>::new();
    let mut mailer = Mailer::new(&mut peer, &mut tls, &mut buffers, clock);
    let (to, message) = ([address("you@example.org")], &b"a\r\n"[..]);
    let outcome = if asynchronous {
        block_on(mailer.send_async(&envelope(&to), message))
    } else {
        mailer.send(&envelope(&to), message)
    };
    let fate = mailer.fate();
    (outcome, fate, peer.heard.escape_ascii().to_string())
}
