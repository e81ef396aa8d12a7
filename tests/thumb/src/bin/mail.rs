//! A whole mail from a sensor: the upgrade, AUTH, one message. TLS itself is not in the image.

#![no_std]
#![no_main]

use starttls::smtp::session::Event;
use starttls::smtp::{self, Address, Credentials, Domain, Envelope, Session};
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

/// Steps until `event` says that it is enough.
fn drive<M: Machine>(
    machine: &mut M,
    buffer: &mut Received,
    mut event: impl FnMut(&mut M, M::Event<'_>) -> Result<bool, Error>,
) -> Result<(), Error> {
    let mut output = [0; 128];
    loop {
        let mut input = buffer.filled();
        let step = machine.step(&mut input, &mut output)?;
        let unread = input.len();
        let enough = match step {
            Step::Write(n) => {
                send(output.get(..n).unwrap_or_default());
                false
            }
            Step::Event(happened) => event(machine, happened)?,
            Step::Read => {
                buffer.keep(unread);
                buffer.fill(|free| Ok::<_, Error>(receive(free)))?;
                continue;
            }
        };
        buffer.keep(unread);
        if enough {
            return Ok(());
        }
    }
}

fn mail() -> Result<(), Error> {
    let mut received = Received::new();
    let mut client = smtp::Client::new(NAME, Policy::Required);
    drive(&mut client, &mut received, |_, event| Ok(event == client::Event::UpgradeReady))?;
    let upgrade = client.into_upgrade(received.filled())?;
    let verified = opaque(true);
    let tls = upgrade.established(if verified {
        Verification::Verified
    } else {
        Verification::Unverified
    })?;

    let mut received = Received::new();
    let mut session = Session::<Tls>::new(tls, NAME);
    let done = |event: &Event<'_>| matches!(event, Event::Done(_));
    drive(&mut session.hello()?, &mut received, |_, event| Ok(done(&event)))?;
    drive(&mut session.authenticate(&CREDENTIALS)?, &mut received, |_, event| match event {
        Event::Rejected { .. } => Err(Error::Refused),
        _ => Ok(done(&event)),
    })?;
    drive(&mut session.send(&ENVELOPE)?, &mut received, |job, event| match event {
        Event::Rejected { .. } | Event::NoRecipients => Err(Error::Refused),
        Event::Body(_) => {
            let mut message = MESSAGE;
            let mut output = [0; 64];
            while !message.is_empty() {
                let n = job.body(&mut message, &mut output)?;
                send(output.get(..n).unwrap_or_default());
            }
            job.finish().map(|()| false)
        }
        _ => Ok(done(&event)),
    })?;
    drive(&mut session.quit()?, &mut received, |_, event| Ok(done(&event)))
}

#[unsafe(no_mangle)]
extern "C" fn reset() -> ! {
    send(if mail().is_ok() { b"sent" } else { b"failed" });
    loop {
        core::hint::spin_loop();
    }
}
