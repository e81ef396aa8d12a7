//! The memory of large mails and of connections that wait.
//!
//! usage: memory send BYTES | serve BYTES       prints how many bytes more `starttls send` or `starttls serve`
//!                                              needs at its peak for a mail of this size than for a small one
//!        memory before client | server         prints the heap of a connection of starttls-rustls that waits
//!        memory inside client | server         the same inside TLS
//!
//! `send` and `serve` measure the release build of the command, in the directory that `STARTTLS_PROGRAMS` names.

#[path = "../command.rs"]
#[expect(dead_code, reason = "shared with other programs")]
mod command;

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use std::{env, fs, thread};

use rustls::ALL_VERSIONS;
use starttls::smtp::{self, Domain};
use starttls::{Policy, server};
use starttls_rustls::{Client, ClientTls, Connection, Engine, Event, Server, Step};
use test_identity::Authority;

use command::{Failure, peak, program};

static LIVE: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Relaxed);
        // SAFETY: the caller upholds the same contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller upholds the same contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The heap that a value releases.
fn held<T>(value: T) -> usize {
    let before = LIVE.load(Relaxed);
    drop(value);
    before - LIVE.load(Relaxed)
}

/// Moves all waiting bytes from one connection to the other. Returns whether there were any.
fn carry<A: Engine, B: Engine>(from: &mut Connection<A>, to: &mut Connection<B>) -> bool {
    let mut moved = false;
    while !from.to_send().is_empty() {
        let room = to.receive_buffer();
        let n = room.len().min(from.to_send().len());
        room[..n].copy_from_slice(&from.to_send()[..n]);
        to.received(n);
        from.sent(n);
        moved = true;
    }
    moved
}

/// Steps until the connection waits. Breaks off where a server is asked for TLS if it is not to be `inside`.
fn settle<E: Engine>(
    connection: &mut Connection<E>,
    is_up: &mut bool,
    mut act: impl FnMut(&mut Connection<E>),
) -> Result<(), Failure> {
    loop {
        act(connection);
        if *is_up {
            match connection.read()? {
                Step::Event(_) => {}
                _ => return Ok(()),
            }
            continue;
        }
        match connection.step()? {
            Step::Event(Event::Established(_)) => *is_up = true,
            Step::Event(_) => {}
            _ => return Ok(()),
        }
    }
}

/// The heap of a server and of a client that wait for each other.
fn waiting(inside: bool) -> Result<[usize; 2], Failure> {
    let ca = Authority::default();
    let server_tls = Arc::new(ca.identity(["localhost"]).server());
    let client_tls = ClientTls::new(Arc::new(ca.client(ALL_VERSIONS)));
    let machine = smtp::Server::new(Domain::LOCALHOST, server::Config::default());
    let mut server = Server::new(machine, Arc::clone(&server_tls));
    let machine = smtp::Client::new(Domain::LOCALHOST, Policy::Required);
    let mut client = Client::new(machine, &client_tls, "localhost".try_into()?);
    let mut up = [false; 2];
    loop {
        settle(&mut server, &mut up[0], |server| drop(server.accept()))?;
        settle(&mut client, &mut up[1], |_| {})?;
        // The greeting is enough before TLS.
        let moved = carry(&mut server, &mut client);
        if !inside {
            break;
        }
        if !(carry(&mut client, &mut server) | moved) {
            assert_eq!(up, [true; 2]);
            break;
        }
    }
    if !inside {
        // Each has consumed all, and receives until nothing is left.
        settle(&mut client, &mut up[1], |_| {})?;
        client.sent(usize::MAX);
    }
    assert!(!server.receive_buffer().is_empty() && !client.receive_buffer().is_empty());
    Ok([held(server), held(client)])
}

/// A message of lines.
fn message(size: usize) -> Vec<u8> {
    let mut message = b"From: me@a.test\r\nTo: you@b.test\r\n\r\n".to_vec();
    let line = [&[b'x'; 76][..], b"\r\n"].concat();
    while message.len() + line.len() <= size.max(200) {
        message.extend_from_slice(&line);
    }
    message
}

/// Sends a file with the command, and returns its peak of memory.
fn send(server: &command::Server, file: &Path) -> Result<usize, Failure> {
    let url = format!("smtp://localhost:{}", server.port);
    let mut child = Command::new(program())
        .args(["send", "--json", "--server", &url, "--to", "you@b.test", "--ca"])
        .args([&server.ca, file])
        .stdout(Stdio::null())
        .spawn()?;
    let mut most = 0;
    while child.try_wait()?.is_none() {
        most = peak(&child).map_or(most, |peak| peak.max(most));
        thread::sleep(Duration::from_micros(500));
    }
    if child.wait()?.success() { Ok(most) } else { Err("the mail was not sent".into()) }
}

/// How much more memory the sender and the server need for a large mail than for a small one.
fn large(size: usize) -> Result<[usize; 2], Failure> {
    let directory = env::temp_dir().join(format!("starttls-memory-{}", std::process::id()));
    fs::create_dir_all(&directory)?;
    let inbox = directory.join("inbox");
    let deliver = inbox.to_str().ok_or("not UTF-8")?;
    let limit = (size + 1024).to_string();
    let measured = || -> Result<[usize; 2], Failure> {
        let server =
            command::Server::start(&program(), &["--deliver", deliver, "--max-size", &limit])?;
        let file = directory.join("mail");
        fs::write(&file, message(1000))?;
        let small = [send(&server, &file)?, server.peak()?];
        fs::write(&file, message(size))?;
        let large = [send(&server, &file)?, server.peak()?];
        Ok([0, 1].map(|which| large[which].saturating_sub(small[which])))
    };
    let measured = measured();
    fs::remove_dir_all(directory)?;
    measured
}

fn run(arguments: &[&str]) -> Result<usize, Failure> {
    let which = |[server, client]: [usize; 2], name: &str| match name {
        "client" => Ok(client),
        "server" => Ok(server),
        _ => Err(USAGE.into()),
    };
    match arguments {
        ["send", size] => Ok(large(size.parse()?)?[0]),
        ["serve", size] => Ok(large(size.parse()?)?[1]),
        ["before", name] => which(waiting(false)?, name),
        ["inside", name] => which(waiting(true)?, name),
        _ => Err(USAGE.into()),
    }
}

const USAGE: &str = "usage: memory send | serve BYTES
       memory before | inside client | server";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(bytes) => {
            println!("{bytes}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
