//! Sends mails to a server over STARTTLS, alternating between `starttls-std` and lettre, and compares
//! their rates.
//!
//! usage: postfix HOST PORT CA TURNS MAILS
//!
//! Prints, once with a connection per mail and once with one persistent connection: mails a second of
//! `starttls-std`, of lettre, and the ratio; then round trips of a connection with one mail, and of
//! each further mail on a persistent one.

use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;

use lettre::transport::smtp::SmtpTransportBuilder;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{SmtpTransport, Transport as _};
use starttls::mail::{Address, Envelope};
use starttls::smtp::Smtp;
use starttls_measure::median;
use starttls_std::{ClientTls, Mailer, Observer, Settings};

/// Turns that do not count.
const WARM_UP: usize = 1;

const FROM: &str = "me@example.test";
const TO: &str = "you@example.test";

/// 1 KiB: a header and lines of 76 bytes.
fn message() -> Vec<u8> {
    let mut message = format!("From: <{FROM}>\r\nTo: <{TO}>\r\nSubject: x\r\n\r\n").into_bytes();
    while message.len() < 1024 {
        let room = (1024 - 2 - message.len()).min(76);
        message.extend(std::iter::repeat_n(b'x', room));
        message.extend_from_slice(b"\r\n");
    }
    message.truncate(1024);
    message
}

/// Counts how often the client sent after it had read.
#[derive(Default)]
struct Flights {
    count: usize,
    speaking: bool,
}

impl Observer for Flights {
    fn sent(&mut self, _: &[u8]) {
        self.count += usize::from(!std::mem::replace(&mut self.speaking, true));
    }

    fn received(&mut self, _: &[u8]) {
        self.speaking = false;
    }
}

struct Bench {
    ours: Mailer,
    /// The STARTTLS setup from lettre's documentation, with the test CA.
    theirs: SmtpTransportBuilder,
    message: Vec<u8>,
    mails: usize,
}

impl Bench {
    fn new(host: &str, port: u16, ca: &str, mails: usize) -> Result<Self, Box<dyn Error>> {
        let pem = std::fs::read(ca)?;
        let ours = Mailer::new(Settings::new(host, ClientTls::with_ca_pem(&pem)?).with_port(port));
        let tls = TlsParameters::builder(host.to_owned())
            .certificate_store(CertificateStore::None)
            .add_root_certificate(Certificate::from_pem(&pem)?)
            .build()?;
        let theirs = SmtpTransport::starttls_relay(host)?.port(port).tls(Tls::Required(tls));
        Ok(Self { ours, theirs, message: message(), mails })
    }

    /// Mails a second.
    fn ours(&self, kept: bool) -> Result<f64, Box<dyn Error>> {
        let to = [Address::new(TO)?];
        let envelope = Envelope::new(Some(Address::new(FROM)?), &to)?;
        let start = Instant::now();
        if kept {
            let mut connection = self.ours.connect()?;
            for _ in 0..self.mails {
                connection.send(&envelope, self.message.as_slice())?;
            }
            connection.quit()?;
        } else {
            for _ in 0..self.mails {
                self.ours.send(&envelope, self.message.as_slice())?;
            }
        }
        Ok(self.mails as f64 / start.elapsed().as_secs_f64())
    }

    fn theirs(&self, kept: bool) -> Result<f64, Box<dyn Error>> {
        let envelope = lettre::address::Envelope::new(Some(FROM.parse()?), vec![TO.parse()?])?;
        let start = Instant::now();
        if kept {
            let transport = self.theirs.clone().build();
            for _ in 0..self.mails {
                transport.send_raw(&envelope, &self.message)?;
            }
            transport.shutdown();
        } else {
            for _ in 0..self.mails {
                let transport = self.theirs.clone().build();
                transport.send_raw(&envelope, &self.message)?;
                transport.shutdown();
            }
        }
        Ok(self.mails as f64 / start.elapsed().as_secs_f64())
    }

    /// The medians of both rates and of the ratio in each pair of turns.
    fn compare(&self, kept: bool, turns: usize) -> Result<[f64; 3], Box<dyn Error>> {
        let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for n in 0..WARM_UP + turns {
            // The first one alternates.
            let (a, b) = if n % 2 == 0 {
                let a = self.ours(kept)?;
                (a, self.theirs(kept)?)
            } else {
                let b = self.theirs(kept)?;
                (self.ours(kept)?, b)
            };
            if n >= WARM_UP {
                ours.push(a);
                theirs.push(b);
                ratios.push(a / b);
            }
        }
        Ok([ours, theirs, ratios].map(|mut values| median(&mut values)))
    }

    /// The round trips of a whole connection with one mail, and of one more mail on it.
    fn round_trips(&self) -> Result<(usize, usize), Box<dyn Error>> {
        let to = [Address::new(TO)?];
        let envelope = Envelope::new(Some(Address::new(FROM)?), &to)?;
        let mut counts = [0; 2];
        for (mails, count) in (1..).zip(&mut counts) {
            let mut flights = Flights::default();
            let mut connection = self.ours.connect_as::<Smtp>(&mut flights)?;
            for _ in 0..mails {
                connection.send(&envelope, self.message.as_slice())?;
            }
            connection.quit()?;
            *count = flights.count;
        }
        let [one, two] = counts;
        Ok((one, two - one))
    }
}

fn run(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let [host, port, ca, turns, mails] = arguments else {
        return Err("usage: postfix HOST PORT CA TURNS MAILS".into());
    };
    let bench = Bench::new(host, port.parse()?, ca, mails.parse()?)?;
    for kept in [false, true] {
        let [ours, theirs, ratio] = bench.compare(kept, turns.parse()?)?;
        println!("{ours:.1} {theirs:.1} {ratio:.1}");
    }
    let (connection, mail) = bench.round_trips()?;
    println!("{connection} {mail}");
    Ok(())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("postfix: {error}");
            ExitCode::FAILURE
        }
    }
}
