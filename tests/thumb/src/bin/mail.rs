//! A whole mail from a sensor: the upgrade, AUTH, one message. TLS itself is not in the image.

#![no_std]
#![no_main]

use starttls::mail::session::{Event, Exchange};
use starttls::mail::{Address, Credentials, Envelope, Session};
use starttls::smtp::{self, Domain};
use starttls::{Buffer, Error, Machine, Policy, Step, Tls, Verification, client};
use starttls_thumb::{opaque, receive, send};

const NAME: Domain<'_> = match Domain::new("sensor.example.org") {
    Ok(name) => name,
    Err(_) => panic!("not a name"),
};
const CREDENTIALS: Credentials<'_> = match Credentials::new("sensor", "secret") {
    Ok(credentials) => credentials,
    Err(_) => panic!("no credentials"),
};
const FROM: Address<'_> = address("sensor@example.org");
const TO: [Address<'_>; 1] = [address("you@example.org")];
const ENVELOPE: Envelope<'_> = match Envelope::new(Some(FROM), &TO) {
    Ok(envelope) => envelope,
    Err(_) => panic!("no recipients"),
};
const MESSAGE: &[u8] = b"Subject: 21.5 C\r\n\r\nAll is well.\r\n";

const fn address(text: &str) -> Address<'_> {
    match Address::new(text) {
        Ok(address) => address,
        Err(_) => panic!("not an address"),
    }
}

type Received = Buffer<512>;

type Job<'j> = Exchange<'j, 'j, Tls>;

/// The caller's calls into the library, grouped so that the size report can separate the two.
mod library {
    use super::*;

    #[inline(never)]
    pub fn client() -> smtp::Client<'static> {
        smtp::Client::new(NAME, Policy::Required)
    }

    #[inline(never)]
    pub fn client_step<'i>(
        client: &mut smtp::Client<'static>,
        input: &mut &'i [u8],
        output: &mut [u8],
    ) -> Result<Step<client::Event<'i>>, Error> {
        client.step(input, output)
    }

    #[inline(never)]
    pub fn secure(client: smtp::Client<'static>, unread: &[u8]) -> Result<Tls, Error> {
        client.into_upgrade(unread)?.established(opaque(Verification::Verified))
    }

    #[inline(never)]
    pub fn session(tls: Tls) -> Session<Tls> {
        Session::new(tls)
    }

    #[inline(never)]
    pub fn job<'j>(session: &'j mut Session<Tls>, n: u8) -> Result<Job<'j>, Error> {
        match n {
            0 => session.hello(NAME),
            1 => session.authenticate(&CREDENTIALS),
            2 => session.send(&ENVELOPE),
            _ => session.quit(),
        }
    }

    #[inline(never)]
    pub fn step<'i>(
        job: &mut Job<'_>,
        input: &mut &'i [u8],
        output: &mut [u8],
    ) -> Result<Step<Event<'i>>, Error> {
        job.step(input, output)
    }

    #[inline(never)]
    pub fn body(job: &mut Job<'_>, message: &mut &[u8], output: &mut [u8]) -> Result<usize, Error> {
        job.body(message, output)
    }

    #[inline(never)]
    pub fn finish(job: &mut Job<'_>) -> Result<(), Error> {
        job.finish()
    }

    #[inline(never)]
    pub fn keep(buffer: &mut Received, unread: usize) {
        buffer.keep(unread);
    }

    #[inline(never)]
    pub fn receive(buffer: &mut Received) {
        let _ = buffer.fill(|free| Ok::<_, Error>(super::receive(free)));
    }
}

/// Brings the connection to TLS.
fn upgrade(received: &mut Received, output: &mut [u8]) -> Result<Tls, Error> {
    let mut client = library::client();
    loop {
        let mut input = received.filled();
        let step = library::client_step(&mut client, &mut input, output)?;
        let unread = input.len();
        if let Step::Write(n) = step {
            send(output.get(..n).unwrap_or_default());
        }
        let ready = matches!(step, Step::Event(client::Event::UpgradeReady));
        let read = matches!(step, Step::Read);
        library::keep(received, unread);
        if ready {
            return library::secure(client, received.filled());
        }
        if read {
            library::receive(received);
        }
    }
}

/// Runs a job of the session to its end.
fn run(mut job: Job<'_>, received: &mut Received, output: &mut [u8]) -> Result<(), Error> {
    loop {
        let mut input = received.filled();
        let step = library::step(&mut job, &mut input, output)?;
        let unread = input.len();
        let mut last = false;
        let mut read = false;
        match step {
            Step::Write(n) => send(output.get(..n).unwrap_or_default()),
            Step::Event(Event::Body(_)) => {
                let mut message = MESSAGE;
                while !message.is_empty() {
                    let n = library::body(&mut job, &mut message, output)?;
                    send(output.get(..n).unwrap_or_default());
                }
                library::finish(&mut job)?;
            }
            Step::Event(Event::Rejected { .. } | Event::NoRecipients) => {
                return Err(Error::Refused);
            }
            Step::Event(event) => last = event.is_last(),
            Step::Read => read = true,
        }
        library::keep(received, unread);
        if read {
            library::receive(received);
        }
        if last {
            return Ok(());
        }
    }
}

fn mail() -> Result<(), Error> {
    let mut received = Received::new();
    let mut output = [0; 128];
    let mut session = library::session(upgrade(&mut received, &mut output)?);
    for n in 0..4 {
        run(library::job(&mut session, n)?, &mut received, &mut output)?;
    }
    Ok(())
}

#[unsafe(no_mangle)]
extern "C" fn reset() -> ! {
    send(if mail().is_ok() { b"sent" } else { b"failed" });
    loop {
        core::hint::spin_loop();
    }
}
