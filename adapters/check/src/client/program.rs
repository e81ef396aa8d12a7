//! The tested client: a program that is started, watched and ended, or a device.

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Read};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::link::{Kept, Link};
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
    pub(crate) crl: &'a str,
    pub(crate) user: &'a str,
    pub(crate) password: &'a str,
}

impl Values<'_> {
    fn pairs(&self) -> [(&'static str, String); 6] {
        [
            ("host", self.host.to_owned()),
            ("port", self.port.to_string()),
            ("ca", self.ca.to_owned()),
            ("crl", self.crl.to_owned()),
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

/// How a run ended for the client.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ended {
    /// Its exit status as text; `None` if it had to be ended, or is a device.
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
        // With all that it starts, so that all of it can be ended.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
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

    /// Ends it and what it has started.
    fn kill(&mut self) {
        #[cfg(unix)]
        if let Some(group) =
            i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw)
        {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = self.child.kill();
    }

    /// Its end, by force if it still runs.
    fn end(mut self) -> Ended {
        let status = match self.child.try_wait() {
            Ok(Some(status)) => Some(status.to_string()),
            _ => {
                self.kill();
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

/// When a run is over. Its time limits all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// The program has ended.
    Ended,
    /// After a first connection nothing was sent for so long.
    Quiet(Duration),
    /// After a first connection none is open, and none was for so long.
    Closed(Duration),
}

/// A socket that is served. It closes with its service, so that nothing else may keep it.
type Served = Arc<Mutex<Option<TcpStream>>>;

/// The connections of a run.
struct Connections<V> {
    visits: Vec<(JoinHandle<V>, Served)>,
    kept: Vec<Kept>,
}

impl<V> Connections<V> {
    fn is_open(&self) -> bool {
        self.visits.iter().any(|(visit, _)| !visit.is_finished())
    }

    /// Grows with everything that is sent on any of them.
    fn size(&self) -> usize {
        let size = |kept: &Kept| kept.lock().unwrap_or_else(PoisonError::into_inner).size();
        self.kept.iter().map(size).sum::<usize>() + self.kept.len()
    }
}

/// Tells when nothing has happened for some time.
struct Calm {
    size: usize,
    since: Instant,
}

impl Calm {
    fn has_lasted<V>(&mut self, connections: &Connections<V>, until: Until) -> bool {
        let (time, open) = match until {
            Until::Ended => return false,
            Until::Quiet(time) => (time, false),
            Until::Closed(time) => (time, connections.is_open()),
        };
        let size = connections.size();
        if open || size != self.size {
            (self.size, self.since) = (size, Instant::now());
        }
        size > 0 && self.since.elapsed() >= time
    }
}

/// What a run was for the servers: each connection, and whether it was still open when the run was over.
pub(crate) type Visits<V> = Vec<(V, bool)>;

/// Serves connections until the run is over, and ends the program. Without one, a device connects.
pub(crate) fn watch<V: Send + 'static>(
    mut program: Option<Program>,
    listeners: Vec<TcpListener>,
    patience: Duration,
    until: Until,
    stop: &AtomicBool,
    serve: impl Fn(usize, Link) -> V + Send + Sync + Clone + 'static,
) -> io::Result<(Visits<V>, Ended)> {
    let over = Arc::new(AtomicBool::new(false));
    let connections = Arc::new(Mutex::new(Connections { visits: Vec::new(), kept: Vec::new() }));
    let mut accepting = Vec::new();
    for (number, listener) in listeners.into_iter().enumerate() {
        listener.set_nonblocking(true)?;
        let (over, connections) = (Arc::clone(&over), Arc::clone(&connections));
        let serve = serve.clone();
        accepting.push(thread::spawn(move || {
            while !over.load(Ordering::SeqCst) {
                match listener.accept() {
                    Ok((socket, _)) => begin(&connections, number, socket, serve.clone()),
                    Err(_) => thread::sleep(TICK),
                }
            }
        }));
    }
    let end = Instant::now() + patience;
    let mut calm = Calm { size: 0, since: Instant::now() };
    while !program.as_mut().is_some_and(Program::has_ended)
        && !calm.has_lasted(&lock(&connections), until)
        && Instant::now() < end
        && !stop.load(Ordering::SeqCst)
    {
        thread::sleep(TICK);
    }
    let open: Vec<bool> =
        lock(&connections).visits.iter().map(|(visit, _)| !visit.is_finished()).collect();
    let is_device = program.is_none();
    let ended = program.map(Program::end).unwrap_or_default();
    thread::sleep(AFTER);
    over.store(true, Ordering::SeqCst);
    for thread in accepting {
        let _ = thread.join();
    }
    let visits = std::mem::take(&mut lock(&connections).visits);
    let open = open.into_iter().chain(std::iter::repeat(false));
    let ended_visits = visits.into_iter().zip(open).filter_map(|((visit, socket), open)| {
        // A program's connections ended with it.
        if let Some(socket) = lock(&socket).as_ref().filter(|_| is_device) {
            let _ = socket.shutdown(Shutdown::Both);
        }
        visit.join().ok().map(|visit| (visit, open))
    });
    Ok((ended_visits.collect(), ended))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serves a connection in a thread of its own.
fn begin<V: Send + 'static>(
    connections: &Mutex<Connections<V>>,
    number: usize,
    socket: TcpStream,
    serve: impl Fn(usize, Link) -> V + Send + 'static,
) {
    let served = Arc::new(Mutex::new(socket.try_clone().ok()));
    // It inherits from the listener on some systems.
    if socket.set_nonblocking(false).is_err() {
        return;
    }
    if let Ok(link) = Link::accepted(socket) {
        let mut connections = lock(connections);
        connections.kept.push(link.kept());
        let socket = Arc::clone(&served);
        let visit = thread::spawn(move || {
            let visit = serve(number, link);
            lock(&socket).take();
            visit
        });
        connections.visits.push((visit, served));
    }
}
