//! The client's engine: order, policy, limits and the boundary, once for all protocols.
//!
//! ```text
//! greeting ─ capabilities ─ upgrade ─ go-ahead ═ TLS
//! ```
//!
//! Protocols are [`Grammar`]s; a grammar frames octets, says what a frame means and prints requests.
//! It makes no decision.
//!
#![doc = include_str!("../../GRAMMAR.md")]

#[cfg(test)]
mod diagram;
mod state;

use core::time::Duration;

pub use state::{Phase, Reply};

use crate::wire::{Framing, Writer};
use crate::{
    Error, Machine, Plaintext, Policy, Protocol, Reason, Step, Tls, Untrusted, Verification,
};
use state::State;

/// How many frames one answer may have.
pub const MAX_FRAMES: u8 = 128;

/// What the engine must know of a protocol in the client role.
pub trait Grammar {
    /// How its octets are cut into frames.
    type Framing: Framing;

    /// Names and numbers.
    const PROTOCOL: Protocol;

    /// The longest request with arguments of the largest size, in octets.
    const MAX_OUTPUT: usize;

    /// The phase in which a connection begins. In any but [`Phase::Greeting`] the client speaks first.
    const FIRST: Phase = Phase::Greeting;

    /// Whether [`Phase::Fallback`] exists: a client that is refused capabilities can introduce itself
    /// in another way. Taken only where the policy allows plaintext.
    const HAS_FALLBACK: bool = false;

    /// Whether the server answers the request of [`Phase::Upgrade`]. If not, TLS starts behind it, and
    /// only a server that offered the upgrade may be asked.
    const HAS_GO_AHEAD: bool = true;

    /// Whether servers say things that nobody asked for, see [`unasked`](Self::unasked).
    const IS_CHATTY: bool = false;

    /// What `frame` says while the answer of `phase` is awaited.
    ///
    /// # Errors
    /// The frame breaks the protocol, or it is a refusal behind which the protocol has the connection
    /// end ([`Error::Refused`]).
    fn reply(&mut self, phase: Phase, frame: &[u8]) -> Result<Reply, Error>;

    /// What `frame` says that comes while it is the client's turn: [`Reply::More`] where it is none of
    /// our business, [`Reply::Closing`] where it is the server's last. Anything else is an answer
    /// without a question, and an error.
    ///
    /// # Errors
    /// The frame breaks the protocol.
    fn unasked(&mut self, frame: &[u8]) -> Result<Reply, Error> {
        let _ = frame;
        Err(Error::Unsolicited)
    }

    /// Whether to ask for the upgrade: the capabilities read so far include it, or the protocol has
    /// clients ask for it even if they do not.
    fn offers_upgrade(&self) -> bool;

    /// Whether the client has more to ask in `phase`, in which the last reply was [`Reply::Yes`].
    fn asks_on(&self, phase: Phase) -> bool {
        let _ = phase;
        false
    }

    /// Prints the request of `phase`.
    fn request(&self, phase: Phase, out: &mut Writer<'_>);

    /// How long waiting for the answer of `phase` is reasonable.
    fn wait(&self, phase: Phase) -> Duration;
}

/// What happens on the way to TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Event<'i> {
    /// The server said this; it may be shown or logged, it means nothing.
    Received(Untrusted<'i>),
    /// Everything in plaintext is sent and read: call [`Client::into_upgrade`] and start the TLS
    /// handshake as its client.
    UpgradeReady,
    /// There is no upgrade and the policy lets the connection go on without: call
    /// [`Client::into_plaintext`] or close.
    Plaintext(Reason),
}

/// A client on its way from a plaintext connection to TLS.
///
/// Drive it with [`step`](Machine::step) until [`Event::UpgradeReady`], then give it up with
/// [`into_upgrade`](Self::into_upgrade). Under [`Policy::Required`] there is no other way out.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Client<G: Grammar> {
    grammar: G,
    framing: G::Framing,
    state: State,
    policy: Policy,
    frames: u8,
}

impl<G: Grammar> Client<G> {
    /// A client at the start of a fresh connection.
    pub fn with_grammar(grammar: G, policy: Policy) -> Self {
        Self {
            grammar,
            framing: G::Framing::default(),
            state: State::start(G::FIRST),
            policy,
            frames: 0,
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

    /// What the caller demands of the connection.
    #[must_use]
    pub const fn policy(&self) -> Policy {
        self.policy
    }

    /// Gives up the plaintext machine. `unread` is everything received that it has not consumed.
    ///
    /// # Errors
    /// [`Error::PlaintextAfterGoAhead`] if there is anything unread, a partial line included: a TLS
    /// server never speaks first, so somebody injected it (CVE-2021-38371 and its like).
    /// [`Error::OutOfOrder`] before [`Event::UpgradeReady`]. The connection must be closed.
    pub fn into_upgrade(self, unread: &[u8]) -> Result<Upgrade, Error> {
        self.state.upgrade(unread.len()).map(|()| Upgrade { policy: self.policy })
    }

    /// Goes on without TLS, after [`Event::Plaintext`].
    ///
    /// # Errors
    /// [`Error::Unsolicited`] if anything is unread, [`Error::OutOfOrder`] before the event.
    pub fn into_plaintext(self, unread: &[u8]) -> Result<Plaintext, Error> {
        self.state.plaintext(unread.len()).map(|reason| Plaintext { reason })
    }

    fn fail(&mut self, error: Error) -> Error {
        self.state = State::Failed(error);
        error
    }

    /// Steps in the states in which nothing is read.
    ///
    /// Apart from [`step`](Machine::step), so that octets that come one by one pay for one comparison.
    #[cold]
    fn act<'i>(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step<Event<'i>>, Error> {
        match self.state {
            // A reply that is there before the request cannot be its answer.
            State::Ask(_) if !input.is_empty() => Err(self.fail(Error::Unsolicited)),
            State::Listen(_) => Ok(Step::Read),
            State::Ask(phase) => {
                let mut out = Writer::new(output);
                self.grammar.request(phase, &mut out);
                let written = out.finish()?;
                self.state = State::Ask(phase).next(G::HAS_GO_AHEAD);
                Ok(Step::Write(written))
            }
            State::GoAhead => {
                self.state = State::GoAhead.next(true);
                Ok(Step::Event(Event::UpgradeReady))
            }
            State::NoUpgrade(reason) => {
                self.state = State::NoUpgrade(reason).next(true);
                Ok(Step::Event(Event::Plaintext(reason)))
            }
            State::Failed(error) => Err(error),
            State::Await(_) | State::Ready | State::Plaintext(_) => Err(Error::OutOfOrder),
        }
    }

    /// Takes a frame that nobody asked for.
    fn overhear(&mut self, frame: &[u8]) -> Result<State, Error> {
        let State::Listen(phase) = self.state else { return Err(Error::OutOfOrder) };
        let reply = self.grammar.unasked(frame)?;
        self.count(reply)?;
        Ok(State::unasked(phase, reply))
    }

    /// Bounds how many frames come before an answer is whole.
    fn count(&mut self, reply: Reply) -> Result<(), Error> {
        self.frames = match (reply, self.frames.wrapping_add(1)) {
            (Reply::More, MAX_FRAMES..) => return Err(Error::ReplyTooLong),
            (Reply::More, frames) => frames,
            _ => 0,
        };
        Ok(())
    }

    /// Takes a frame of the answer that is awaited, or one that nobody asked for.
    fn receive<'i>(&mut self, frame: &'i [u8]) -> Result<Step<Event<'i>>, Error> {
        self.state = match self.state {
            State::Await(phase) => {
                let reply = self.grammar.reply(phase, frame)?;
                self.count(reply)?;
                if reply == Reply::Yes && self.grammar.asks_on(phase) {
                    State::Ask(phase)
                } else {
                    let offered = self.grammar.offers_upgrade();
                    State::after(phase, reply, offered, self.policy, G::HAS_FALLBACK)
                }
            }
            _ if G::IS_CHATTY => self.overhear(frame)?,
            _ => return Err(Error::OutOfOrder),
        };
        Ok(Step::Event(Event::Received(Untrusted(frame))))
    }
}

impl<G: Grammar> Machine for Client<G> {
    type Event<'i> = Event<'i>;

    const MAX_INPUT: usize = G::Framing::MAX_FRAME;
    const MAX_OUTPUT: usize = G::MAX_OUTPUT;

    fn step<'i>(
        &mut self,
        input: &mut &'i [u8],
        output: &mut [u8],
    ) -> Result<Step<Event<'i>>, Error> {
        match self.state {
            State::Await(_) => {}
            State::Ask(phase) | State::Listen(phase) if G::IS_CHATTY && !input.is_empty() => {
                self.state = State::Listen(phase);
            }
            _ => return self.act(input, output),
        }
        match self.framing.next(input) {
            Ok(None) => Ok(Step::Read),
            Ok(Some(frame)) => self.receive(frame).map_err(|error| self.fail(error)),
            Err(error) => Err(self.fail(error)),
        }
    }

    fn end_of_input(&mut self) -> Result<(), Error> {
        Err(match self.state {
            State::Failed(error) => error,
            _ => self.fail(Error::Closed),
        })
    }

    fn timed_out(&mut self) -> Error {
        match self.state {
            State::Failed(error) => error,
            _ => self.fail(Error::TimedOut),
        }
    }

    fn wait(&self) -> Option<Duration> {
        match self.state {
            State::Await(phase) | State::Listen(phase) => Some(self.grammar.wait(phase)),
            _ => None,
        }
    }

    fn needs_flush(&self) -> bool {
        matches!(self.state, State::GoAhead)
    }
}

/// The plaintext machine is gone; the TLS handshake is under way, as its client.
#[must_use = "the handshake's outcome has to be told"]
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Upgrade {
    policy: Policy,
}

impl Upgrade {
    /// The handshake succeeded. If it fails, drop this and close the connection: there is no way
    /// back to plaintext.
    ///
    /// # Errors
    /// [`Error::Unverified`] if the policy requires a verified peer and this one is not
    /// (RFC 3207 §4.1). Close the connection.
    pub fn established(self, verification: Verification) -> Result<Tls, Error> {
        Tls::new(false, self.policy, verification)
    }
}
