//! Our server reads what `postgres-protocol` writes, and vice versa.

#![no_main]

use arbitrary::Arbitrary;
use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use libfuzzer_sys::fuzz_target;
use postgres_protocol::message::{backend, frontend};
use starttls::server::{Config, Event};
use starttls::{Error, Machine, Policy, Step, postgres};

#[derive(Arbitrary, Debug)]
enum Packet<'a> {
    Ssl,
    Cancel(i32, i32),
    Startup(Vec<(&'a str, &'a str)>),
}

#[derive(Arbitrary, Debug)]
struct Case<'a> {
    required: bool,
    available: bool,
    packets: Vec<Packet<'a>>,
}

/// The fields of an ErrorResponse, by their types.
fn fields(written: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut rest = BytesMut::from(written);
    let Ok(Some(backend::Message::ErrorResponse(error))) = backend::Message::parse(&mut rest)
    else {
        panic!("no error: {}", written.escape_ascii());
    };
    assert!(rest.is_empty());
    let field = |field: backend::ErrorField<'_>| Ok((field.type_(), field.value_bytes().to_vec()));
    error.fields().map(field).collect().expect("fields")
}

fuzz_target!(|case: Case<'_>| {
    let policy = if case.required { Policy::Required } else { Policy::Opportunistic };
    let config = Config::default().with_policy(policy).with_available(case.available);
    let mut server = postgres::Server::new(config);
    let mut output = [0; 128];
    let mut asked = false;
    for packet in &case.packets {
        let mut octets = BytesMut::new();
        match packet {
            Packet::Ssl => frontend::ssl_request(&mut octets),
            Packet::Cancel(process, key) => frontend::cancel_request(*process, *key, &mut octets),
            Packet::Startup(parameters) => {
                let parameters = parameters.iter().copied();
                if frontend::startup_message(parameters, &mut octets).is_err() {
                    return;
                }
            }
        }
        let mut input = &octets[..];
        let mut written = Vec::new();
        // `None` where the server waits.
        let event = loop {
            match server.step(&mut input, &mut output) {
                Ok(Step::Write(n)) => written.extend_from_slice(&output[..n]),
                Ok(Step::Event(Event::Received(_))) => {}
                Ok(Step::Event(Event::UpgradeRequested)) => server.accept().expect("asked"),
                Ok(Step::Event(event)) => break Some(event),
                Ok(Step::Read) => break None,
                Err(error) => {
                    assert_eq!(error, Error::FrameTooLong);
                    assert!(octets.len() > 10_004);
                    return;
                }
            }
        };
        match (packet, event) {
            (Packet::Ssl, Some(Event::UpgradeReady)) => {
                assert!(case.available && !asked && written == b"S");
                assert!(server.into_upgrade(input).is_ok());
                return;
            }
            (Packet::Ssl, None) => {
                assert!(!case.available && !asked && written == b"N");
                asked = true;
            }
            // A second one.
            (Packet::Ssl, Some(Event::Quit)) => {
                assert!(asked);
                assert!(fields(&written).contains(&(b'C', b"0A000".to_vec())));
                return;
            }
            (Packet::Startup(_) | Packet::Cancel(..), Some(Event::Plaintext)) => {
                assert!(!case.required && written.is_empty());
                assert_eq!(input, &octets[..], "the server reads none of it");
                return;
            }
            (Packet::Startup(_), Some(Event::Quit)) => {
                assert!(case.required);
                let fields = fields(&written);
                for field in [(b'S', &b"FATAL"[..]), (b'V', b"FATAL"), (b'C', b"28000")] {
                    assert!(fields.contains(&(field.0, field.1.to_vec())));
                }
                return;
            }
            (Packet::Cancel(..), Some(Event::Quit)) => {
                assert!(case.required && written.is_empty());
                return;
            }
            (packet, event) => panic!("{packet:?}: {event:?}"),
        }
    }
});
