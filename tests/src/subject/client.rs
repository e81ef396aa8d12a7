use starttls::client::{Event, Grammar};
use starttls::smtp;
use starttls::{Client, Error, Machine, Plaintext, Policy, Step, Tls, Verification};

use super::{Log, Next, OUTPUT, Room, Subject, step};
use crate::CLIENT;
use crate::table::Handshake;

/// A client on its way to TLS.
#[expect(missing_debug_implementations, reason = "grammars need not be shown")]
pub struct Upgrading<G: Grammar>(pub Client<G>);

impl<G: Grammar> Subject for Upgrading<G> {
    fn waits(&mut self) -> bool {
        self.0.wait().is_some()
    }

    fn step(&mut self, input: &mut &[u8], room: Room, log: &mut Log) -> Next {
        let mut output = [0; OUTPUT];
        match step(&mut self.0, input, &mut output, room) {
            Ok(Step::Read) => Next::Read,
            Ok(Step::Write(n)) => {
                log.out.extend(&output[..n]);
                Next::On
            }
            Ok(Step::Event(Event::Received(line))) => {
                log.lines.push(line.to_string());
                Next::On
            }
            Ok(Step::Event(Event::UpgradeReady)) => {
                log.event("upgrade-ready");
                Next::Over("upgrade")
            }
            Ok(Step::Event(Event::Plaintext(reason))) => {
                log.event(format!("plaintext {reason:?}"));
                Next::Over("plaintext")
            }
            Ok(Step::Event(other)) => panic!("a new event: {other:?}"),
            Err(error) => Next::Failed(error),
        }
    }

    fn end_of_input(&mut self) -> Result<(), Error> {
        self.0.end_of_input()
    }

    fn timed_out(&mut self) -> Error {
        self.0.timed_out()
    }

    /// Only the methods that consume the client, and `step` at its end, can be called out of order.
    fn misuse(&mut self) -> Vec<Result<(), Error>> {
        if self.waits() {
            return Vec::new();
        }
        let mut output = [0x55; OUTPUT];
        let mut input = &b"220 once more\r\n"[..];
        let stepped = self.0.step(&mut input, &mut output).map(drop);
        assert_eq!((input.len(), output), (15, [0x55; OUTPUT]), "a finished client moves");
        vec![stepped]
    }

    fn into_upgrade(
        self: Box<Self>,
        unread: &[u8],
        tls: Handshake,
    ) -> Result<(Option<Tls>, Vec<u8>), Error> {
        let upgrade = self.0.into_upgrade(unread)?;
        let tls = match tls {
            Handshake::Fails => None,
            other => Some(upgrade.established(other.into())?),
        };
        Ok((tls, Vec::new()))
    }

    fn into_plaintext(self: Box<Self>, unread: &[u8]) -> Result<Plaintext, Error> {
        self.0.into_plaintext(unread)
    }
}

/// TLS of a client, by the shortest possible upgrade.
pub(super) fn tls(verification: Verification) -> Tls {
    let client = played(&[b"220 \r\n", b"250-\r\n250 STARTTLS\r\n", b"220 \r\n"]);
    let upgrade = client.into_upgrade(b"").expect("nothing is unread");
    upgrade.established(verification).expect("the policy allows it")
}

/// Plaintext of a client, by the shortest possible dialogue.
pub(super) fn plaintext() -> Plaintext {
    let client = played(&[b"220 \r\n", b"250 \r\n"]);
    client.into_plaintext(b"").expect("nothing is unread")
}

fn played(replies: &[&[u8]]) -> smtp::Client<'static> {
    let mut client = smtp::Client::new(CLIENT, Policy::Opportunistic);
    let mut output = [0; OUTPUT];
    for mut reply in replies.iter().copied() {
        while !matches!(
            client.step(&mut reply, &mut output).expect("no error"),
            Step::Write(_) | Step::Event(Event::UpgradeReady | Event::Plaintext(_))
        ) {}
    }
    client
}
