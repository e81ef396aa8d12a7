//! The task of a whole connection that receives mail.
//!
//! The order of calls:
//!
//! 1. Build an [`Inbound`] with [`new`](Inbound::new) or [`implicit`](Inbound::implicit), and drive it.
//! 2. On [`Event::StartTls`] run the TLS handshake as its server, and call
//!    [`encrypted`](Inbound::encrypted).
//! 3. Answer the events of the receiver with [`accept`](Inbound::accept) or [`answer`](Inbound::answer).
//! 4. On [`Event::Quit`] close the connection.

use core::mem;
use core::time::Duration;

use super::opening::max;
use super::receiver::{self, Answer, Config, Receiver, Scram};
use crate::boundary::AnyChannel;
use crate::smtp::{Dialect, Domain, ServerGrammar, Smtp};
use crate::{Channel as _, Error, Machine, Server, Step, Tls, Untrusted, Verification, server};

/// An event on a connection that receives mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Event<'i> {
    /// The client sent this on the way to TLS. Show or log it. It is empty if it might show credentials.
    Received(Untrusted<'i>),
    /// The plaintext phase is over. Run the TLS handshake as its server, and call [`Inbound::encrypted`].
    /// Pass the unread bytes to TLS before any byte from the network.
    StartTls,
    /// The client continues without TLS, which the policy allows.
    Plaintext,
    /// An event of the receiver. Events marked *judge* wait for [`Inbound::accept`] or [`Inbound::answer`].
    Receiver(receiver::Event<'i>),
    /// The client said goodbye and got its reply. Close the connection.
    Quit,
}

/// A connection that receives mail, from the greeting to the goodbye: the upgrade, TLS, and a [`Receiver`].
///
/// ```
/// use starttls::mail::inbound::{Event, Inbound};
/// use starttls::mail::receiver::Config;
/// use starttls::{Machine, Step, server, smtp};
///
/// let domain = smtp::Domain::new("mx.example.org").unwrap();
/// let mut inbound: Inbound<'_> = Inbound::new(domain, server::Config::default(), Config::default());
/// let (mut input, mut output) = (&b""[..], [0; 512]);
/// assert_eq!(inbound.step(&mut input, &mut output), Ok(Step::Write(26)));
/// assert_eq!(&output[..26], b"220 mx.example.org ESMTP\r\n");
/// ```
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Inbound<'a, D: Dialect = Smtp> {
    stage: Stage<'a, D>,
    domain: Domain<'a>,
    config: Config,
}

#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum Stage<'a, D: Dialect> {
    Plaintext(Server<ServerGrammar<'a, D>>),
    /// TLS is implicit. The event is due.
    Implicit,
    /// The caller runs the handshake; true if TLS is implicit.
    Handshake(bool),
    Receiver(Receiver<'a, AnyChannel, D>),
    Over(Error),
}

impl<'a, D: Dialect> Inbound<'a, D> {
    /// A connection that begins in plaintext. The server introduces itself as `domain`.
    ///
    /// If the policy allows plaintext, the client may also ask for TLS between two mails.
    #[must_use]
    pub fn new(domain: Domain<'a>, upgrade: server::Config, config: Config) -> Self {
        let config = config.with_start_tls(upgrade.available());
        Self { stage: Stage::Plaintext(Opening::<'_, D>::new(domain, upgrade)), domain, config }
    }

    /// A connection with implicit TLS (RFC 8314 §3). The first event is [`Event::StartTls`].
    #[must_use]
    pub const fn implicit(domain: Domain<'a>, config: Config) -> Self {
        Self { stage: Stage::Implicit, domain, config }
    }

    /// Whether the caller has to run the TLS handshake: from [`Event::StartTls`] to
    /// [`encrypted`](Self::encrypted).
    #[must_use]
    pub const fn awaits_tls(&self) -> bool {
        matches!(self.stage, Stage::Handshake(_))
    }

    /// Reports a successful handshake, after [`Event::StartTls`], with a client that showed no certificate.
    /// If the handshake fails, drop this value and close the connection: there is no way back to plaintext.
    ///
    /// # Errors
    /// [`Error::OutOfOrder`] before the event.
    pub fn encrypted(&mut self) -> Result<(), Error> {
        self.encrypted_with(Verification::Unverified)
    }

    /// Like [`encrypted`](Self::encrypted). Pass [`Verification::Verified`] if the client showed a
    /// certificate that the server accepted. It may log in with that if [`Config::proof`] allows it.
    ///
    /// # Errors
    /// Those of [`encrypted`](Self::encrypted).
    pub fn encrypted_with(&mut self, client: Verification) -> Result<(), Error> {
        match mem::replace(&mut self.stage, Stage::Over(Error::OutOfOrder)) {
            Stage::Handshake(implicit) => {
                self.receive(AnyChannel::Tls(Tls::of_server(implicit, client)));
                Ok(())
            }
            stage => {
                self.stage = stage;
                Err(Error::OutOfOrder)
            }
        }
    }

    /// Tells, before [`encrypted`](Self::encrypted), that this TLS connection has no channel binding, so that
    /// no mechanism that needs one is offered (RFC 5802 §6).
    pub fn cannot_bind(&mut self) {
        if self.config.scram == Scram::Bound {
            self.config.scram = Scram::Unbound;
        }
    }

    fn receive(&mut self, channel: AnyChannel) {
        self.stage = Stage::Receiver(Receiver::new(channel, self.domain, self.config));
    }

    /// The receiver, if the connection has reached it.
    fn receiver(&mut self) -> Result<&mut Receiver<'a, AnyChannel, D>, Error> {
        match &mut self.stage {
            Stage::Receiver(receiver) => Ok(receiver),
            Stage::Over(error) => Err(*error),
            _ => Err(Error::OutOfOrder),
        }
    }

    /// Whether the connection is encrypted now.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        matches!(&self.stage, Stage::Receiver(receiver) if !receiver.channel().is_plaintext())
    }

    /// Whether the current message comes in chunks, see [`Receiver::is_chunked`].
    #[must_use]
    pub const fn is_chunked(&self) -> bool {
        matches!(&self.stage, Stage::Receiver(receiver) if receiver.is_chunked())
    }

    /// Whether the client introduced itself by `EHLO` or `LHLO`, see [`Receiver::is_extended`].
    #[must_use]
    pub const fn is_extended(&self) -> bool {
        matches!(&self.stage, Stage::Receiver(receiver) if receiver.is_extended())
    }

    /// Accepts what the last event asks for.
    ///
    /// # Errors
    /// [`Error::OutOfOrder`] if the last event asks for nothing.
    pub fn accept(&mut self) -> Result<(), Error> {
        self.receiver()?.accept()
    }

    /// Answers the last event with a reply; 2yz accepts. Returns how many bytes of `output` to send.
    ///
    /// # Errors
    /// Those of [`Receiver::answer`].
    pub fn answer(&mut self, answer: Answer<'_>, output: &mut [u8]) -> Result<usize, Error> {
        self.receiver()?.answer(answer, output)
    }

    /// Sends the server's message of an exchange by SCRAM, see [`Receiver::challenge`].
    ///
    /// # Errors
    /// Those of [`Receiver::challenge`].
    #[cfg(feature = "scram")]
    pub fn challenge(
        &mut self,
        exchange: &receiver::ScramExchange,
        output: &mut [u8],
    ) -> Result<usize, Error> {
        self.receiver()?.challenge(exchange, output)
    }

    /// A step of the plaintext phase.
    fn upgrade<'i>(
        &mut self,
        input: &mut &'i [u8],
        output: &mut [u8],
    ) -> Result<Step<Event<'i>>, Error> {
        let Stage::Plaintext(server) = &mut self.stage else { return Err(Error::OutOfOrder) };
        let event = match server.step(input, output)? {
            Step::Read => return Ok(Step::Read),
            Step::Write(n) => return Ok(Step::Write(n)),
            Step::Event(event) => event,
        };
        Ok(Step::Event(match event {
            server::Event::Received(text) => Event::Received(text),
            // An unknown command may hold a password, so its text is not shown.
            server::Event::Command(_) => {
                server.unknown()?;
                Event::Received(Untrusted::new(b""))
            }
            server::Event::UpgradeRequested => {
                server.accept()?;
                return self.upgrade(input, output);
            }
            server::Event::Quit => Event::Quit,
            server::Event::UpgradeReady | server::Event::Plaintext => {
                return self.cross(event, input).map(Step::Event);
            }
        }))
    }

    /// Leaves a receiver in plaintext for TLS.
    fn start_tls<'i>(&mut self, unread: &[u8]) -> Result<Event<'i>, Error> {
        let stage = mem::replace(&mut self.stage, Stage::Over(Error::OutOfOrder));
        let Stage::Receiver(receiver) = stage else { return Err(Error::OutOfOrder) };
        let upgrade = receiver.into_upgrade(unread).map(drop);
        upgrade.inspect_err(|error| self.stage = Stage::Over(*error))?;
        self.stage = Stage::Handshake(false);
        Ok(Event::StartTls)
    }

    /// Leaves the plaintext machine, for TLS or for a receiver in plaintext.
    fn cross<'i>(&mut self, event: server::Event<'_>, unread: &[u8]) -> Result<Event<'i>, Error> {
        match (event, mem::replace(&mut self.stage, Stage::Over(Error::OutOfOrder))) {
            (server::Event::UpgradeReady, Stage::Plaintext(server)) => {
                let upgrade = server.into_upgrade(unread).map(drop);
                upgrade.inspect_err(|error| self.stage = Stage::Over(*error))?;
                self.stage = Stage::Handshake(false);
                Ok(Event::StartTls)
            }
            (_, Stage::Plaintext(server)) => {
                self.receive(AnyChannel::Plaintext(server.into_plaintext()?));
                Ok(Event::Plaintext)
            }
            _ => Err(Error::OutOfOrder),
        }
    }
}

impl<D: Dialect> Machine for Inbound<'_, D> {
    type Event<'i> = Event<'i>;

    const MAX_INPUT: usize = max(Opening::<'_, D>::MAX_INPUT, Taking::<'_, D>::MAX_INPUT);
    const MAX_OUTPUT: usize = max(Opening::<'_, D>::MAX_OUTPUT, Taking::<'_, D>::MAX_OUTPUT);

    fn step<'i>(
        &mut self,
        input: &mut &'i [u8],
        output: &mut [u8],
    ) -> Result<Step<Event<'i>>, Error> {
        match &mut self.stage {
            Stage::Plaintext(_) => self.upgrade(input, output),
            Stage::Implicit => {
                self.stage = Stage::Handshake(true);
                Ok(Step::Event(Event::StartTls))
            }
            Stage::Receiver(receiver) => Ok(match receiver.step(input, output)? {
                Step::Read => Step::Read,
                Step::Write(n) => Step::Write(n),
                Step::Event(receiver::Event::Quit) => Step::Event(Event::Quit),
                Step::Event(receiver::Event::StartTls) => {
                    return self.start_tls(input).map(Step::Event);
                }
                Step::Event(event) => Step::Event(Event::Receiver(event)),
            }),
            Stage::Handshake(_) => Err(Error::OutOfOrder),
            Stage::Over(error) => Err(*error),
        }
    }

    fn end_of_input(&mut self) -> Result<(), Error> {
        match &mut self.stage {
            Stage::Plaintext(server) => server.end_of_input(),
            Stage::Receiver(receiver) => receiver.end_of_input(),
            Stage::Over(error) => Err(*error),
            Stage::Implicit | Stage::Handshake(_) => Err(Error::Closed),
        }
    }

    fn timed_out(&mut self) -> Error {
        match &mut self.stage {
            Stage::Plaintext(server) => server.timed_out(),
            Stage::Receiver(receiver) => receiver.timed_out(),
            Stage::Over(error) => *error,
            Stage::Implicit | Stage::Handshake(_) => Error::TimedOut,
        }
    }

    fn wait(&self) -> Option<Duration> {
        match &self.stage {
            Stage::Plaintext(server) => server.wait(),
            Stage::Receiver(receiver) => receiver.wait(),
            _ => None,
        }
    }

    fn needs_flush(&self) -> bool {
        match &self.stage {
            Stage::Plaintext(server) => server.needs_flush(),
            Stage::Receiver(receiver) => receiver.needs_flush(),
            _ => false,
        }
    }

    fn begins_wait(&self) -> bool {
        match &self.stage {
            Stage::Plaintext(server) => server.begins_wait(),
            Stage::Receiver(receiver) => receiver.begins_wait(),
            _ => true,
        }
    }

    fn farewell(&self, output: &mut [u8]) -> Result<usize, Error> {
        match &self.stage {
            Stage::Plaintext(server) => server.farewell(output),
            Stage::Receiver(receiver) => receiver.farewell(output),
            _ => Ok(0),
        }
    }
}

type Opening<'a, D> = Server<ServerGrammar<'a, D>>;
type Taking<'a, D> = Receiver<'a, AnyChannel, D>;
