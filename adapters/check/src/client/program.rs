//! The tested program: started, watched, and ended.

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Read};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::text::excerpt;

/// The most of a program's output that is kept, in bytes.
const MOST: u64 = 64 * 1024;

/// How often the program and the listener are looked at.
const TICK: Duration = Duration::from_millis(10);

/// How long connections may still come after the program has ended: another process may make them.
const AFTER: Duration = Duration::from_millis(100);

/// The values that stand in the command and in its environment.
pub(crate) struct Values<'a> {
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    pub(crate) ca: &'a str,
    pub(crate) user: &'a str,
    pub(crate) password: &'a str,
}

impl Values<'_> {
    fn pairs(&self) -> [(&'static str, String); 5] {
        [
            ("host", self.host.to_owned()),
            ("port", self.port.to_string()),
            ("ca", self.ca.to_owned()),
            ("user", self.user.to_owned()),
            ("password", self.password.to_owned()),
        ]
    }

    /// A word of the command with its `{host}` and the like replaced. A word that is not text has none.
    fn fill(&self, word: &OsString) -> OsString {
        let Some(text) = word.to_str() else { return word.clone() };
        let mut text = text.to_owned();
        for (name, value) in self.pairs() {
            text = text.replace(&format!("{{{name}}}"), &value);
        }
        text.into()
    }
}

/// A program that runs.
pub(crate) struct Program {
    child: Child,
    output: Vec<JoinHandle<Vec<u8>>>,
}

/// How a program ended.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    /// Its exit status as text; `None` if it had to be ended.
    pub(crate) status: Option<String>,
    /// Standard output and standard error.
    pub(crate) output: Vec<u8>,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.status.as_deref().unwrap_or("it did not end by itself");
        write!(f, "{status}; its output: {}", excerpt(&self.output))
    }
}

impl Program {
    /// Starts the command, with nothing on its standard input.
    pub(crate) fn start(command: &[OsString], values: &Values<'_>) -> io::Result<Self> {
        let (first, rest) = command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut command = Command::new(values.fill(first));
        command.args(rest.iter().map(|word| values.fill(word)));
        for (name, value) in values.pairs() {
            command.env(format!("STARTTLS_{}", name.to_uppercase()), value);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let output = [
            child.stdout.take().map(|pipe| thread::spawn(|| read(pipe))),
            child.stderr.take().map(|pipe| thread::spawn(|| read(pipe))),
        ];
        Ok(Self { child, output: output.into_iter().flatten().collect() })
    }

    fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Its end, by force if it still runs.
    fn end(mut self) -> Ended {
        let status = match self.child.try_wait() {
            Ok(Some(status)) => Some(status.to_string()),
            _ => {
                let _ = self.child.kill();
                let _ = self.child.wait();
                None
            }
        };
        // Another process may still have the pipes open; its output does not count.
        let until = Instant::now() + Duration::from_secs(1);
        while self.output.iter().any(|reader| !reader.is_finished()) && Instant::now() < until {
            thread::sleep(TICK);
        }
        let finished = self.output.into_iter().filter(JoinHandle::is_finished);
        let output = finished.flat_map(|reader| reader.join().unwrap_or_default()).collect();
        Ended { status, output }
    }
}

fn read(pipe: impl Read) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut pipe = pipe;
    let _ = pipe.by_ref().take(MOST).read_to_end(&mut kept);
    // The program must not wait for a full pipe.
    let _ = io::copy(&mut pipe, &mut io::sink());
    kept
}

/// Serves connections until the program has ended or its time is over, and ends it.
pub(crate) fn watch<V: Send + 'static>(
    mut program: Program,
    listeners: Vec<TcpListener>,
    patience: Duration,
    serve: impl Fn(usize, std::net::TcpStream) -> V + Send + Sync + Clone + 'static,
) -> io::Result<(Vec<V>, Ended)> {
    let over = Arc::new(AtomicBool::new(false));
    let mut accepting = Vec::new();
    for (number, listener) in listeners.into_iter().enumerate() {
        listener.set_nonblocking(true)?;
        let (over, serve) = (Arc::clone(&over), serve.clone());
        accepting.push(thread::spawn(move || {
            let mut visits = Vec::new();
            while !over.load(Ordering::SeqCst) {
                match listener.accept() {
                    Ok((socket, _)) if socket.set_nonblocking(false).is_ok() => {
                        let serve = serve.clone();
                        visits.push(thread::spawn(move || serve(number, socket)));
                    }
                    _ => thread::sleep(TICK),
                }
            }
            visits
        }));
    }
    let until = Instant::now() + patience;
    while !program.has_ended() && Instant::now() < until {
        thread::sleep(TICK);
    }
    let ended = program.end();
    thread::sleep(AFTER);
    over.store(true, Ordering::SeqCst);
    let visits = accepting.into_iter().flat_map(|thread| thread.join().unwrap_or_default());
    Ok((visits.filter_map(|visit| visit.join().ok()).collect(), ended))
}
