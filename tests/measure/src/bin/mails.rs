//! Sends mails over loopback, alternating between `starttls-std` and a client written by hand, and
//! prints the medians of their times in microseconds.
//!
//! usage: mails PAIRS

use std::error::Error;
use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustls::ALL_VERSIONS;
use starttls::mail::{Address, Envelope};
use starttls_measure::{Delays, HOST, by_hand, identity, median, message, serve};
use starttls_std::{ClientTls, Mailer, Settings};
use test_identity::provider;

const WARM_UP: usize = 20;

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
                by_hand((HOST, port), &tls, &message, Delays::NODELAY)?;
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
    let Some(pairs) = arguments.get(1).and_then(|n| n.parse().ok()) else {
        eprintln!("usage: mails PAIRS");
        return ExitCode::FAILURE;
    };
    match measure(pairs) {
        Ok((ours, theirs)) => {
            println!("{} {}", ours.as_micros(), theirs.as_micros());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
