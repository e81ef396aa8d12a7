//! Standard output and standard error. Either may be closed, full, or connected to a program that has stopped reading:
//! the work continues.
//!
//! A command that ends by itself writes its lines directly. A server calls [`queue`] first: from then on one thread
//! for each of the two writes them, and lines that find the queue full are dropped and counted.

use std::fmt;
use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::outcome::Failure;

/// The limit of waiting lines.
const QUEUE: usize = 4096;

/// The limit of lines a second of a server on standard error: peers cause them, and they may fill a disk.
const PER_SECOND: u32 = 1000;

/// The first error of standard output.
static FAILED: Mutex<Option<io::Error>> = Mutex::new(None);

/// Standard output and standard error of a server.
static QUEUES: OnceLock<[Queue; 2]> = OnceLock::new();

/// Prints a line of the result; [`result`] reports errors at the end.
macro_rules! out {
    ($($text:tt)*) => { $crate::out::line($crate::out::Stream::Out, format_args!($($text)*)) };
}

/// Prints a message for the user on standard error.
macro_rules! tell {
    ($($text:tt)*) => {
        $crate::out::line($crate::out::Stream::Err, format_args!("starttls: {}", format_args!($($text)*)))
    };
}

pub(crate) use {out, tell};

/// The destination of a line.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stream {
    Out,
    Err,
}

impl Stream {
    /// Writes directly, with colours only on a terminal.
    fn write(self, text: fmt::Arguments<'_>) {
        let written = match self {
            Self::Out => {
                let mut stdout = anstream::stdout().lock();
                writeln!(stdout, "{text}").and_then(|()| stdout.flush())
            }
            // An error here cannot be reported anywhere else.
            Self::Err => writeln!(anstream::stderr().lock(), "{text}").or(Ok(())),
        };
        if let Err(error) = written {
            failed(error);
        }
    }

    /// The replacement for dropped lines. On standard output it is machine-readable.
    fn dropped(self, count: u64) {
        match self {
            Self::Out => self.write(format_args!("dropped lines={count}")),
            Self::Err => self.write(format_args!(
                "starttls: {count} lines were dropped: more than {PER_SECOND} a second, or no process read standard error"
            )),
        }
    }
}

fn failed(error: io::Error) {
    FAILED.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
}

pub(crate) fn line(stream: Stream, text: fmt::Arguments<'_>) {
    match QUEUES.get() {
        Some(queues) => queues[stream as usize].push(text.to_string()),
        None => stream.write(text),
    }
}

/// Writes bytes unchanged, and waits for completion.
pub(crate) fn raw(octets: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(octets)?;
    stdout.flush()
}

/// The same for everything in a reader.
pub(crate) fn copy(from: &mut impl io::Read) -> io::Result<()> {
    io::copy(from, &mut io::stdout().lock()).map(drop)
}

/// Whether standard output is a terminal.
pub(crate) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// From now on lines are queued instead of waiting for their reader.
pub(crate) fn queue() {
    QUEUES.get_or_init(|| [Queue::start(Stream::Out), Queue::start(Stream::Err)]);
}

/// Gives the queued lines this much time.
pub(crate) fn drain(time: Duration) {
    let until = Instant::now() + time;
    for queue in QUEUES.get().into_iter().flatten() {
        queue.drain(until);
    }
}

/// Whether everything could be printed. A reader that stops early is not an error.
pub(crate) fn result() -> Result<(), Failure> {
    match FAILED.lock().unwrap_or_else(PoisonError::into_inner).take() {
        Some(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::local(format!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// The same for work that must not be repeated only because its result could not be printed: reports `what`.
pub(crate) fn forgive(what: &str) {
    if let Err(failure) = result() {
        tell!("{}; {what}", failure.message);
    }
}

/// The waiting lines.
struct Queue {
    lines: SyncSender<Item>,
    dropped: &'static AtomicU64,
    /// If lines are limited: the current second, and its number of lines.
    second: Option<Mutex<(Instant, u32)>>,
}

enum Item {
    Line(String),
    /// A marker: everything before it was written.
    Mark(SyncSender<()>),
}

impl Queue {
    fn start(stream: Stream) -> Self {
        static DROPPED: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];
        let dropped = &DROPPED[stream as usize];
        let (lines, queued) = sync_channel(QUEUE);
        // Without a thread, every line finds the queue closed and is counted as dropped.
        let _ = thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write_all(stream, dropped, &queued));
        // Lines of mails are the result, and each needs a mail.
        let second = matches!(stream, Stream::Err).then(|| Mutex::new((Instant::now(), 0)));
        Self { lines, dropped, second }
    }

    /// Whether this second allows one more line.
    fn has_room(&self) -> bool {
        let Some(second) = &self.second else { return true };
        let mut second = second.lock().unwrap_or_else(PoisonError::into_inner);
        if second.0.elapsed() >= Duration::from_secs(1) {
            *second = (Instant::now(), 0);
        }
        second.1 = second.1.saturating_add(1);
        second.1 <= PER_SECOND
    }

    fn push(&self, line: String) {
        if !self.has_room() || self.lines.try_send(Item::Line(line)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn drain(&self, until: Instant) {
        let (written, wait) = sync_channel(1);
        let mut mark = Item::Mark(written);
        // A full queue may drain.
        while let Err(TrySendError::Full(item)) = self.lines.try_send(mark) {
            if Instant::now() >= until {
                return;
            }
            mark = item;
            thread::sleep(Duration::from_millis(5));
        }
        let _ = wait.recv_timeout(until.saturating_duration_since(Instant::now()));
    }
}

fn write_all(stream: Stream, dropped: &AtomicU64, queued: &Receiver<Item>) {
    for item in queued {
        match item {
            Item::Line(line) => stream.write(format_args!("{line}")),
            Item::Mark(written) => drop(written.send(())),
        }
        let count = dropped.swap(0, Ordering::Relaxed);
        if count > 0 {
            stream.dropped(count);
        }
    }
}
