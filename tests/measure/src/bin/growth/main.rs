//! How cost grows with the number of connections and with the size of a mail.
//!
//! usage: growth FILE
//!
//! Draws FILE, an SVG picture, and prints the points. The environment variable `STARTTLS_PROGRAMS` names the directory
//! of the built examples.

mod mails;
mod picture;

use std::error::Error;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::{env, fs};

use picture::{Line, Panel};

pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// The numbers of connections, both of whose ends are in one process.
const CONNECTIONS: [u32; 7] = [10, 30, 100, 300, 1000, 3000, 9900];

/// The sizes of mails, in bytes.
const SIZES: [usize; 6] = [1 << 10, 10 << 10, 100 << 10, 1 << 20, 10 << 20, 100 << 20];

/// The time of one connection with its mail in ms, and the memory of both its idle ends in KiB.
fn event_loop(connections: u32) -> Result<(f64, f64), Failure> {
    let programs = env::var("STARTTLS_PROGRAMS").map_err(|_| "STARTTLS_PROGRAMS is not set")?;
    let count = connections.to_string();
    let output = Command::new(Path::new(&programs).join("event-loop"))
        .args(["--figures", "--mails", &count, "--connections", &count])
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let figures = text.lines().nth(1).and_then(|line| line.split_once(' '));
    let (Some((time, memory)), true) = (figures, output.status.success()) else {
        return Err(format!("event-loop: {text}{}", String::from_utf8_lossy(&output.stderr)).into());
    };
    Ok((time.parse::<f64>()? / f64::from(connections), memory.parse::<f64>()? / 1024.0))
}

fn run(file: &str) -> Result<(), Failure> {
    let (mut time, mut memory) = (Vec::new(), Vec::new());
    for connections in CONNECTIONS {
        eprintln!("{connections} connections");
        let (each, kib) = event_loop(connections)?;
        time.push((f64::from(connections), each));
        memory.push((f64::from(connections), kib));
    }
    let [mut sends, mut takes, mut seals, mut opens] = [const { Vec::new() }; 4];
    let bench = mails::Bench::new()?;
    for size in SIZES {
        eprintln!("mails of {size} bytes");
        #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
        let kib = size as f64 / 1024.0;
        let (mail, tls) = (bench.mail(size)?, bench.tls(size)?);
        for (points, cost) in
            [(&mut sends, mail.0), (&mut takes, mail.1), (&mut seals, tls.0), (&mut opens, tls.1)]
        {
            points.push((kib, cost.as_secs_f64() * 1e6 / kib));
        }
    }
    let panels = [
        Panel::new(
            "time of a connection: TCP, TLS, a mail, both ends",
            "connections",
            "ms",
            vec![Line::new("event-loop", time)],
        ),
        Panel::new(
            "memory of an idle connection inside TLS, both ends",
            "connections",
            "KiB",
            vec![Line::new("event-loop", memory)],
        ),
        Panel::new(
            "sending a mail: time of the sender's CPU",
            "KiB",
            "µs/KiB",
            vec![
                Line::new("starttls-std", sends),
                Line::new("the same bytes over TLS alone", seals),
            ],
        ),
        Panel::new(
            "receiving a mail: time of the receiver's CPU",
            "KiB",
            "µs/KiB",
            vec![
                Line::new("starttls-std", takes),
                Line::new("the same bytes over TLS alone", opens),
            ],
        ),
    ];
    panels.iter().for_each(|panel| print!("{panel}"));
    fs::write(file, picture::draw(&panels)?)?;
    Ok(())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [file] = &arguments[..] else {
        eprintln!("usage: growth FILE");
        return ExitCode::FAILURE;
    };
    match run(file) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("growth: {error}");
            ExitCode::FAILURE
        }
    }
}
