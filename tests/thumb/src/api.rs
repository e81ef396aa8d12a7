//! The whole public API of a machine, called with bytes that are opaque to the compiler.

use core::hint::black_box;

use starttls::client::{self, Client};
use starttls::server::{self, Server};
use starttls::{Buffer, Error, Machine, Step};

use crate::{opaque, receive, send};

/// The longest frame of any protocol.
const MAX_INPUT: usize = 9 * 1024;

/// Steps a machine until it needs something, and makes every possible call.
///
/// # Errors
/// Those of the machine.
pub fn drive<M: Machine>(
    machine: &mut M,
    mut event: impl FnMut(&mut M, M::Event<'_>),
) -> Result<(), Error> {
    let mut buffer = Buffer::<MAX_INPUT>::new();
    let mut output = [0; 1024];
    for _ in 0..opaque(100_u8) {
        let mut input = buffer.filled();
        let step = machine.step(&mut input, &mut output)?;
        let unread = input.len();
        match step {
            Step::Write(n) => send(output.get(..n).unwrap_or_default()),
            Step::Event(happened) => event(machine, happened),
            Step::Read if opaque(false) => machine.end_of_input()?,
            Step::Read if opaque(false) => return Err(machine.timed_out()),
            Step::Read => {
                black_box(machine.wait());
                buffer.keep(unread);
                buffer.fill(|free| Ok::<_, Error>(receive(free)))?;
                continue;
            }
        }
        buffer.keep(unread);
    }
    Ok(())
}

/// Calls everything on a client.
pub fn upgrade<G: client::Grammar>(mut client: Client<G>) {
    let _ = drive(&mut client, |_, event| {
        if let client::Event::Received(said) = event {
            send(said.as_untrusted_bytes());
        }
    });
    let unread: &[u8] = if opaque(true) { b"" } else { b"x" };
    let _ = black_box(client.into_upgrade(unread));
}

/// Calls everything on a server.
pub fn serve<G: server::Grammar>(mut server: Server<G>) {
    let _ = drive(&mut server, |server, event| {
        let _ = match event {
            server::Event::UpgradeRequested if opaque(true) => server.accept(),
            server::Event::UpgradeRequested => server.refuse(),
            server::Event::Command(_) => server.unknown(),
            _ => Ok(()),
        };
    });
    let mut output = [0; 64];
    let _ = black_box(server.farewell(&mut output));
    let _ = black_box(server.into_upgrade(&[]));
}
