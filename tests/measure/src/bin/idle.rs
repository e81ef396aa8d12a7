//! Opens connections to `starttls serve`, each of which sends EHLO and then stays silent, and measures the
//! server's memory for them.
//!
//! usage: idle PROGRAM CONNECTIONS

use std::error::Error;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::{env, fs};

use starttls::mail::{Address, Envelope};
use starttls_std::{ClientTls, Mailer, Settings};

/// Connections that do not count: they trigger the server's one-time allocations.
const WARM_UP: usize = 100;

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Server {
    /// The process's private memory, in bytes.
    fn memory(&self) -> Result<usize, Box<dyn Error>> {
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.0.id()))?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Private_Dirty:"));
        let kib = line.and_then(|line| line.split_whitespace().next()).ok_or("no Private_Dirty")?;
        Ok(kib.parse::<usize>()? * 1024)
    }
}

fn read_to(stream: &mut TcpStream, last: &[u8]) -> Result<(), Box<dyn Error>> {
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

/// Opens connections, and keeps them open.
fn open(port: u16, connections: usize) -> Result<Vec<TcpStream>, Box<dyn Error>> {
    let mut streams = Vec::with_capacity(connections);
    for _ in 0..connections {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        read_to(&mut stream, b"220 ")?;
        stream.write_all(b"EHLO idle.test\r\n")?;
        streams.push(stream);
    }
    for stream in &mut streams {
        read_to(stream, b"250 ")?;
    }
    Ok(streams)
}

fn measure(program: &str, connections: usize) -> Result<usize, Box<dyn Error>> {
    let mut child = Command::new(program)
        .args(["serve", "smtp", "--require-tls", "--max-per-peer", "20000"])
        .stdout(Stdio::piped())
        .spawn()?;
    let output = child.stdout.take().ok_or("no output")?;
    let server = Server(child);
    let mut lines = BufReader::new(output).lines();
    let ca = lines.next().ok_or("no certificate")??;
    let ca = ca.strip_prefix("ca ").ok_or("no certificate")?;
    let listening = lines.next().ok_or("no port")??;
    let port = listening.rsplit(' ').next().ok_or("no port")?.parse()?;

    let warm = open(port, WARM_UP)?;
    let before = server.memory()?;
    let idle = open(port, connections)?;
    let each = server.memory()?.saturating_sub(before) / connections;

    // The idle connections do not keep an active one out.
    let mailer = Mailer::new(
        Settings::new("localhost", ClientTls::with_ca_pem(&fs::read(ca)?)?).with_port(port),
    );
    let to = [Address::new("you@example.org")?];
    mailer.send(&Envelope::new(None, &to)?, &b"Subject: still there\r\n"[..])?;
    for mut stream in warm.into_iter().chain(idle) {
        stream.write_all(b"QUIT\r\n")?;
        read_to(&mut stream, b"221 ")?;
    }
    if let Some(directory) = Path::new(ca).parent() {
        fs::remove_dir_all(directory)?;
    }
    Ok(each)
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().collect();
    let [_, program, connections] = &arguments[..] else {
        eprintln!("usage: idle PROGRAM CONNECTIONS");
        return ExitCode::FAILURE;
    };
    let connections = connections.parse().map_err(Into::into);
    match connections.and_then(|connections| measure(program, connections)) {
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
