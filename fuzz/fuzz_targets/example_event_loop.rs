//! How to fuzz your own event loop: put it in place of [`App`].

#![no_main]

use core::time::Duration;

use libfuzzer_sys::fuzz_target;
use starttls::driver::{Driver, Next};
use starttls::{Buffer, Error, Policy, client, smtp};

/// An application: a machine, its driver, and a network.
struct App {
    client: smtp::Client<'static>,
    driver: Driver<Buffer<512>>,
    sent: Vec<u8>,
    ready: bool,
}

impl App {
    fn new() -> Self {
        Self {
            client: smtp::Client::new(smtp::Domain::LOCALHOST, Policy::Required),
            driver: Driver::new(Buffer::new(), Buffer::new()),
            sent: Vec::new(),
            ready: false,
        }
    }

    /// Handles a readable socket that delivers `bytes`; returns how many fit into the buffer. The network takes at
    /// most `window` bytes at a time.
    fn readable(&mut self, bytes: &[u8], window: usize) -> Result<usize, Error> {
        let taken = self.driver.receive(bytes);
        while !self.ready {
            match self.driver.next(&mut self.client, Duration::ZERO) {
                Next::Read => break,
                Next::Write(unsent) => {
                    let n = unsent.len().min(window.max(1));
                    self.sent.extend_from_slice(&unsent[..n]);
                    self.driver.sent(n);
                }
                Next::Event { event, .. } => self.ready = event == client::Event::UpgradeReady,
                Next::Shutdown => {}
                Next::Ended => return Err(Error::Closed),
                Next::Failed(error) => return Err(error),
            }
        }
        Ok(taken)
    }
}

// The input is a list of reads: one byte for the length, then that many bytes.
fuzz_target!(|data: &[u8]| {
    let mut app = App::new();
    let mut rest = data;
    while let [length, bytes @ ..] = rest {
        let (mut read, after) = bytes.split_at(bytes.len().min((*length).into()));
        rest = after;
        while !read.is_empty() && !app.ready {
            let Ok(taken) = app.readable(read, (*length).into()) else {
                assert!(app.driver.failed().is_some(), "a failure is remembered");
                return;
            };
            // The buffer holds the longest line, so there is always room for more of it.
            assert_ne!(taken, 0, "the loop makes no progress");
            read = &read[taken..];
        }
    }
    // Put your application's invariants here.
    if app.ready {
        assert!(app.sent.ends_with(b"STARTTLS\r\n"));
        assert_eq!(app.driver.unsent(), b"", "all plaintext is sent");
        let unread = app.driver.unread();
        assert_eq!(app.client.into_upgrade(unread).is_ok(), unread.is_empty());
    }
});
