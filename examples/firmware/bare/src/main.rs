//! The machine alone: a server's replies arrive byte by byte, as from the interrupt of a serial
//! port, until TLS begins. Prints both sides; the exit code is 0 if the go-ahead arrives.

#![no_std]
#![no_main]

use semihosting::{print, println, process};
use starttls::{Buffer, Error, Machine, Policy, Step, client, smtp};

const NAME: smtp::Domain<'_> = match smtp::Domain::new("sensor.example.test") {
    Ok(name) => name,
    Err(_) => panic!("not a name"),
};

/// The server's replies.
const SERVER: &[u8] = b"220 mail.example.test ESMTP\r\n\
    250-mail.example.test\r\n250-SIZE 1000000\r\n250 STARTTLS\r\n\
    220 2.0.0 Go ahead\r\n";

/// A driver's state for a connection; all of it can be a `static`.
struct Connection {
    client: smtp::Client<'static>,
    received: Buffer<512>,
}

impl Connection {
    fn new() -> Self {
        Self { client: smtp::Client::new(NAME, Policy::Required), received: Buffer::new() }
    }

    /// Handles a received byte. Returns true when the TLS handshake begins.
    fn on_octet(&mut self, octet: u8) -> Result<bool, Error> {
        self.received.fill(|free| {
            free.iter_mut().take(1).for_each(|place| *place = octet);
            Ok::<_, Error>(1)
        })?;
        let mut output = [0; 64];
        loop {
            let mut input = self.received.filled();
            let step = self.client.step(&mut input, &mut output)?;
            let unread = input.len();
            let (mut wait, mut ready) = (false, false);
            match step {
                Step::Write(n) => send(output.get(..n).unwrap_or_default()),
                Step::Event(client::Event::UpgradeReady) => ready = true,
                Step::Event(_) => {}
                Step::Read => wait = true,
            }
            self.received.keep(unread);
            if wait || ready {
                return Ok(ready);
            }
        }
    }
}

/// Sends bytes.
fn send(octets: &[u8]) {
    print!("{}", core::str::from_utf8(octets).unwrap_or("?"));
}

fn run() -> Result<(), Error> {
    let mut connection = Connection::new();
    for octet in SERVER {
        send(&[*octet]);
        if connection.on_octet(*octet)? {
            // The machine is consumed; the TLS library continues from here.
            let _upgrade = connection.client.into_upgrade(connection.received.filled())?;
            return Ok(());
        }
    }
    Err(Error::Closed)
}

#[cfg_attr(target_arch = "arm", cortex_m_rt::entry)]
#[cfg_attr(target_arch = "riscv32", riscv_rt::entry)]
fn main() -> ! {
    match run() {
        Ok(()) => {
            println!("TLS begins here.");
            process::exit(0)
        }
        Err(error) => {
            println!("{error}");
            process::exit(1)
        }
    }
}
