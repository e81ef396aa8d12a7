//! The cost of one mail to a client: a connection, STARTTLS, a handshake, a message of 1 KiB, QUIT.
//!
//! usage: one_mail std | hand REPETITIONS    sends mails, for an instruction counter
//!        one_mail system-calls std | hand   prints the system calls of a mail
//!        one_mail allocated std | hand      prints the bytes that a mail allocates
//!        one_mail cpu PAIRS                 prints the processor time of `std` as a multiple of `hand`
//!
//! The server is another process, so that nothing of it is counted.

use std::alloc::{GlobalAlloc, Layout, System};
use std::error::Error;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::{env, fs, io, ptr};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use starttls::mail::{Address, Envelope};
use starttls_std::{ClientTls, Mailer, Settings};
use test_identity::provider;

use starttls_measure::{Delays, HOST, by_hand, identity, message, serve};

type Failure = Box<dyn Error>;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Relaxed);
        // SAFETY: the caller upholds the same contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Relaxed);
        // SAFETY: the caller upholds the same contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller upholds the same contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A server in a process of its own.
struct Server {
    process: Child,
    port: u16,
    ca: Vec<u8>,
}

impl Server {
    fn start() -> Result<Self, Failure> {
        let mut process =
            Command::new(env::current_exe()?).arg("serve").stdout(Stdio::piped()).spawn()?;
        let output = process.stdout.take().ok_or("no output")?;
        let mut lines = BufReader::new(output).lines();
        let port = lines.next().ok_or("no port")??.parse()?;
        let mut ca = String::new();
        for line in lines {
            ca += &line?;
            ca.push('\n');
            if ca.ends_with("-----END CERTIFICATE-----\n") {
                break;
            }
        }
        Ok(Self { process, port, ca: ca.into_bytes() })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Serves until it is killed.
fn serve_alone() -> Result<(), Failure> {
    let (server, ca) = identity();
    let listener = TcpListener::bind((HOST, 0))?;
    print!("{}\n{}", listener.local_addr()?.port(), ca.pem());
    serve(&listener, server);
    Ok(())
}

/// A client that sends the same mail again and again.
enum Client {
    Std(Box<Mailer>),
    Hand(Arc<ClientConfig>),
}

impl Client {
    fn new(kind: &str, port: u16, ca: &[u8]) -> Result<Self, Failure> {
        Ok(match kind {
            "std" => {
                let tls = ClientTls::with_ca_pem(ca)?;
                Self::Std(Box::new(Mailer::new(Settings::new(HOST, tls).with_port(port))))
            }
            "hand" => {
                let mut roots = RootCertStore::empty();
                roots.add(CertificateDer::from_pem_slice(ca)?)?;
                let config = ClientConfig::builder_with_provider(provider())
                    .with_safe_default_protocol_versions()?
                    .with_root_certificates(roots)
                    .with_no_client_auth();
                Self::Hand(Arc::new(config))
            }
            _ => return Err(USAGE.into()),
        })
    }

    fn send(&self, port: u16, message: &[u8]) -> Result<(), Failure> {
        match self {
            Self::Std(mailer) => {
                let to = [Address::new("you@example.org")?];
                let envelope = Envelope::new(Some(Address::new("me@example.org")?), &to)?;
                mailer.send(&envelope, message)?;
                Ok(())
            }
            Self::Hand(tls) => by_hand((HOST, port), tls, message, Delays::NODELAY),
        }
    }
}

/// Sends mails to a server of another process: `send KIND PORT CA REPETITIONS`.
fn send(kind: &str, port: u16, ca: &[u8], repetitions: usize) -> Result<(), Failure> {
    let (client, message) = (Client::new(kind, port, ca)?, message());
    (0..repetitions).try_for_each(|_| client.send(port, &message))
}

/// The system calls of this program, started with these arguments.
fn system_calls(arguments: &[String]) -> Result<usize, Failure> {
    let mut command = Command::new(env::current_exe()?);
    command.args(arguments);
    // SAFETY: it only makes a system call, which is allowed between fork and exec.
    unsafe {
        command.pre_exec(|| match libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        });
    }
    let process = libc::pid_t::try_from(command.spawn()?.id())?;
    let mut stops = 0;
    loop {
        let mut status = 0;
        // SAFETY: `status` is a valid place.
        if unsafe { libc::waitpid(process, &raw mut status, 0) } < 0 {
            return Err(io::Error::last_os_error().into());
        }
        if libc::WIFEXITED(status) {
            let failed = libc::WEXITSTATUS(status) != 0;
            // A stop at the start of each call and one at its end.
            return if failed { Err("the client failed".into()) } else { Ok(stops / 2) };
        }
        let stopped_by = libc::WSTOPSIG(status);
        stops += usize::from(stopped_by == libc::SIGTRAP | 0x80);
        let signal = if stopped_by & !0x80 == libc::SIGTRAP { 0 } else { stopped_by };
        // SAFETY: the process is stopped, and these requests touch no memory of this one.
        let traced = unsafe {
            let options = libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_EXITKILL;
            libc::ptrace(libc::PTRACE_SETOPTIONS, process, ptr::null_mut::<u8>(), options);
            libc::ptrace(libc::PTRACE_SYSCALL, process, ptr::null_mut::<u8>(), signal)
        };
        if traced < 0 {
            return Err(io::Error::last_os_error().into());
        }
    }
}

/// The system calls of one mail: the difference of two runs excludes the program's start.
fn system_calls_of_a_mail(server: &Server, kind: &str) -> Result<usize, Failure> {
    let path = env::temp_dir().join(format!("one-mail-{}.pem", std::process::id()));
    fs::write(&path, &server.ca)?;
    let counted = |repetitions: usize| {
        let ca = path.display().to_string();
        let mut arguments = vec!["send".to_owned(), kind.to_owned(), server.port.to_string(), ca];
        arguments.push(repetitions.to_string());
        system_calls(&arguments)
    };
    let each = counted(10).and_then(|few| Ok((counted(110)? - few) / 100));
    fs::remove_file(path)?;
    each
}

/// The processor time of this process so far, in microseconds.
fn processor_time() -> Result<i64, Failure> {
    // SAFETY: all fields are numbers, for which zero is valid, and the pointer is valid.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        if libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) != 0 {
            return Err(io::Error::last_os_error().into());
        }
        usage
    };
    let sum = |time: libc::timeval| time.tv_sec * 1_000_000 + time.tv_usec;
    Ok(sum(usage.ru_utime) + sum(usage.ru_stime))
}

fn processor_time_ratio(server: &Server, pairs: usize) -> Result<f64, Failure> {
    let message = message();
    let clients = ["std", "hand"].map(|kind| Client::new(kind, server.port, &server.ca));
    let [std, hand] = clients;
    let clients = [std?, hand?];
    let mut times = [0; 2];
    for pair in 0..pairs + 20 {
        for turn in [pair % 2, 1 - pair % 2] {
            let start = processor_time()?;
            clients[turn].send(server.port, &message)?;
            // The first ones warm the caches.
            times[turn] += if pair < 20 { 0 } else { processor_time()? - start };
        }
    }
    Ok(times[0] as f64 / times[1] as f64)
}

const USAGE: &str = "usage: one_mail std | hand REPETITIONS
       one_mail system-calls | allocated std | hand
       one_mail cpu PAIRS";

fn run(arguments: &[&str]) -> Result<(), Failure> {
    match arguments {
        ["serve"] => serve_alone(),
        ["send", kind, port, ca, repetitions] => {
            send(kind, port.parse()?, &fs::read(ca)?, repetitions.parse()?)
        }
        ["system-calls", kind] => {
            println!("{}", system_calls_of_a_mail(&Server::start()?, kind)?);
            Ok(())
        }
        ["allocated", kind] => {
            let server = Server::start()?;
            let (client, message) = (Client::new(kind, server.port, &server.ca)?, message());
            client.send(server.port, &message)?;
            let before = ALLOCATED.load(Relaxed);
            client.send(server.port, &message)?;
            println!("{}", ALLOCATED.load(Relaxed) - before);
            Ok(())
        }
        ["cpu", pairs] => {
            println!("{:.3}", processor_time_ratio(&Server::start()?, pairs.parse()?)?);
            Ok(())
        }
        [kind, repetitions] => {
            let server = Server::start()?;
            send(kind, server.port, &server.ca, repetitions.parse()?)
        }
        _ => Err(USAGE.into()),
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
