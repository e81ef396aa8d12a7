//! Opens connections to `starttls serve`, each of which sends EHLO and then stays silent, and measures the
//! server's memory for them.
//!
//! usage: idle PROGRAM CONNECTIONS             before TLS
//!        idle PROGRAM CONNECTIONS inside      inside TLS
//!
//! The PROGRAM `-` is the release build.

#[path = "../command.rs"]
#[expect(dead_code, reason = "shared with other programs")]
mod command;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, fs};

use starttls::Policy;
use starttls::mail::{Address, Envelope};
use starttls::smtp::{self, Domain};
use starttls_std::{ClientStream, ClientTls, Mailer, Settings, upgrade};

use command::{Failure, Server, program};

/// Connections that do not count: they trigger the server's one-time allocations.
const WARM_UP: usize = 100;

fn read_to(stream: &mut impl Read, last: &[u8]) -> Result<(), Failure> {
    let mut said = Vec::new();
    let mut piece = [0; 512];
    loop {
        let n = stream.read(&mut piece)?;
        said.extend_from_slice(&piece[..n]);
        let line = said.strip_suffix(b"\r\n").and_then(|text| text.rsplit(|o| *o == b'\n').next());
        match line {
            Some(line) if line.starts_with(last) => return Ok(()),
            _ if n == 0 => return Err(format!("closed: {}", said.escape_ascii()).into()),
            _ => {}
        }
    }
}

/// A client that waits.
enum Client {
    Plaintext(TcpStream),
    Encrypted(Box<ClientStream>),
}

impl Client {
    /// Connects, and says EHLO.
    fn open(port: u16, tls: Option<&ClientTls>) -> Result<Self, Failure> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        let mut client = match tls {
            None => {
                read_to(&mut stream, b"220 ")?;
                Self::Plaintext(stream)
            }
            Some(tls) => {
                let client = smtp::Client::new(Domain::LOCALHOST, Policy::Required);
                Self::Encrypted(Box::new(upgrade(stream, client, tls, "localhost")?))
            }
        };
        client.ask(b"EHLO idle.test\r\n", b"250 ")?;
        Ok(client)
    }

    fn ask(&mut self, command: &[u8], last: &[u8]) -> Result<(), Failure> {
        match self {
            Self::Plaintext(stream) => {
                stream.write_all(command)?;
                read_to(stream, last)
            }
            Self::Encrypted(stream) => {
                stream.write_all(command)?;
                read_to(stream, last)
            }
        }
    }
}

fn measure(program: PathBuf, connections: usize, inside: bool) -> Result<usize, Failure> {
    let server = Server::start(&program, &[])?;
    let tls = ClientTls::with_ca_pem(&fs::read(&server.ca)?)?;
    let open = |count: usize| -> Result<Vec<Client>, Failure> {
        (0..count).map(|_| Client::open(server.port, inside.then_some(&tls))).collect()
    };
    let warm = open(WARM_UP)?;
    let before = server.memory()?;
    let idle = open(connections)?;
    let each = server.memory()?.saturating_sub(before) / connections;

    // The idle connections do not keep an active one out.
    let mailer = Mailer::new(Settings::new("localhost", tls.clone()).with_port(server.port));
    let to = [Address::new("you@example.org")?];
    mailer.send(&Envelope::new(None, &to)?, &b"Subject: still there\r\n"[..])?;
    for mut client in warm.into_iter().chain(idle) {
        client.ask(b"QUIT\r\n", b"221 ")?;
    }
    Ok(each)
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().collect();
    let (path, connections, inside) = match &arguments[..] {
        [_, path, connections] => (path, connections, false),
        [_, path, connections, inside] if inside == "inside" => (path, connections, true),
        _ => {
            eprintln!("usage: idle PROGRAM CONNECTIONS [inside]");
            return ExitCode::FAILURE;
        }
    };
    let path = if path == "-" { program() } else { path.into() };
    let connections = connections.parse().map_err(Into::into);
    match connections.and_then(|connections| measure(path, connections, inside)) {
        Ok(each) => {
            println!("{each}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
