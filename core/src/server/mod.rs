//! The server engine: order, policy, limits and the boundary, shared by all protocols.
//!
//! ```text
//! greeting ── commands ── upgrade requested ── accept ── go-ahead ══ TLS
//!                                           └─ refuse ── commands …
//! ```
//!
//! The order of calls:
//!
//! 1. Build a [`Server`] with the `new` of a protocol's module.
//! 2. Call [`step`](Machine::step). Answer [`Event::Command`] with [`Server::answer`] or
//!    [`Server::unknown`], and [`Event::UpgradeRequested`] with [`Server::accept`] or [`Server::refuse`].
//! 3. On [`Event::UpgradeReady`] call [`Server::into_upgrade`] with all unread bytes. It consumes the
//!    machine.
//! 4. Run the TLS handshake as its server, beginning with [`Upgrade::early`].
//! 5. Call [`Upgrade::established`].
//!
//! Under [`Policy::Opportunistic`], step 2 may return [`Event::Plaintext`]. Then call
//! [`Server::into_plaintext`] or close the connection.

mod config;
#[cfg(test)]
mod diagram;
mod grammar;
mod state;
mod upgrade;
mod verbs;

use core::time::Duration;

pub use config::Config;
pub use grammar::Grammar;
pub use state::{Answer, Command, Said};
pub use upgrade::Upgrade;
pub use verbs::command_by_verb;

use crate::wire::{Framing, Line, Writer};
use crate::{Error, Machine, Plaintext, Policy, Protocol, Reason, Step, Untrusted};
use state::{Facts, State};

/// An event on the way to TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Event<'i> {
    /// The client sent this command, and the engine replies to it.
    ///
    /// The text may be shown and logged. It is empty unless the command is known to carry no secret,
    /// because a misspelt password command still holds the password.
    Received(Untrusted<'i>),
    /// A command that only the application knows. Call [`Server::answer`] or [`Server::unknown`].
    ///
    /// The text is complete and may hold a password: do not show it.
    Command(Untrusted<'i>),
    /// The client asks for the upgrade. Call [`Server::accept`] or [`Server::refuse`].
    UpgradeRequested,
    /// All plaintext is sent. Call [`Server::into_upgrade`] and start the TLS handshake as its server.
    UpgradeReady,
    /// The client continues without TLS, which the policy allows. Call [`Server::into_plaintext`], which
    /// leaves the command unread, or close the connection.
    Plaintext,
    /// The client said goodbye, or was refused a step after which the protocol ends. Close the connection.
    Quit,
}

/// A server on its way from a plaintext connection to TLS.
///
/// Call [`step`](Machine::step), answer [`Event::UpgradeRequested`] and [`Event::Command`], and consume the
/// server with [`into_upgrade`](Self::into_upgrade) at [`Event::UpgradeReady`]. Bytes after the client's
/// request are never parsed (I3).
///
/// [Here](crate::client#a-server) is a complete example.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Server<G: Grammar> {
    grammar: G,
    framing: G::Framing,
    state: State<G::Reply>,
    /// Its `max_errors` and `max_commands` count down.
    config: Config,
    greeted: bool,
    /// The server timed out where it may write no reply, for example after the go-ahead.
    silent: bool,
}

impl<G: Grammar> Server<G> {
    /// A server for `grammar`, at the start of a fresh connection.
    pub fn with_grammar(grammar: G, config: Config) -> Self {
        Self {
            grammar,
            framing: G::Framing::default(),
            state: State::start(G::GREETS),
            config,
            greeted: !G::HELLO_FIRST,
            silent: false,
        }
    }

    /// The protocol's names, ports and ALPN id.
    #[must_use]
    pub const fn protocol(&self) -> Protocol {
        G::PROTOCOL
    }

    /// The grammar with what it has learned so far. It is gone once the machine is consumed.
    #[must_use]
    pub const fn grammar(&self) -> &G {
        &self.grammar
    }

    /// Accepts the upgrade, after [`Event::UpgradeRequested`].
    ///
    /// # Errors
    /// [`Error::OutOfOrder`] if no request is pending.
    pub fn accept(&mut self) -> Result<(), Error> {
        self.decide(true)
    }

    /// Refuses the upgrade for now, after [`Event::UpgradeRequested`]. The refusal counts as a mistake of
    /// the client, which bounds its retries.
    ///
    /// # Errors
    /// [`Error::OutOfOrder`] if no request is pending.
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

    /// Answers an [`Event::Command`] with the application's own lines; returns how many bytes of `output`
    /// to send.
    ///
    /// # Errors
    /// [`Error::OutOfOrder`] if no command is pending or `lines` is empty; [`Error::OutputTooSmall`] if the
    /// lines do not fit. The command stays pending.
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

    /// Reports that the application does not know an [`Event::Command`] either. It counts as a mistake of
    /// the client.
    ///
    /// # Errors
    /// [`Error::OutOfOrder`] if no command is pending.
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

    /// Ends the plaintext phase. `unread` is everything received that the machine has not consumed.
    ///
    /// Bytes that begin a TLS record (0x16) go to the handshake: some clients send their ClientHello
    /// without waiting (RFC 9051 §6.2.1).
    ///
    /// # Errors
    /// [`Error::PlaintextAfterGoAhead`] if the unread bytes are not TLS: an attacker injected commands, as
    /// in CVE-2011-0411 (I3). [`Error::OutOfOrder`] before [`Event::UpgradeReady`]. Close the connection in
    /// both cases.
    pub fn into_upgrade(self, unread: &[u8]) -> Result<Upgrade<'_>, Error> {
        let alpn = if self.grammar.is_direct() { G::PROTOCOL.alpn } else { None };
        self.state.upgrade()?;
        Upgrade::new(unread, alpn)
    }

    /// Continues without TLS, after [`Event::Plaintext`]. The client's command is still unread and belongs
    /// to the next machine.
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
        match self.config.max_errors.checked_sub(1) {
            Some(left) => self.config.max_errors = left,
            None => self.state = State::too_many_errors(),
        }
    }

    fn receive<'i>(&mut self, input: &mut &'i [u8]) -> Result<Step<Event<'i>>, Error> {
        // The input moves only if this machine handles the command: the next one may have to read it.
        let mut rest = *input;
        let Some(frame) = self.framing.next(&mut rest)? else {
            return Ok(Step::Read);
        };
        // A client must not hold the connection with commands that do nothing (I16).
        let Some(left) = self.config.max_commands.checked_sub(1) else {
            *input = rest;
            self.state = State::too_many_errors();
            return Ok(Step::Event(Event::Received(Untrusted::new(b""))));
        };
        self.config.max_commands = left;
        let command = self.grammar.command(frame);
        // Where TLS is required a plain hello is refused, so it introduces no client.
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
        Ok(Step::Event(match self.state {
            State::Failed(error) => return Err(error),
            State::PlaintextWanted => {
                self.state = State::PlaintextWanted.next();
                return Ok(Step::Event(Event::Plaintext));
            }
            State::Answering => {
                *input = rest;
                Event::Command(Untrusted::new(frame))
            }
            _ => {
                *input = rest;
                Event::Received(Untrusted::new(if command.is_public() { frame } else { b"" }))
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
        if let State::Say(reply, then) = self.state {
            let mut out = Writer::new(output);
            self.grammar.print(reply, self.config.available, &mut out);
            let written = out.finish()?;
            // Before the go-ahead leaves, so that no byte after it is dropped (I3).
            if matches!(reply, Said::Engine(Answer::GoAhead)) {
                drop_blanks(input, G::MAX_BLANKS);
            }
            self.state = State::after_reply(then, self.grammar.ends(reply));
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
            State::PlaintextWanted
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
                // On the caller's turn the go-ahead may have left, and then only TLS may follow.
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

    fn begins_wait(&self) -> bool {
        !matches!(self.state, State::Await)
    }

    /// The farewell; empty after the go-ahead, where only TLS may follow.
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

/// Drops up to `most` bytes of white space from the front of the input.
fn drop_blanks(input: &mut &[u8], most: usize) {
    for _ in 0..most {
        let [b' ' | b'\t' | b'\r' | b'\n', rest @ ..] = *input else { return };
        *input = rest;
    }
}
