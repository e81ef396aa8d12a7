//! Sends mails to a server over STARTTLS, with and without the options of a socket against delays, in turn.
//!
//! usage: delays HOST PORT CA MAILS
//!
//! Prints the medians of the times in microseconds: with neither option, with `TCP_NODELAY`, with `TCP_QUICKACK` too,
//! and of `starttls-std`, which sets both.

use std::error::Error;
use std::fs;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use starttls::mail::{Address, Envelope};
use starttls_measure::{Delays, by_hand, median, message};
use starttls_std::{ClientTls, Mailer, Settings};

const OPTIONS: [Delays; 3] = [
    Delays { nodelay: false, quickack: false },
    Delays { nodelay: true, quickack: false },
    Delays { nodelay: true, quickack: true },
];

fn run(arguments: &[String]) -> Result<[Duration; 4], Box<dyn Error>> {
    let [host, port, ca, mails] = arguments else {
        return Err("usage: delays HOST PORT CA MAILS".into());
    };
    let (port, mails, pem): (u16, usize, _) = (port.parse()?, mails.parse()?, fs::read(ca)?);
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        roots.add(certificate?)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let tls = Arc::new(builder.with_root_certificates(roots).with_no_client_auth());
    let mailer = Mailer::new(Settings::new(host, ClientTls::with_ca_pem(&pem)?).with_port(port));
    let to = [Address::new("you@example.test")?];
    let envelope = Envelope::new(Some(Address::new("me@example.test")?), &to)?;
    let message = message();

    let mut times: [Vec<Duration>; 4] = Default::default();
    // The first turn does not count.
    for turn in 0..=mails {
        for (kind, times) in times.iter_mut().enumerate() {
            let start = Instant::now();
            match OPTIONS.get(kind) {
                Some(options) => by_hand((host, port), &tls, &message, *options)?,
                None => drop(mailer.send(&envelope, message.as_slice())?),
            }
            if turn > 0 {
                times.push(start.elapsed());
            }
        }
    }
    Ok(times.map(|mut times| median(&mut times)))
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(medians) => {
            medians.iter().for_each(|median| println!("{}", median.as_micros()));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("delays: {error}");
            ExitCode::FAILURE
        }
    }
}
