//! Text through `connect` and `serve --backend`, with a fault in one of them: a side that sees a clean end has all data.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use crate::inject::{Fault, walk};
use crate::place::Place;
use crate::process::{Ended, PATIENCE, Server, end, starttls};

/// The text of each side, in a protocol whose server speaks first.
const GREETING: &str = "+OK hello\r\n";
/// The reply in place of an unreachable server.
const UNAVAILABLE: &[u8] = b"-ERR ";
const LENGTH: usize = 60_000;

fn text(of: char) -> String {
    String::from(of).repeat(LENGTH)
}

/// The data that arrived at a side, and whether it ended cleanly.
type Arrived = io::Result<Vec<u8>>;

/// Sends all its text while it reads to the end.
fn exchange(mut stream: TcpStream, says: String) -> Arrived {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut writer = stream.try_clone()?;
    let says = thread::spawn(move || {
        writer.write_all(says.as_bytes()).and_then(|()| writer.shutdown(Shutdown::Write))
    });
    let mut heard = Vec::new();
    let outcome = stream.read_to_end(&mut heard).map(|_| heard);
    // A socket reports a reset once: to the writer or to the reader; the other one sees an end.
    match says.join().expect("no panic") {
        Err(reset) if reset.kind() == io::ErrorKind::ConnectionReset => Err(reset),
        _ => outcome,
    }
}

/// A plaintext server, until its first client has sent something.
struct Backend {
    server: JoinHandle<Option<Arrived>>,
    /// No further client will connect.
    is_over: Arc<AtomicBool>,
}

/// Starts a backend; returns its address.
fn backend() -> (String, Backend) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    listener.set_nonblocking(true).expect("set");
    let is_over = Arc::new(AtomicBool::new(false));
    let over = Arc::clone(&is_over);
    let server = thread::spawn(move || {
        loop {
            match listener.accept() {
                Ok((stream, _)) => {
                    if let Some(arrived) = serve(stream) {
                        return Some(arrived);
                    }
                }
                // A fault may keep every client away.
                Err(_) if over.load(Ordering::Relaxed) => return None,
                Err(_) => thread::sleep(std::time::Duration::from_millis(2)),
            }
        }
    });
    (address, Backend { server, is_over })
}

/// Ignores a client that closes silently, or that is `serve` itself, which checks for TLS at its start.
fn serve(mut stream: TcpStream) -> Option<Arrived> {
    stream.set_nonblocking(false).expect("set");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    stream.write_all(GREETING.as_bytes()).ok()?;
    let mut first = [0];
    let spoke = stream.peek(&mut first).is_ok_and(|count| count > 0);
    (spoke && first != *b"C").then(|| exchange(stream, text('b')))
}

/// Ends the wait of a server without a client.
fn release(backend: Backend) -> Option<Arrived> {
    if !backend.server.is_finished() {
        thread::sleep(std::time::Duration::from_millis(50));
    }
    backend.is_over.store(true, Ordering::Relaxed);
    backend.server.join().expect("no panic")
}

/// A place with the client's text.
struct Scenario(Place);

impl Scenario {
    fn new() -> Self {
        let place = Place::new();
        fs::write(place.path("input"), text('c')).expect("written");
        Self(place)
    }

    fn serve(&self, backend: &str) -> Command {
        let [cert, key] = ["cert.pem", "key.pem"].map(|name| self.0.path(name));
        starttls(&[
            "serve",
            "pop3s",
            "--cert",
            &cert,
            "--key",
            &key,
            "--backend",
            backend,
            "--drain",
            "2",
        ])
    }

    fn connect(&self, port: &str) -> Command {
        let (ca, url) = (self.0.path("ca.pem"), format!("pop3s://localhost:{port}"));
        let mut command = starttls(&["connect", &url, "--ca", &ca, "--timeout", "20"]);
        let input = fs::File::open(self.0.path("input")).expect("a file");
        command.stdin(Stdio::from(input));
        command
    }

    fn listen(&self, port: &str) -> Command {
        let (ca, url) = (self.0.path("ca.pem"), format!("pop3s://localhost:{port}"));
        let place = ["--listen", "127.0.0.1:0", "--linger", "1", "--drain", "2", "--timeout", "20"];
        let mut command = starttls(&["connect", &url, "--ca", &ca]);
        command.args(place);
        command
    }
}

/// A side that saw a clean end has all data, or the reply for an unreachable server.
fn judge_side(arrived: &Arrived, whole: &str, about: impl std::fmt::Debug) {
    if let Ok(arrived) = arrived {
        let is_whole = arrived == whole.as_bytes();
        assert!(
            is_whole || arrived.is_empty() || arrived.starts_with(UNAVAILABLE),
            "{about:?}: {} bytes and a clean end",
            arrived.len()
        );
    }
}

/// The same for standard output, whose end is the exit code.
fn judge_output(ended: &Ended, about: Fault) {
    let whole = GREETING.to_owned() + &text('b');
    let code = ended.code();
    if code == 0 {
        let is_whole = ended.out == whole.as_bytes()
            || ended.out.starts_with(UNAVAILABLE)
            || about.is_of_a_reader_who_left();
        assert!(is_whole, "{about:?}: {} bytes", ended.out.len());
    } else {
        assert!(!ended.err.is_empty() || about.is_of("print"), "{about:?}: no word, {code}");
    }
}

const KINDS: [&str; 6] = ["receive", "send", "connect", "accept", "open", "print"];

fn walked(name: &str, run: impl Fn(Fault) -> bool) {
    let walked = walk(&KINDS, run);
    println!("{name}: {walked:?}");
    let faults: u64 = walked.iter().map(|(_, count)| count).sum();
    assert!(faults > 20, "{walked:?}");
}

#[test]
fn connect_reports_the_truth_at_each_fault() {
    let place = Scenario::new();
    walked("connect", |fault| {
        let (address, backend) = backend();
        let server = Server::start(place.serve(&address)).expect("it listens");
        let page = place.0.page();
        let mut command = place.connect(&server.port);
        page.inject(&mut command, Some(fault));
        let ended = end(command.spawn().expect("it starts"));
        judge_output(&ended, fault);
        if let Some(arrived) = release(backend) {
            judge_side(&arrived, &text('c'), fault);
        }
        server.stop().code();
        page.faults() > 0
    });
}

#[test]
fn serve_hides_no_end_at_each_fault() {
    let place = Scenario::new();
    walked("serve --backend", |fault| {
        let (address, backend) = backend();
        let page = place.0.page();
        let mut command = place.serve(&address);
        page.inject(&mut command, Some(fault));
        match Server::start(command) {
            Ok(server) => {
                let ended = end(place.connect(&server.port).spawn().expect("it starts"));
                judge_output(&ended, fault);
                if let Some(arrived) = release(backend) {
                    judge_side(&arrived, &text('c'), fault);
                }
                assert_eq!(server.stop().code(), 0, "{fault:?}");
            }
            Err(ended) => {
                let is_told = !ended.err.is_empty() || fault.is_of("print");
                assert!(ended.code() == 0 || is_told, "{fault:?}: {ended:?}");
                release(backend);
            }
        }
        page.faults() > 0
    });
}

#[test]
fn a_listening_connect_hides_no_end_at_each_fault() {
    let place = Scenario::new();
    walked("connect --listen", |fault| {
        let (address, backend) = backend();
        let server = Server::start(place.serve(&address)).expect("it listens");
        let page = place.0.page();
        let mut command = place.listen(&server.port);
        page.inject(&mut command, Some(fault));
        match Server::start(command) {
            Ok(front) => {
                let stream = TcpStream::connect(format!("127.0.0.1:{}", front.port));
                let heard = exchange(stream.expect("connected"), text('c'));
                judge_side(&heard, &(GREETING.to_owned() + &text('b')), fault);
                if let Some(arrived) = release(backend) {
                    judge_side(&arrived, &text('c'), fault);
                }
                assert_eq!(front.stop().code(), 0, "{fault:?}");
            }
            Err(ended) => {
                let is_told = !ended.err.is_empty() || fault.is_of("print");
                assert!(ended.code() == 0 || is_told, "{fault:?}: {ended:?}");
                release(backend);
            }
        }
        server.stop().code();
        page.faults() > 0
    });
}
