//! Processes that must end by themselves.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

/// More time than any process needs, even on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The binary.
pub(crate) fn starttls(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_starttls"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A process's output, and how it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
}

impl Ended {
    /// Whether it ended without a panic or a signal.
    pub(crate) fn code(&self) -> i32 {
        let code = self.status.code().unwrap_or(101);
        assert!(code != 101 && !self.err.contains("panicked"), "{self:?}");
        code
    }
}

/// Waits for a process.
pub(crate) fn end(mut child: Child) -> Ended {
    let (out, err) = (all(child.stdout.take()), all(child.stderr.take()));
    let status = wait(&mut child);
    let err = String::from_utf8_lossy(&err.join().expect("read")).into_owned();
    Ended { status, out: out.join().expect("read"), err }
}

/// Reads a pipe; empty if another thread reads it.
fn all(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut octets = Vec::new();
        if let Some(mut pipe) = pipe {
            pipe.read_to_end(&mut octets).expect("read");
        }
        octets
    })
}

fn wait(child: &mut Child) -> ExitStatus {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().expect("a child") {
            return status;
        }
        if Instant::now() > until {
            let _ = child.kill();
            panic!("it does not end");
        }
        sleep(Duration::from_millis(2));
    }
}

pub(crate) fn signal(child: &Child, name: &str) {
    let kill = Command::new("kill").args(["-s", name, &child.id().to_string()]).status();
    assert!(kill.expect("it starts").success(), "{name}");
}

/// A server that has printed where it listens.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) port: String,
}

impl Server {
    /// Starts it; returns its end if it exited, or did not print where it listens.
    pub(crate) fn start(mut command: Command) -> Result<Self, Ended> {
        let mut child = command.spawn().expect("it starts");
        let lines = BufReader::new(child.stdout.take().expect("piped"));
        let (said, hears) = channel();
        thread::spawn(move || {
            for line in lines.lines() {
                let line = line.expect("a line");
                if let Some(place) = line.strip_prefix("listening ") {
                    let port = place.split_whitespace().last().expect("a port");
                    let _ = said.send(port.to_owned());
                }
            }
        });
        match hears.recv_timeout(Duration::from_secs(3)) {
            Ok(port) => Ok(Self { child, port }),
            Err(_) => {
                if child.try_wait().expect("a child").is_none() {
                    signal(&child, "TERM");
                }
                Err(end(child))
            }
        }
    }

    /// Ends it as a user does.
    pub(crate) fn stop(self) -> Ended {
        signal(&self.child, "TERM");
        end(self.child)
    }

    /// Ends it as the system may.
    pub(crate) fn kill(self) -> Ended {
        signal(&self.child, "KILL");
        end(self.child)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}
