//! Sends mails over loopback, alternating between `starttls-std` and a client written by hand, and
//! compares their times.
//!
//! usage: mails PAIRS MAX_RATIO

#[path = "../loopback.rs"]
mod loopback;

use std::error::Error;
use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustls::ALL_VERSIONS;
use starttls::mail::{Address, Envelope};
use starttls_std::{ClientTls, Mailer, Settings};
use test_identity::provider;

use loopback::{HOST, by_hand, identity, message, serve};

const WARM_UP: usize = 20;

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn measure(pairs: usize) -> Result<(Duration, Duration), Box<dyn Error>> {
    let (server, ca) = identity();
    let listener = TcpListener::bind((HOST, 0))?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || serve(&listener, server));

    let tls = Arc::new(ca.client(ALL_VERSIONS));
    let settings = Settings::new(HOST, ClientTls::trusting(ca.roots(), provider())?);
    let mailer = Mailer::new(settings.with_port(port));
    let to = [Address::new("you@example.org")?];
    let envelope = Envelope::new(Some(Address::new("me@example.org")?), &to)?;
    let message = message();

    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for n in 0..WARM_UP + pairs {
        // The first one alternates.
        for turn in [n % 2 == 0, n % 2 != 0] {
            let start = Instant::now();
            if turn {
                mailer.send(&envelope, message.as_slice())?;
            } else {
                by_hand(port, &tls, &message)?;
            }
            if n >= WARM_UP {
                if turn { &mut ours } else { &mut theirs }.push(start.elapsed());
            }
        }
    }
    Ok((median(&mut ours), median(&mut theirs)))
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let (Some(pairs), Some(limit)) = (
        arguments.get(1).and_then(|n| n.parse().ok()),
        arguments.get(2).and_then(|n| n.parse::<f64>().ok()),
    ) else {
        eprintln!("usage: mails PAIRS MAX_RATIO");
        return ExitCode::FAILURE;
    };
    match measure(pairs) {
        Ok((ours, theirs)) => {
            let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
            println!("{} {} {ratio:.2}", ours.as_micros(), theirs.as_micros());
            if ratio <= limit { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
