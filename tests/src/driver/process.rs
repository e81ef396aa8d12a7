//! The driver: a program that answers each line with a line.

use std::ffi::OsString;
use std::fmt;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;

/// The longest line of a driver, in bytes.
const MAX_LINE: u64 = 1 << 20;

/// What the tested side does next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It waits for its peer.
    #[default]
    Wait,
    /// It starts TLS.
    Upgrade,
    /// It goes on without TLS.
    Plaintext,
    /// It has closed the connection.
    Closed,
}

/// The answer to one line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The bytes that it sent.
    #[serde(default, deserialize_with = "latin_1")]
    pub out: Vec<u8>,
    /// With [`State::Upgrade`]: the received bytes that it passes to TLS.
    #[serde(default, deserialize_with = "latin_1")]
    pub early: Vec<u8>,
    /// What it does next.
    #[serde(default)]
    pub state: State,
    /// Its own word for an error, which is only displayed.
    pub error: Option<String>,
    /// Inside TLS: what it has learned from its peer, in its own words. Bytes from before TLS must not change it.
    pub knows: Option<String>,
    /// In the answer to `start`: why it cannot play the row.
    pub skip: Option<String>,
}

fn latin_1<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    let text = Option::<String>::deserialize(from)?.unwrap_or_default();
    let byte = |one: char| u8::try_from(u32::from(one));
    text.chars()
        .map(byte)
        .collect::<Result<_, _>>()
        .map_err(|_| serde::de::Error::custom("bytes are characters from U+0000 to U+00FF"))
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broken {
    /// It did not answer in time, and was ended.
    Hung,
    /// It ended.
    Ended(String),
    /// Its line is no answer.
    Malformed(String),
    /// It printed this line without a question.
    Unasked(String),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hung => write!(f, "the driver did not answer in time"),
            Self::Ended(how) => write!(f, "the driver ended: {how}"),
            Self::Unasked(line) => {
                write!(f, "the driver printed a line without a question: {line}")
            }
            Self::Malformed(why) => write!(f, "the driver's answer cannot be read: {why}"),
        }
    }
}

/// A driver, which is started when it is needed.
#[derive(Debug)]
pub struct Process {
    command: Vec<OsString>,
    patience: Duration,
    running: Option<Running>,
    /// The number of answers that did not come.
    silent: u32,
    /// Why it cannot be started.
    broken: Option<String>,
}

/// So many answers that do not come are enough.
const MAX_SILENT: u32 = 5;

#[derive(Debug)]
struct Running {
    child: Child,
    /// Open as long as there are rows.
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Process {
    /// A driver by its command, which is not empty, and the time that it has for each answer.
    #[must_use]
    pub const fn new(command: Vec<OsString>, patience: Duration) -> Self {
        Self { command, patience, running: None, silent: 0, broken: None }
    }

    /// Why there is no use in further rows, if there is none: the driver cannot be started, or never answers.
    #[must_use]
    pub fn is_hopeless(&self) -> Option<String> {
        let silent = (self.silent >= MAX_SILENT).then(|| {
            let seconds = self.patience.as_secs();
            format!("the driver did not answer {MAX_SILENT} times within {seconds} s")
        });
        self.broken.clone().or(silent)
    }

    /// Sends a line, and waits for the answer.
    ///
    /// # Errors
    /// If there is none. The driver is ended then, and the next call starts it again.
    pub fn ask(&mut self, message: &Value) -> Result<Answer, Broken> {
        let answered = self.exchange(message);
        if answered == Err(Broken::Hung) {
            self.silent += 1;
        }
        if answered.is_err() {
            self.end();
        }
        answered
    }

    fn exchange(&mut self, message: &Value) -> Result<Answer, Broken> {
        if self.running.is_none() {
            let started = self.start();
            self.broken = started.as_ref().err().map(ToString::to_string);
            self.running = Some(started?);
        }
        let running = self.running.as_mut().expect("just started");
        if let Ok(line) = running.lines.try_recv() {
            let line = line.trim_end();
            return Err(Broken::Unasked(line.to_owned()));
        }
        let mut input = running.input.as_ref().expect("open");
        let sent = writeln!(input, "{message}").and_then(|()| input.flush());
        let received = running.lines.recv_timeout(self.patience);
        match received {
            Ok(line) => serde_json::from_str(&line)
                .map_err(|error| Broken::Malformed(format!("{error}: {}", line.trim_end()))),
            Err(RecvTimeoutError::Timeout) if sent.is_ok() => Err(Broken::Hung),
            Err(_) => {
                let _ = running.child.kill();
                let status = running.child.wait();
                Err(Broken::Ended(
                    status.map_or_else(|e| e.to_string(), |status| status.to_string()),
                ))
            }
        }
    }

    fn start(&self) -> Result<Running, Broken> {
        let (program, arguments) = self.command.split_first().expect("a command");
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| {
            Broken::Ended(format!("{} cannot be started: {error}", program.display()))
        })?;
        let input = child.stdin.take();
        let output = child.stdout.take().expect("a pipe");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let mut output = BufReader::new(output);
            while let Some(line) = line(&mut output) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Running { child, input, lines })
    }

    fn end(&mut self) {
        if let Some(mut running) = self.running.take() {
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
    }
}

impl Drop for Process {
    /// The driver sees the end of its input, and has the time of an answer to end.
    fn drop(&mut self) {
        let Some(running) = &mut self.running else { return };
        running.input = None;
        let until = Instant::now() + self.patience;
        while matches!(running.child.try_wait(), Ok(None)) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
        self.end();
    }
}

/// The next line, or the first bytes of one that is too long.
fn line(output: &mut BufReader<ChildStdout>) -> Option<String> {
    let mut line = Vec::new();
    output.take(MAX_LINE).read_until(b'\n', &mut line).ok()?;
    (!line.is_empty()).then(|| String::from_utf8_lossy(&line).into_owned())
}
