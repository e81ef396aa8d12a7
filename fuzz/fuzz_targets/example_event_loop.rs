//! How to fuzz your own use of the parser: replace [`App`] by your event loop.

#![no_main]

use libfuzzer_sys::fuzz_target;
use starttls::{Buffer, Error, Machine, Policy, Step, client, smtp};

/// What an application has: a machine, a receive buffer and a queue of octets to send.
struct App {
    client: smtp::Client<'static>,
    received: Buffer<512>,
    to_send: Vec<u8>,
    ready: bool,
}

impl App {
    fn new() -> Self {
        Self {
            client: smtp::Client::new(smtp::Domain::LOCALHOST, Policy::Required),
            received: Buffer::new(),
            to_send: Vec::new(),
            ready: false,
        }
    }

    /// The socket is readable and `octets` come off it; returns how many there was room for.
    fn readable(&mut self, octets: &[u8]) -> Result<usize, Error> {
        let taken = self.received.fill(|free| {
            let n = free.len().min(octets.len());
            free[..n].copy_from_slice(&octets[..n]);
            Ok::<_, Error>(n)
        })?;
        while !self.ready {
            let mut input = self.received.filled();
            let mut output = [0; smtp::Client::MAX_OUTPUT];
            let step = self.client.step(&mut input, &mut output)?;
            let unread = input.len();
            match step {
                Step::Read => {
                    self.received.keep(unread);
                    break;
                }
                Step::Write(n) => self.to_send.extend_from_slice(&output[..n]),
                Step::Event(event) => self.ready = event == client::Event::UpgradeReady,
            }
            self.received.keep(unread);
        }
        Ok(taken)
    }
}

// The input is a list of reads: one octet for the length, then that many octets.
fuzz_target!(|data: &[u8]| {
    let mut app = App::new();
    let mut rest = data;
    while let [length, octets @ ..] = rest {
        let (mut read, after) = octets.split_at(octets.len().min((*length).into()));
        rest = after;
        while !read.is_empty() && !app.ready {
            let Ok(taken) = app.readable(read) else { return };
            // The buffer holds the longest line, so there is always room for more of it.
            assert_ne!(taken, 0, "the loop stands still");
            read = &read[taken..];
        }
    }
    // What must hold for your application comes here.
    if app.ready {
        assert!(app.to_send.ends_with(b"STARTTLS\r\n"));
        let unread = app.received.filled();
        assert_eq!(app.client.into_upgrade(unread).is_ok(), unread.is_empty());
    }
});
