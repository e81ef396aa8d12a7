//! One interface to the four machines.

mod client;
mod receiver;
mod server;
mod session;

use starttls::lmtp::Lmtp;
use starttls::smtp::Smtp;
use starttls::{Error, Machine, Plaintext, Policy, Step, Tls};

use crate::table::{Handshake, Mail, Over, Protocol, Role, Row};

pub use client::Upgrading;
pub use receiver::Receiving;
pub use server::Serving;
pub use session::Sending;

/// The size of a machine's output buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// More than it needs.
    Ample,
    /// First none, then one byte too few, then exactly the needed size.
    Tight,
}

/// The result of one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// All input was read; more is needed.
    Read,
    /// There is more to do.
    On,
    /// The machine has done its part.
    Over(&'static str),
    /// It failed.
    Failed(Error),
    /// It refuses the job and stays unchanged.
    Denied(Error),
}

/// The actions of a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// The bytes sent.
    pub out: Vec<u8>,
    /// The events, in the notation of the tables.
    pub events: Vec<String>,
    /// The lines that it only reported.
    pub lines: Vec<String>,
    /// If the last event is a piece of a message: the message so far.
    body: Vec<u8>,
}

impl Log {
    fn event(&mut self, event: impl Into<String>) {
        self.body.clear();
        self.events.push(event.into());
    }

    /// Pieces of one message are one event, wherever they were cut.
    fn body(&mut self, piece: &[u8]) {
        if !self.body.is_empty() {
            self.events.pop();
        }
        self.body.extend(piece);
        self.events.push(format!("body {}", crate::shown(&self.body)));
    }
}

/// The transport after the plaintext phase.
#[derive(Debug)]
pub enum Way {
    /// With TLS.
    Tls(Tls),
    /// Without.
    Plaintext(Plaintext),
}

/// A machine with an application around it.
pub trait Subject {
    /// Whether it is the peer's turn.
    fn waits(&mut self) -> bool;

    /// One step, and the application's reaction.
    fn step(&mut self, input: &mut &[u8], room: Room, log: &mut Log) -> Next;

    /// Reports that the peer closed.
    ///
    /// # Errors
    /// Those of [`Machine::end_of_input`].
    fn end_of_input(&mut self) -> Result<(), Error>;

    /// Reports that the wait for the peer timed out.
    fn timed_out(&mut self) -> Error;

    /// Makes the calls that are not allowed now, and returns their results.
    fn misuse(&mut self) -> Vec<Result<(), Error>>;

    /// The last words to the peer.
    fn farewell(&self, _: Room) -> Vec<u8> {
        Vec::new()
    }

    /// Crosses the boundary, and returns the bytes to pass to TLS. `None` for a failed handshake.
    ///
    /// # Errors
    /// Those of the machine, and those of the handshake.
    fn into_upgrade(
        self: Box<Self>,
        unread: &[u8],
        tls: Handshake,
    ) -> Result<(Option<Tls>, Vec<u8>), Error>;

    /// Continues without TLS.
    ///
    /// # Errors
    /// Those of the machine.
    fn into_plaintext(self: Box<Self>, unread: &[u8]) -> Result<Plaintext, Error>;
}

/// The machine that brings a row to TLS.
#[must_use]
pub fn upgrading(row: &Row) -> Box<dyn Subject> {
    match row.role {
        Role::Client => client(row.protocol, row.policy.into()),
        Role::Server => server(row),
    }
}

macro_rules! upgrading {
    ([$protocol:expr, $policy:expr] $($module:ident::$Type:ident,)*) => {
        match $protocol {
            $(Protocol::$Type => Box::new(Upgrading(crate::client!($module::$Type, $policy)))),*
        }
    };
}

fn client(protocol: Protocol, policy: Policy) -> Box<dyn Subject> {
    starttls::for_each_protocol!(upgrading [protocol, policy])
}

macro_rules! serving {
    ([$row:expr, $config:expr] $($module:ident::$Type:ident,)*) => {
        match $row.protocol {
            $(Protocol::$Type => {
                Box::new(Serving::new(crate::server!($module::$Type, $config), $row))
            })*
        }
    };
}

fn server(row: &Row) -> Box<dyn Subject> {
    let config = server::config(row);
    starttls::for_each_protocol!(serving [row, config])
}

/// The machine for the mail of a row.
#[must_use]
pub fn mailing(row: &Row, mail: &Mail, way: Way) -> Box<dyn Subject> {
    match (row.role, row.protocol, way) {
        (Role::Client, Protocol::Smtp, Way::Tls(tls)) => {
            Box::new(Sending::<Tls, Smtp>::new(tls, mail))
        }
        (Role::Client, Protocol::Lmtp, Way::Tls(tls)) => {
            Box::new(Sending::<Tls, Lmtp>::new(tls, mail))
        }
        (Role::Client, Protocol::Smtp, Way::Plaintext(plaintext)) => {
            Box::new(Sending::<Plaintext, Smtp>::new(plaintext, mail))
        }
        (Role::Client, Protocol::Lmtp, Way::Plaintext(plaintext)) => {
            Box::new(Sending::<Plaintext, Lmtp>::new(plaintext, mail))
        }
        (Role::Server, Protocol::Smtp, Way::Tls(tls)) => {
            Box::new(Receiving::<Tls, Smtp>::new(tls, row, mail))
        }
        (Role::Server, Protocol::Lmtp, Way::Tls(tls)) => {
            Box::new(Receiving::<Tls, Lmtp>::new(tls, row, mail))
        }
        (Role::Server, Protocol::Smtp, Way::Plaintext(plaintext)) => {
            Box::new(Receiving::<Plaintext, Smtp>::new(plaintext, row, mail))
        }
        (Role::Server, Protocol::Lmtp, Way::Plaintext(plaintext)) => {
            Box::new(Receiving::<Plaintext, Lmtp>::new(plaintext, row, mail))
        }
        (_, protocol, _) => panic!("{}: {protocol:?} carries no mail", row.id),
    }
}

/// The transport for the mail of a row without an upgrade.
///
/// # Panics
/// If the shortest upgrade fails.
#[must_use]
pub fn way(role: Role, over: Over, tls: Handshake) -> Way {
    match (role, over) {
        (Role::Client, Over::Tls) => Way::Tls(client::tls(tls.into())),
        (Role::Client, Over::ImplicitTls) => {
            let policy = match tls {
                Handshake::Verified => starttls::Policy::Required,
                _ => starttls::Policy::Opportunistic,
            };
            Way::Tls(Tls::implicit(policy, tls.into()).expect("the policy allows it"))
        }
        (Role::Client, Over::Plaintext) => Way::Plaintext(client::plaintext()),
        (Role::Server, Over::Tls) => Way::Tls(server::tls(tls.into())),
        (Role::Server, Over::ImplicitTls) => Way::Tls(Tls::implicit_server_of(tls.into())),
        (Role::Server, Over::Plaintext) => Way::Plaintext(server::plaintext()),
    }
}

/// Steps a machine. In a tight buffer it also checks that a write that does not fit changes nothing.
fn step<'i, M: Machine>(
    machine: &mut M,
    input: &mut &'i [u8],
    output: &mut [u8],
    room: Room,
) -> Result<Step<M::Event<'i>>, Error> {
    if room == Room::Ample {
        return machine.step(input, output);
    }
    let (mut before, was_cut) = (*input, machine.is_cut());
    match machine.step(input, &mut []) {
        Err(too_small @ Error::OutputTooSmall { needed }) => {
            if was_cut {
                // Dropped input is consumed, whether or not the next write fits.
                before = *input;
            }
            assert_eq!(*input, before, "a write consumes input");
            assert!(needed <= M::MAX_OUTPUT, "it writes more than MAX_OUTPUT: {needed}");
            let again = machine.step(input, &mut output[..needed - 1]);
            assert!(matches!(again, Err(error) if error == too_small), "one byte too few");
            assert_eq!(*input, before, "a write consumes input");
            let written = machine.step(input, &mut output[..needed]);
            assert!(matches!(written, Ok(Step::Write(n)) if n == needed), "room enough: {needed}");
            written
        }
        other => other,
    }
}

/// Like [`step`], for the other methods that write.
fn write(
    room: Room,
    output: &mut [u8],
    mut write: impl FnMut(&mut [u8]) -> Result<usize, Error>,
) -> Result<usize, Error> {
    if room == Room::Ample {
        return write(output);
    }
    match write(&mut []) {
        Err(too_small @ Error::OutputTooSmall { needed }) => {
            assert_eq!(write(&mut output[..needed - 1]), Err(too_small), "one byte too few");
            assert_eq!(write(&mut output[..needed]), Ok(needed), "room enough");
            Ok(needed)
        }
        other => other,
    }
}

/// A buffer size that fits every write of our machines.
const OUTPUT: usize = 8192;
