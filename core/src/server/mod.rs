//! The server's engine: order, policy, limits and the boundary, once for all protocols.

#[cfg(test)]
mod diagram;
mod state;
mod verbs;

use core::time::Duration;

pub use state::{Answer, Command, Said};
pub use verbs::command_by_verb;

use crate::conceal::conceal;
use crate::settings::settings;
use crate::wire::{Framing, Line, Writer};
use crate::{Error, Machine, Plaintext, Policy, Protocol, Reason, Step, Tls, Untrusted};
use state::{Facts, State};

/// What the engine must know of a protocol in the server role; [`client`](crate::client#a-server) has a whole
/// one as an example.
pub trait Grammar {
    /// How its octets are cut into frames.
    type Framing: Framing;

    /// The replies that the grammar has besides the engine's.
    type Reply: Copy;

    /// Names and numbers.
    const PROTOCOL: Protocol;

    /// The longest reply with arguments of the largest size, in octets.
    const MAX_OUTPUT: usize;

    /// Whether the server speaks first.
    const GREETS: bool = true;

    /// Whether a client has to introduce itself before anything else.
    const HELLO_FIRST: bool = false;

    /// What `frame` asks for.
    fn command(&mut self, frame: &[u8]) -> Command<Self::Reply>;

    /// Prints what is said; `offer` says whether the upgrade is to be listed. Where it prints nothing,
    /// nothing is sent.
    fn print(&self, said: Said<Self::Reply>, offer: bool, out: &mut Writer<'_>);

    /// Whether the connection ends after `said`, where the client could otherwise go on.
    fn ends(&self, said: Said<Self::Reply>) -> bool {
        let _ = said;
        false
    }

    /// Prints an application's own line; in most protocols its end is CRLF.
    fn line(&self, line: Line<'_>, out: &mut Writer<'_>) {
        out.put(line.as_str().as_bytes());
        out.put(b"\r\n");
    }

    /// Whether the client began with TLS, so that nothing in plaintext said which protocol is meant.
    fn is_direct(&self) -> bool {
        false
    }

    /// How long waiting for a command is reasonable.
    const WAIT: Duration;
}

/// What happens on the way to TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Event<'i> {
    /// The client said this; it may be shown or logged, the engine answers it. Empty where it would
    /// show credentials.
    Received(Untrusted<'i>),
    /// A command that only the application knows: call [`Server::answer`] or
    /// [`Server::unknown`].
    Command(Untrusted<'i>),
    /// The client asks for the upgrade: call [`Server::accept`] or [`Server::refuse`].
    UpgradeRequested,
    /// Everything in plaintext is sent: call [`Server::into_upgrade`] and start the TLS handshake
    /// as its server.
    UpgradeReady,
    /// The client goes on without TLS, which the policy allows: call
    /// [`Server::into_plaintext`], with its command still unread, or close.
    Plaintext,
    /// The client said goodbye and was answered, or was refused what ends the connection: close.
    Quit,
}

settings! {
    /// How a [`Server`] behaves; the default demands TLS and has it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Config {
        /// Whether clients may do anything without TLS. A public mail exchanger must not require it
        /// (RFC 3207 §4); a submission server should.
        policy, with_policy: Policy,
        /// Whether TLS can be had. If not, it is not offered, and who asks for it is told to come back.
        available, with_available: bool,
        /// How many mistakes a client may make before the connection is closed.
        max_errors, with_max_errors: u8,
    }
}

impl Default for Config {
    fn default() -> Self {
        Self { policy: Policy::Required, available: true, max_errors: 10 }
    }
}

/// A server on its way from a plaintext connection to TLS.
///
/// Drive it with [`step`](Machine::step); answer [`Event::UpgradeRequested`] and
/// [`Event::Command`]; at [`Event::UpgradeReady`] give it up with
/// [`into_upgrade`](Self::into_upgrade). Octets behind the client's request are never parsed.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Server<G: Grammar> {
    grammar: G,
    framing: G::Framing,
    state: State<G::Reply>,
    config: Config,
    errors: u8,
    greeted: bool,
    /// It was stopped where no reply may be written, behind the go-ahead above all.
    silent: bool,
}

impl<G: Grammar> Server<G> {
    /// A server at the start of a fresh connection.
    pub fn with_grammar(grammar: G, config: Config) -> Self {
        Self {
            grammar,
            framing: G::Framing::default(),
            state: State::start(G::GREETS),
            config,
            errors: 0,
            greeted: !G::HELLO_FIRST,
            silent: false,
        }
    }

    /// The names and numbers of the protocol.
    #[must_use]
    pub const fn protocol(&self) -> Protocol {
        G::PROTOCOL
    }

    /// What the grammar knows so far; it is gone with the machine.
    #[must_use]
    pub const fn grammar(&self) -> &G {
        &self.grammar
    }

    /// Lets the upgrade happen, after [`Event::UpgradeRequested`].
    ///
    /// # Errors
    /// [`Error::OutOfOrder`] if nobody asked.
    pub fn accept(&mut self) -> Result<(), Error> {
        self.decide(true)
    }

    /// Refuses the upgrade for now, after [`Event::UpgradeRequested`]; the client may try again, as
    /// often as it may make mistakes.
    ///
    /// # Errors
    /// [`Error::OutOfOrder`] if nobody asked.
    pub fn refuse(&mut self) -> Result<(), Error> {
        self.decide(false)
    }

    fn decide(&mut self, accepted: bool) -> Result<(), Error> {
        match self.state {
            State::Deciding => {
                self.state = State::decided(accepted);
                if !accepted {
                    self.mistake();
                }
                Ok(())
            }
            State::Failed(error) => Err(error),
            _ => Err(Error::OutOfOrder),
        }
    }

    /// Answers a [`Event::Command`] with lines of the application's own; says how many octets of
    /// `output` to send.
    ///
    /// # Errors
    /// [`Error::OutOfOrder`] if no command is unanswered or there is no line, and
    /// [`Error::OutputTooSmall`] if the lines do not fit: nothing is answered then.
    pub fn answer(&mut self, lines: &[Line<'_>], output: &mut [u8]) -> Result<usize, Error> {
        match self.state {
            State::Answering if !lines.is_empty() => {
                let mut out = Writer::new(output);
                for line in lines {
                    self.grammar.line(*line, &mut out);
                }
                let written = out.finish()?;
                self.state = State::Answering.next();
                Ok(written)
            }
            State::Failed(error) => Err(error),
            _ => Err(Error::OutOfOrder),
        }
    }

    /// Says that the application does not know an [`Event::Command`] either, which counts as a
    /// mistake.
    ///
    /// # Errors
    /// [`Error::OutOfOrder`] if no command is unanswered.
    pub fn unknown(&mut self) -> Result<(), Error> {
        match self.state {
            State::Answering => {
                self.state = State::unknown();
                self.mistake();
                Ok(())
            }
            State::Failed(error) => Err(error),
            _ => Err(Error::OutOfOrder),
        }
    }

    /// Gives up the plaintext machine. `unread` is everything received that it has not consumed.
    ///
    /// Octets that begin a TLS record (0x16) are handed on: some clients send their ClientHello
    /// without waiting (RFC 9051 §6.2.1).
    ///
    /// # Errors
    /// [`Error::PlaintextAfterGoAhead`] if the unread octets are no TLS: somebody injected commands
    /// (CVE-2011-0411 and its like). [`Error::OutOfOrder`] before [`Event::UpgradeReady`]. The
    /// connection must be closed.
    pub fn into_upgrade(self, unread: &[u8]) -> Result<Upgrade<'_>, Error> {
        let alpn = if self.grammar.is_direct() { G::PROTOCOL.alpn } else { None };
        self.state.upgrade(unread).map(|()| Upgrade { early: unread, alpn })
    }

    /// Goes on without TLS, after [`Event::Plaintext`]. The command that led here is still unread:
    /// it belongs to the machine that follows.
    ///
    /// # Errors
    /// [`Error::OutOfOrder`] before the event.
    pub fn into_plaintext(self) -> Result<Plaintext, Error> {
        self.state.plaintext().map(|()| Plaintext { reason: Reason::NotAsked })
    }

    fn fail(&mut self, error: Error) -> Error {
        self.state = State::Failed(error);
        error
    }

    fn mistake(&mut self) {
        self.errors = self.errors.saturating_add(1);
        if self.errors > self.config.max_errors {
            self.state = State::too_many_errors();
        }
    }

    fn receive<'i>(&mut self, input: &mut &'i [u8]) -> Result<Step<Event<'i>>, Error> {
        let mut rest = *input;
        let Some(frame) = self.framing.next(&mut rest)? else {
            return Ok(Step::Read);
        };
        let command = self.grammar.command(frame);
        self.greeted |= matches!(command, Command::Hello(_))
            | (matches!(command, Command::PlainHello(_))
                & (self.config.policy == Policy::Opportunistic));
        let facts = Facts {
            policy: self.config.policy,
            available: self.config.available,
            greeted: self.greeted,
        };
        let (state, fault) = State::after(command, facts);
        self.state = state;
        if fault {
            self.mistake();
        }
        let said = Untrusted(if matches!(command, Command::Credentials) { b"" } else { frame });
        Ok(Step::Event(match self.state {
            State::Failed(error) => return Err(error),
            State::Unasked => {
                self.state = State::Unasked.next();
                return Ok(Step::Event(Event::Plaintext));
            }
            State::Answering => {
                *input = rest;
                Event::Command(said)
            }
            _ => {
                *input = rest;
                Event::Received(said)
            }
        }))
    }
}

impl<G: Grammar> Machine for Server<G> {
    type Event<'i> = Event<'i>;

    const MAX_INPUT: usize = G::Framing::MAX_FRAME;
    const MAX_OUTPUT: usize = G::MAX_OUTPUT;

    fn step<'i>(
        &mut self,
        input: &mut &'i [u8],
        output: &mut [u8],
    ) -> Result<Step<Event<'i>>, Error> {
        if let State::Say(said, then) = self.state {
            let mut out = Writer::new(output);
            self.grammar.print(said, self.config.available, &mut out);
            let written = out.finish()?;
            self.state = State::said(then, self.grammar.ends(said));
            if written != 0 {
                return Ok(Step::Write(written));
            }
        }
        match self.state {
            State::Await => self.receive(input).map_err(|error| self.fail(error)),
            State::Asked => {
                self.state = State::Asked.next();
                Ok(Step::Event(Event::UpgradeRequested))
            }
            State::GoAhead => {
                self.state = State::GoAhead.next();
                Ok(Step::Event(Event::UpgradeReady))
            }
            State::Leaving => {
                self.state = State::Leaving.next();
                Ok(Step::Event(Event::Quit))
            }
            State::Unasked
            | State::Deciding
            | State::Answering
            | State::Say(..)
            | State::Plaintext
            | State::Ready
            | State::Closed => Err(Error::OutOfOrder),
            State::Failed(error) => Err(error),
        }
    }

    fn end_of_input(&mut self) -> Result<(), Error> {
        match self.state {
            State::Leaving | State::Closed => Ok(()),
            State::Failed(error) => Err(error),
            _ => Err(self.fail(Error::Closed)),
        }
    }

    fn timed_out(&mut self) -> Error {
        match self.state {
            State::Failed(error) => error,
            _ => {
                self.silent = self.wait().is_none();
                self.fail(Error::TimedOut)
            }
        }
    }

    fn wait(&self) -> Option<Duration> {
        matches!(self.state, State::Await).then_some(G::WAIT)
    }

    fn needs_flush(&self) -> bool {
        matches!(self.state, State::GoAhead | State::Leaving)
    }

    /// Nothing after the go-ahead.
    fn farewell(&self, output: &mut [u8]) -> Result<usize, Error> {
        let (State::Failed(error), false) = (self.state, self.silent) else {
            return Ok(0);
        };
        let answer = match error {
            Error::TimedOut => Answer::TooSlow,
            Error::FrameTooLong => Answer::TooLong,
            Error::BareCr | Error::BareLf | Error::Nul | Error::Syntax | Error::Foreign => {
                Answer::Malformed
            }
            _ => return Ok(0),
        };
        let mut out = Writer::new(output);
        self.grammar.print(Said::Engine(answer), false, &mut out);
        out.finish()
    }
}

/// The plaintext machine is gone; the TLS handshake is under way, as its server.
#[must_use = "early octets belong to the handshake"]
#[derive(PartialEq, Eq)]
pub struct Upgrade<'i> {
    early: &'i [u8],
    alpn: Option<&'static [u8]>,
}

conceal!("Upgrade", Upgrade<'_>);

impl<'i> Upgrade<'i> {
    /// What the client sent ahead of the go-ahead: feed it to TLS before anything from the network.
    #[must_use]
    pub const fn early(&self) -> &'i [u8] {
        self.early
    }

    /// The ALPN id that the handshake has to end with: where nothing in plaintext said which protocol is
    /// meant, nothing else keeps a client of another protocol from being led here. [`Error::Foreign`] is
    /// what a handshake without it fails by.
    #[must_use]
    pub const fn alpn(&self) -> Option<&'static [u8]> {
        self.alpn
    }

    /// The handshake succeeded. If it fails, drop this and close the connection: there is no way
    /// back to plaintext.
    #[must_use]
    pub const fn established(self) -> Tls {
        Tls::of_server(false)
    }
}
