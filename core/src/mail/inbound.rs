//! A connection that takes mail, from its first byte to its last.

use core::mem;
use core::time::Duration;

use super::opening::max;
use super::receiver::{self, Answer, Config, Receiver};
use crate::boundary::AnyChannel;
use crate::smtp::{Dialect, Domain, ServerGrammar, Smtp};
use crate::{Channel as _, Error, Machine, Server, Step, Tls, Untrusted, server};

/// What happens on a connection that takes mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Event<'i> {
    /// The client said this on the way to TLS; it may be shown. Empty where it would show credentials.
    Received(Untrusted<'i>),
    /// Everything in plaintext is sent: make the TLS handshake as its server, and call [`Inbound::encrypted`].
    /// What is unread belongs to the handshake: hand it to TLS before anything from the network.
    StartTls,
    /// The client goes on without TLS, which the policy allows.
    Plaintext,
    /// See [`receiver::Event`]: those marked *judge* wait for [`Inbound::accept`] or [`Inbound::answer`].
    Receiver(receiver::Event<'i>),
    /// The client said goodbye and was answered: close.
    Quit,
}

/// A connection that takes mail, from the greeting to the goodbye: the upgrade, TLS, a [`Receiver`].
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Inbound<'a, D: Dialect = Smtp> {
    stage: Stage<'a, D>,
    domain: Domain<'a>,
    config: Config,
}

#[derive(Debug)]
enum Stage<'a, D: Dialect> {
    Plaintext(Server<ServerGrammar<'a, D>>),
    /// TLS comes first; the caller is to be told.
    Implicit,
    /// The handshake is the caller's, and leads to this.
    Handshake(Tls),
    Receiver(Receiver<'a, AnyChannel, D>),
    Over(Error),
}

impl<'a, D: Dialect> Inbound<'a, D> {
    /// A connection that begins in plaintext; the server introduces itself as `domain`.
    #[must_use]
    pub fn new(domain: Domain<'a>, upgrade: server::Config, config: Config) -> Self {
        Self { stage: Stage::Plaintext(Opening::<'_, D>::new(domain, upgrade)), domain, config }
    }

    /// A connection that begins with TLS, on a port of its own (RFC 8314 §3): the first event is
    /// [`Event::StartTls`].
    #[must_use]
    pub const fn implicit(domain: Domain<'a>, config: Config) -> Self {
        Self { stage: Stage::Implicit, domain, config }
    }

    /// TLS is up, after [`Event::StartTls`]. If the handshake fails, drop this and close the connection: there
    /// is no way back to plaintext.
    ///
    /// # Errors
    /// [`Error::OutOfOrder`] before the event.
    pub fn encrypted(&mut self) -> Result<(), Error> {
        match mem::replace(&mut self.stage, Stage::Over(Error::OutOfOrder)) {
            Stage::Handshake(tls) => {
                self.receive(AnyChannel::Tls(tls));
                Ok(())
            }
            stage => {
                self.stage = stage;
                Err(Error::OutOfOrder)
            }
        }
    }

    fn receive(&mut self, channel: AnyChannel) {
        self.stage = Stage::Receiver(Receiver::new(channel, self.domain, self.config));
    }

    /// The receiver, once there is one.
    fn receiver(&mut self) -> Result<&mut Receiver<'a, AnyChannel, D>, Error> {
        match &mut self.stage {
            Stage::Receiver(receiver) => Ok(receiver),
            Stage::Over(error) => Err(*error),
            _ => Err(Error::OutOfOrder),
        }
    }

    /// Whether the connection is encrypted by now.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        matches!(&self.stage, Stage::Receiver(receiver) if !receiver.channel().is_plaintext())
    }

    /// See [`Receiver::is_chunked`].
    #[must_use]
    pub const fn is_chunked(&self) -> bool {
        matches!(&self.stage, Stage::Receiver(receiver) if receiver.is_chunked())
    }

    /// Says yes to what the last event asked.
    ///
    /// # Errors
    /// [`Error::OutOfOrder`] if nothing was asked.
    pub fn accept(&mut self) -> Result<(), Error> {
        self.receiver()?.accept()
    }

    /// Answers what the last event asked, 2yz for yes; says how many bytes of `output` to send.
    ///
    /// # Errors
    /// Those of [`Receiver::answer`].
    pub fn answer(&mut self, answer: Answer<'_>, output: &mut [u8]) -> Result<usize, Error> {
        self.receiver()?.answer(answer, output)
    }

    /// In plaintext.
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
            server::Event::Received(said) => Event::Received(said),
            server::Event::Command(said) => {
                server.unknown()?;
                Event::Received(said)
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

    /// Leaves the plaintext machine, to TLS or on without.
    fn cross<'i>(&mut self, event: server::Event<'_>, unread: &[u8]) -> Result<Event<'i>, Error> {
        match (event, mem::replace(&mut self.stage, Stage::Over(Error::OutOfOrder))) {
            (server::Event::UpgradeReady, Stage::Plaintext(server)) => {
                let upgrade = server.into_upgrade(unread);
                let upgrade = upgrade.inspect_err(|error| self.stage = Stage::Over(*error))?;
                self.stage = Stage::Handshake(upgrade.established());
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
                self.stage = Stage::Handshake(Tls::implicit_server());
                Ok(Step::Event(Event::StartTls))
            }
            Stage::Receiver(receiver) => Ok(match receiver.step(input, output)? {
                Step::Read => Step::Read,
                Step::Write(n) => Step::Write(n),
                Step::Event(receiver::Event::Quit) => Step::Event(Event::Quit),
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
