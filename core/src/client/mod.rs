//! The client engine: order, policy, limits and the boundary, shared by all protocols.
//!
//! ```text
//! greeting ── capabilities ── upgrade ── go-ahead ══ TLS
//! ```
//!
//! The order of calls:
//!
//! 1. Build a [`Client`] with the `new` of a protocol's module.
//! 2. Call [`step`](Machine::step) until it returns [`Event::UpgradeReady`].
//! 3. Call [`Client::into_upgrade`] with all unread bytes. It consumes the machine.
//! 4. Run the TLS handshake as its client.
//! 5. Call [`Upgrade::established`] with what the handshake found.
//!
//! Under [`Policy::Opportunistic`], step 2 may return [`Event::Plaintext`] instead. Then call
//! [`Client::into_plaintext`] or close the connection.
//!
//! Each protocol is a [`Grammar`]: it splits bytes into frames, interprets a frame and prints requests. It
//! makes no decision.
//!
#![doc = include_str!("../../GRAMMAR.md")]

#[cfg(test)]
mod diagram;
mod state;

use core::time::Duration;

pub use state::{Phase, Reply};

use crate::wire::{Framing, Writer};
use crate::{
    Error, Machine, Meaning, Plaintext, Policy, Protocol, Reason, Step, Tls, Untrusted,
    Verification,
};
use state::State;

/// The maximum number of frames in one reply.
pub const MAX_FRAMES: u8 = 128;

/// The interface of a protocol to the client engine.
pub trait Grammar {
    /// How the protocol splits bytes into frames.
    type Framing: Framing;

    /// The protocol's names, ports and ALPN id.
    const PROTOCOL: Protocol;

    /// The length of the longest request, with arguments of the largest size, in bytes.
    const MAX_OUTPUT: usize;

    /// The phase in which a connection begins. In any phase but [`Phase::Greeting`] the client speaks
    /// first.
    const FIRST: Phase = Phase::Greeting;

    /// Whether the protocol has [`Phase::Fallback`]: after a refused capability request the client can
    /// introduce itself in an older way. The engine uses it only if the policy allows plaintext.
    const HAS_FALLBACK: bool = false;

    /// Whether the server replies to the request of [`Phase::Upgrade`].
    ///
    /// If not, TLS starts right after the request, so the client may ask only a server that offered the
    /// upgrade.
    const HAS_GO_AHEAD: bool = true;

    /// Whether servers send unasked frames, see [`unasked`](Self::unasked).
    const IS_CHATTY: bool = false;

    /// Interprets a `frame` of the reply in `phase`.
    ///
    /// # Errors
    /// The frame breaks the protocol; or it is a refusal after which the protocol ends the connection
    /// ([`Error::Refused`]).
    fn reply(&mut self, phase: Phase, frame: &[u8]) -> Result<Reply, Error>;

    /// Interprets a `frame` that arrives while it is the client's turn.
    ///
    /// [`Reply::More`] ignores the frame; [`Reply::Closing`] means that the server closes the connection.
    /// Any other result is a reply without a command and fails the connection (I6).
    ///
    /// # Errors
    /// The frame breaks the protocol.
    fn unasked(&mut self, frame: &[u8]) -> Result<Reply, Error> {
        let _ = frame;
        Err(Error::Unsolicited)
    }

    /// Whether the client should ask for the upgrade: the server listed it, or the protocol lets clients
    /// ask for it unlisted.
    fn offers_upgrade(&self) -> bool;

    /// Whether the server listed the upgrade. If a client asks for an unlisted upgrade, a server's silence
    /// means that it has none.
    fn is_listed(&self) -> bool {
        true
    }

    /// Whether the client has another request in `phase` after a [`Reply::Yes`].
    fn asks_on(&self, phase: Phase) -> bool {
        let _ = phase;
        false
    }

    /// Prints the request of `phase`.
    fn request(&self, phase: Phase, out: &mut Writer<'_>);

    /// How long to wait for the reply in `phase`.
    fn wait(&self, phase: Phase) -> Duration;

    /// The meaning of the last `frame`, for people. Return it if frames are binary and a refusal has a
    /// name.
    fn in_words<'i>(&self, frame: &'i [u8]) -> Option<Meaning<'i>> {
        let _ = frame;
        None
    }
}

/// An event on the way to TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Event<'i> {
    /// The server sent this frame. Show or log it; it has no meaning for the caller.
    Received(Untrusted<'i>),
    /// The plaintext phase is over. Call [`Client::into_upgrade`] and start the TLS handshake as its
    /// client.
    UpgradeReady,
    /// The server has no upgrade, and the policy allows plaintext. Call [`Client::into_plaintext`] or close
    /// the connection.
    Plaintext(Reason),
}

/// A client on its way from a plaintext connection to TLS.
///
/// Call [`step`](Machine::step) until [`Event::UpgradeReady`], then consume the client with
/// [`into_upgrade`](Self::into_upgrade). Under [`Policy::Required`] there is no other way out.
///
/// [Here](self#a-client) is a complete example.
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
    /// A client for `grammar`, at the start of a fresh connection.
    pub fn with_grammar(grammar: G, policy: Policy) -> Self {
        Self {
            grammar,
            framing: G::Framing::default(),
            state: State::start(G::FIRST),
            policy,
            frames: 0,
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

    /// What the caller demands of the connection.
    #[must_use]
    pub const fn policy(&self) -> Policy {
        self.policy
    }

    /// Ends the plaintext phase. `unread` is everything received that the machine has not consumed.
    ///
    /// # Errors
    /// [`Error::PlaintextAfterGoAhead`] if any byte is unread, even of a partial line (I2). A TLS server
    /// never speaks first, so an attacker injected it, as in CVE-2021-38371. [`Error::OutOfOrder`] before
    /// [`Event::UpgradeReady`]. Close the connection in both cases.
    pub fn into_upgrade(self, unread: &[u8]) -> Result<Upgrade, Error> {
        self.state.upgrade(unread.len()).map(|()| Upgrade { policy: self.policy })
    }

    /// Continues without TLS, after [`Event::Plaintext`].
    ///
    /// # Errors
    /// [`Error::Unsolicited`] if any byte is unread: the client sends the next command, so the byte answers
    /// nothing (I6). [`Error::OutOfOrder`] before the event.
    pub fn into_plaintext(self, unread: &[u8]) -> Result<Plaintext, Error> {
        self.state.plaintext(unread.len()).map(|reason| Plaintext { reason })
    }

    fn fail(&mut self, error: Error) -> Error {
        self.state = State::Failed(error);
        error
    }

    /// Steps in the states that read nothing.
    ///
    /// This is a separate function so that a stream that arrives byte by byte costs one comparison a byte.
    #[cold]
    fn act<'i>(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step<Event<'i>>, Error> {
        match self.state {
            // A reply that arrives before its request answers nothing; an attacker may have injected it
            // (I6).
            State::Ask(_) if !input.is_empty() => Err(self.fail(Error::Unsolicited)),
            // Only once that frame is complete may the request leave: later it could pass for the reply.
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

    /// Handles a frame that arrives on the client's turn.
    fn overhear(&mut self, frame: &[u8]) -> Result<State, Error> {
        let State::Listen(phase) = self.state else { return Err(Error::OutOfOrder) };
        let reply = self.grammar.unasked(frame)?;
        self.count(reply)?;
        Ok(State::unasked(phase, reply))
    }

    /// Bounds how many frames precede the end of a reply, so that a server cannot stall the client
    /// (I17).
    fn count(&mut self, reply: Reply) -> Result<(), Error> {
        self.frames = match (reply, self.frames.wrapping_add(1)) {
            (Reply::More, MAX_FRAMES..) => return Err(Error::ReplyTooLong),
            (Reply::More, frames) => frames,
            _ => 0,
        };
        Ok(())
    }

    /// The state after a frame, whether it belongs to the awaited reply or comes unasked.
    fn judge(&mut self, frame: &[u8]) -> Result<State, Error> {
        match self.state {
            State::Await(phase) => {
                let reply = self.grammar.reply(phase, frame)?;
                self.count(reply)?;
                if reply == Reply::Yes && self.grammar.asks_on(phase) {
                    return Ok(State::Ask(phase));
                }
                let offered = self.grammar.offers_upgrade();
                Ok(State::after(phase, reply, offered, self.policy, G::HAS_FALLBACK))
            }
            _ if G::IS_CHATTY => self.overhear(frame),
            _ => Err(Error::OutOfOrder),
        }
    }

    /// Acts on a frame.
    ///
    /// Like [`act`](Self::act), this is a separate function for the sake of single bytes.
    #[cfg_attr(target_pointer_width = "64", inline(never))]
    fn received<'i>(&mut self, frame: &'i [u8]) -> Step<Event<'i>> {
        // The event precedes the error, since the frame is what the error is about.
        self.state = self.judge(frame).unwrap_or_else(State::Failed);
        let text = Untrusted::new(frame).with_cut(self.framing.is_cut());
        Step::Event(Event::Received(text))
    }

    /// Drops the rest of a cut frame. Returns true once the frame's end was reached.
    fn skip(&mut self, input: &mut &[u8]) -> Result<bool, Error> {
        match self.state {
            State::Failed(error) => Err(error),
            _ => self.framing.skip(input).map_err(|error| self.fail(error)),
        }
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
            // The rest of a frame may still break a rule, so the engine acts on its front only at its end
            // (I11).
            _ if self.framing.is_cut() => {
                if !self.skip(input)? {
                    return Ok(Step::Read);
                }
                return self.step(input, output);
            }
            // Frames that arrive before the request are read first: after it they could pass for its reply.
            State::Ask(phase) | State::Listen(phase) if G::IS_CHATTY && !input.is_empty() => {
                self.state = State::Listen(phase);
            }
            _ => return self.act(input, output),
        }
        match self.framing.next(input) {
            Ok(None) => Ok(Step::Read),
            Ok(Some(frame)) => Ok(self.received(frame)),
            Err(error) => Err(self.fail(error)),
        }
    }

    fn end_of_input(&mut self) -> Result<(), Error> {
        // The end of the connection is no reply, so no state ends well here (I4).
        Err(match self.state {
            State::Failed(error) => error,
            _ => self.fail(Error::Closed),
        })
    }

    fn timed_out(&mut self) -> Error {
        match self.state {
            State::Failed(error) => error,
            // A server that does not know the request may ignore it.
            State::Await(Phase::Upgrade) if !self.grammar.is_listed() => {
                self.fail(Error::NotOffered)
            }
            _ => self.fail(Error::TimedOut),
        }
    }

    fn wait(&self) -> Option<Duration> {
        match self.state {
            State::Await(phase) | State::Listen(phase) => Some(self.grammar.wait(phase)),
            State::Ask(phase) if self.framing.is_cut() => Some(self.grammar.wait(phase)),
            // The rest of that frame is still to come.
            State::GoAhead | State::NoUpgrade(_) if self.framing.is_cut() => {
                Some(self.grammar.wait(Phase::Upgrade))
            }
            _ => None,
        }
    }

    fn needs_flush(&self) -> bool {
        matches!(self.state, State::GoAhead)
    }

    fn is_cut(&self) -> bool {
        self.framing.is_cut()
    }

    fn begins_wait(&self) -> bool {
        !matches!(self.state, State::Await(_) | State::Listen(_))
    }

    fn in_words<'i>(&self, frame: &'i [u8]) -> Option<Meaning<'i>> {
        self.grammar.in_words(frame)
    }
}

/// A client's TLS handshake in progress. The plaintext machine is gone.
#[must_use = "report the handshake's outcome"]
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Upgrade {
    policy: Policy,
}

impl Upgrade {
    /// Reports a successful handshake. If the handshake fails, drop this value and close the connection:
    /// there is no way back to plaintext.
    ///
    /// # Errors
    /// [`Error::Unverified`] if the policy is [`Policy::Required`] and the peer is not verified (RFC 3207
    /// §4.1). Close the connection.
    pub fn established(self, verification: Verification) -> Result<Tls, Error> {
        Tls::new(false, self.policy, verification)
    }
}
