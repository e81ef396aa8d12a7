//! Certificates, running programs, and time limits.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};
use std::{fs, thread};

use starttls_tokio::ClientTls;
use tempfile::TempDir;
use test_identity::{Authority, Identity, provider};

/// How long a test waits for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A directory with the certificate of a CA, and a server's certificate and key.
pub(crate) struct Files {
    directory: TempDir,
    pub(crate) ca: Authority,
    pub(crate) server: Identity,
}

impl Files {
    /// The certificate is for `localhost` and its address.
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let ca = Authority::default();
        let server = ca.identity(["localhost", "127.0.0.1"]);
        let files = Self { directory, ca, server };
        files.write("ca.pem", &files.ca.pem());
        files.install(&files.server);
        files
    }

    /// Writes a certificate and its key to the server's files.
    pub(crate) fn install(&self, server: &Identity) {
        self.write("chain.pem", &server.pem());
        self.write("key.pem", &server.key_pem());
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("written");
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A client that trusts the CA.
    pub(crate) fn client(&self) -> ClientTls {
        ClientTls::trusting(self.ca.roots(), provider()).expect("roots")
    }

    /// A program that trusts the CA as its system's.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("SSL_CERT_FILE", self.path("ca.pem")).env_remove("SSL_CERT_DIR");
        command
    }
}

/// A running program, which is killed at the end of the test.
pub(crate) struct Running {
    child: Child,
    /// What it wrote to its standard error so far.
    said: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("started");
        let (said, stderr) = (Arc::default(), child.stderr.take().expect("a pipe"));
        let saying: Arc<Mutex<String>> = Arc::clone(&said);
        let reader = thread::spawn(move || {
            for line in BufReader::new(stderr).lines() {
                *saying.lock().expect("no panic") += &(line.expect("text") + "\n");
            }
        });
        Self { child, said, reader: Some(reader) }
    }

    /// Starts a program that prints the address on which it listens.
    pub(crate) fn listening(command: &mut Command) -> (Self, SocketAddr) {
        let mut running = Self::start(command);
        let mut line = String::new();
        let output = running.child.stdout.as_mut().expect("a pipe");
        BufReader::new(output).read_line(&mut line).expect("a line");
        let address = line.trim_end().parse();
        (running, address.unwrap_or_else(|_| panic!("an address: {line:?}")))
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.child.id().to_string()]).status();
        assert!(status.expect("kill runs").success());
    }

    /// Waits until the program says something.
    pub(crate) fn says(&self, words: &str) {
        let said = || self.said.lock().expect("no panic").contains(words);
        until(words, || said().then_some(()));
    }

    /// Waits for the end. Returns what the program wrote to its standard error.
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let status = until("the program to end", || self.child.try_wait().expect("a child"));
        self.reader.take().map(JoinHandle::join).transpose().expect("no panic");
        (status, self.said.lock().expect("no panic").clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Polls until there is a value.
#[track_caller]
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = look() {
            return value;
        }
        assert!(Instant::now() < end, "waited too long for {what}");
        sleep(Duration::from_millis(10));
    }
}

/// Runs a program to its end, and fails if that takes too long.
pub(crate) fn run(command: &mut Command) -> (ExitStatus, String, String) {
    let mut running = Running::start(command);
    let mut stdout = running.child.stdout.take().expect("a pipe");
    let reader = thread::spawn(move || {
        let mut said = String::new();
        stdout.read_to_string(&mut said).map(|_| said)
    });
    let (status, stderr) = running.wait();
    (status, reader.join().expect("no panic").expect("text"), stderr)
}
