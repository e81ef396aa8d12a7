//! An SMTP client's upgrade, from the greeting to the go-ahead.

#![no_std]
#![no_main]

use starttls::{Buffer, Error, Machine, Policy, Step, client, smtp};
use starttls_thumb::{receive, send};

const NAME: smtp::Domain<'_> = match smtp::Domain::new("sensor.example.org") {
    Ok(name) => name,
    Err(_) => panic!("not a name"),
};

fn upgrade() -> Result<client::Upgrade, Error> {
    let mut client = smtp::Client::new(NAME, Policy::Required);
    let mut buffer = Buffer::<512>::new();
    let mut output = [0; 64];
    loop {
        let mut input = buffer.filled();
        let step = client.step(&mut input, &mut output)?;
        let unread = input.len();
        match step {
            Step::Write(n) => send(output.get(..n).unwrap_or_default()),
            Step::Event(client::Event::UpgradeReady) => return client.into_upgrade(input),
            Step::Event(_) => {}
            Step::Read => {
                buffer.keep(unread);
                buffer.fill(|free| Ok::<_, Error>(receive(free)))?;
                continue;
            }
        }
        buffer.keep(unread);
    }
}

#[unsafe(no_mangle)]
extern "C" fn reset() -> ! {
    send(if upgrade().is_ok() { b"upgraded" } else { b"failed" });
    loop {
        core::hint::spin_loop();
    }
}
