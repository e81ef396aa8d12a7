//! The first task of a connection that sends mail, up to the login.
//!
//! The order of calls:
//!
//! 1. Build an [`Opening`] with [`new`](Opening::new) or [`implicit`](Opening::implicit). Call
//!    [`with_login`](Opening::with_login) if the client will log in.
//! 2. Drive it until [`Event::StartTls`]. Run the TLS handshake as its client, and call
//!    [`encrypted`](Opening::encrypted) with the credentials.
//! 3. Drive it until [`Event::Ready`].
//! 4. Call [`into_outbound`](Opening::into_outbound).

use core::marker::PhantomData;
use core::mem;
use core::time::Duration;

use super::outbound::Outbound;
use super::session::{self, Exchange, Session};
use super::{Credentials, LineEnds};
use crate::boundary::AnyChannel;
use crate::client::{self, Grammar};
use crate::conceal::conceal;
use crate::smtp::{ClientGrammar, Dialect, Domain, Smtp};
use crate::{Client, Error, Machine, Policy, Reason, Step, Tls, Untrusted, Verification};

/// An event while a connection is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Event<'i> {
    /// The server sent this on the way to TLS. Show or log it; it has no meaning for the caller.
    Received(Untrusted<'i>),
    /// The plaintext phase is over. Run the TLS handshake as its client, and call [`Opening::encrypted`].
    StartTls,
    /// The connection continues without TLS, which the policy allows. Continue, or close it.
    Plaintext(Reason),
    /// The server replied to a hello or a login. After a [`Rejected`](session::Event::Rejected) the next
    /// step fails with [`Error::Refused`].
    Session(session::Event<'i>),
    /// The connection is open. Call [`Opening::into_outbound`].
    Ready,
}

/// Opens a connection that sends mail: greeting, `STARTTLS`, TLS, hello, login.
///
/// ```text
/// greeting ─ hello ─ STARTTLS ═ TLS ═ hello ─ login ═ Outbound
/// ```
///
/// Drive it with a [`Driver`](crate::Driver) until [`Event::Ready`].
///
/// ```
/// use starttls::driver::{Driver, Next};
/// use starttls::mail::opening::{Event, Opening};
/// use starttls::{Buffer, Policy, smtp};
/// # use core::time::Duration;
///
/// let domain = smtp::Domain::new("sensor.example.org").unwrap();
/// let mut opening = Opening::<smtp::Smtp>::implicit(domain, Policy::Required);
/// let mut driver = Driver::new(Buffer::<512>::new(), Buffer::<512>::new());
/// let next = driver.next(&mut opening, Duration::ZERO);
/// assert!(matches!(next, Next::Event { event: Event::StartTls, .. }));
/// assert!(opening.awaits_tls()); // then call `encrypted`
/// ```
pub struct Opening<'a, D: Dialect = Smtp, G: Grammar = ClientGrammar<'a, D>> {
    stage: Stage<D, G>,
    domain: Domain<'a>,
    policy: Policy,
    needs_login: bool,
    credentials: Option<&'a Credentials<'a>>,
    failed: Option<Error>,
    /// Whether the server still accepts `QUIT`, for example after a failed login.
    says_goodbye: bool,
    dialect: PhantomData<D>,
}

enum Stage<D, G: Grammar> {
    Plaintext(Client<G>),
    /// TLS is implicit. The event is due.
    Implicit,
    /// The caller runs the handshake.
    Handshake(Option<client::Upgrade>),
    Hello(Session<AnyChannel, D>),
    Login(Session<AnyChannel, D>),
    Ready(Session<AnyChannel, D>),
    Over,
}

impl<'a, D: Dialect> Opening<'a, D> {
    /// A connection that begins in plaintext. The client introduces itself as `domain`.
    #[must_use]
    pub fn new(domain: Domain<'a>, policy: Policy) -> Self {
        Self::with_client(Client::<ClientGrammar<'_, D>>::new(domain, policy), domain)
    }

    /// A connection with implicit TLS (RFC 8314 §3). The first event is [`Event::StartTls`].
    #[must_use]
    pub const fn implicit(domain: Domain<'a>, policy: Policy) -> Self {
        Self::at(Stage::Implicit, domain, policy)
    }
}

impl<'a, D: Dialect, G: Grammar> Opening<'a, D, G> {
    /// A connection that begins in plaintext with `client`, whose grammar is that of the protocol or wraps
    /// it.
    #[must_use]
    pub fn with_client(client: Client<G>, domain: Domain<'a>) -> Self {
        let policy = client.policy();
        Self::at(Stage::Plaintext(client), domain, policy)
    }

    const fn at(stage: Stage<D, G>, domain: Domain<'a>, policy: Policy) -> Self {
        Self {
            stage,
            domain,
            policy,
            needs_login: false,
            credentials: None,
            failed: None,
            says_goodbye: false,
            dialect: PhantomData,
        }
    }

    /// Announces that the client will log in. Without TLS the connection then fails, whatever the policy.
    #[must_use]
    pub const fn with_login(mut self) -> Self {
        self.needs_login = true;
        self
    }

    /// Whether the caller has to run the TLS handshake: from [`Event::StartTls`] to
    /// [`encrypted`](Self::encrypted).
    #[must_use]
    pub const fn awaits_tls(&self) -> bool {
        matches!(self.stage, Stage::Handshake(_))
    }

    /// Reports a successful handshake, after [`Event::StartTls`]. If the handshake fails, drop this value
    /// and close the connection: there is no way back to plaintext.
    ///
    /// The client logs in with `credentials` after the hello, by the strongest mechanism that the server
    /// offers. It never sends them to a server that is not verified, whatever the policy.
    ///
    /// # Errors
    /// [`Error::Unverified`] if the policy is [`Policy::Required`] and the server is not verified (RFC 3207
    /// §4.1); [`Error::OutOfOrder`] before the event, or without credentials after
    /// [`with_login`](Self::with_login).
    pub fn encrypted(
        &mut self,
        verification: Verification,
        credentials: Option<&'a Credentials<'a>>,
    ) -> Result<(), Error> {
        let Stage::Handshake(upgrade) = mem::replace(&mut self.stage, Stage::Over) else {
            return Err(Error::OutOfOrder);
        };
        if self.needs_login && credentials.is_none() {
            return Err(Error::OutOfOrder);
        }
        self.credentials = credentials;
        let tls = match upgrade {
            Some(upgrade) => upgrade.established(verification)?,
            None => Tls::implicit(self.policy, verification)?,
        };
        self.stage = Stage::Hello(Session::new(AnyChannel::Tls(tls)));
        Ok(())
    }

    /// The open connection, after [`Event::Ready`]. `line_ends` decides on a bare CR or LF in its messages.
    ///
    /// # Errors
    /// [`Error::OutOfOrder`] before the event.
    pub fn into_outbound(self, line_ends: LineEnds) -> Result<Outbound<D>, Error> {
        match self.stage {
            Stage::Over => Err(self.failed.unwrap_or(Error::OutOfOrder)),
            Stage::Ready(mut session) => {
                session.set_line_ends(line_ends);
                Ok(Outbound::new(session))
            }
            _ => Err(Error::OutOfOrder),
        }
    }

    fn fail(&mut self, error: Error) -> Error {
        if !error.is_ours() {
            self.failed = Some(error);
        }
        error
    }

    /// A step of the plaintext phase.
    fn upgrade<'i>(
        &mut self,
        input: &mut &'i [u8],
        output: &mut [u8],
    ) -> Result<Step<Event<'i>>, Error> {
        let Stage::Plaintext(client) = &mut self.stage else { return Err(Error::OutOfOrder) };
        let event = match client.step(input, output)? {
            Step::Read => return Ok(Step::Read),
            Step::Write(n) => return Ok(Step::Write(n)),
            Step::Event(event) => event,
        };
        Ok(Step::Event(match (event, mem::replace(&mut self.stage, Stage::Over)) {
            (client::Event::UpgradeReady, Stage::Plaintext(client)) => {
                self.stage = Stage::Handshake(Some(client.into_upgrade(input)?));
                Event::StartTls
            }
            // Without TLS an attacker could read the password, so the connection fails (I5).
            (client::Event::Plaintext(Reason::Refused), _) if self.needs_login => {
                return Err(Error::Refused);
            }
            (client::Event::Plaintext(_), _) if self.needs_login => return Err(Error::NotOffered),
            (client::Event::Plaintext(reason), Stage::Plaintext(client)) => {
                let plaintext = client.into_plaintext(input)?;
                self.stage = Stage::Hello(Session::new(AnyChannel::Plaintext(plaintext)));
                Event::Plaintext(reason)
            }
            (client::Event::Received(text), stage) => {
                self.stage = stage;
                Event::Received(text)
            }
            _ => return Err(Error::OutOfOrder),
        }))
    }

    /// The session's current task.
    #[inline(never)]
    fn exchange(&mut self) -> Result<Exchange<'_, 'a, AnyChannel, D>, Error> {
        match (&mut self.stage, self.credentials) {
            (Stage::Hello(session), _) => session.hello(self.domain),
            (Stage::Login(session), Some(credentials)) => session.log_in(credentials),
            _ => Err(Error::OutOfOrder),
        }
    }

    /// A step of the hello or the login.
    fn introduce<'i>(
        &mut self,
        input: &mut &'i [u8],
        output: &mut [u8],
    ) -> Result<Step<Event<'i>>, Error> {
        let logs_in = matches!(self.stage, Stage::Login(_));
        let mut exchange = match self.exchange() {
            Ok(exchange) => exchange,
            Err(error) => {
                // The server has no mechanism, or is not verified. No credential was sent, so a goodbye is
                // possible.
                self.says_goodbye =
                    logs_in && (error.is_unsupported() || error == Error::Unverified);
                self.failed = Some(error);
                return Err(error);
            }
        };
        let event = match exchange.step(input, output)? {
            Step::Read => return Ok(Step::Read),
            Step::Write(n) => return Ok(Step::Write(n)),
            Step::Event(event) => event,
        };
        match event {
            session::Event::Rejected { .. } => {
                self.says_goodbye = logs_in;
                self.failed = Some(Error::Refused);
            }
            session::Event::Done(_) => {
                self.stage = match mem::replace(&mut self.stage, Stage::Over) {
                    Stage::Hello(session) if self.credentials.is_some() => Stage::Login(session),
                    Stage::Hello(session) | Stage::Login(session) => Stage::Ready(session),
                    stage => stage,
                };
            }
            _ => {}
        }
        Ok(Step::Event(Event::Session(event)))
    }
}

impl<D: Dialect, G: Grammar> Machine for Opening<'_, D, G> {
    type Event<'i> = Event<'i>;

    const MAX_INPUT: usize = max(Client::<G>::MAX_INPUT, Exchange::<AnyChannel, D>::MAX_INPUT);
    const MAX_OUTPUT: usize = max(Client::<G>::MAX_OUTPUT, Exchange::<AnyChannel, D>::MAX_OUTPUT);

    fn step<'i>(
        &mut self,
        input: &mut &'i [u8],
        output: &mut [u8],
    ) -> Result<Step<Event<'i>>, Error> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let step = match &self.stage {
            Stage::Plaintext(_) => self.upgrade(input, output),
            Stage::Implicit => {
                self.stage = Stage::Handshake(None);
                Ok(Step::Event(Event::StartTls))
            }
            Stage::Hello(_) | Stage::Login(_) => self.introduce(input, output),
            Stage::Ready(_) => Ok(Step::Event(Event::Ready)),
            Stage::Handshake(_) | Stage::Over => Err(Error::OutOfOrder),
        };
        step.map_err(|error| self.fail(error))
    }

    fn end_of_input(&mut self) -> Result<(), Error> {
        Err(self.failed.unwrap_or_else(|| self.fail(Error::Closed)))
    }

    fn timed_out(&mut self) -> Error {
        self.failed.unwrap_or_else(|| self.fail(Error::TimedOut))
    }

    fn wait(&self) -> Option<Duration> {
        match &self.stage {
            Stage::Plaintext(client) => client.wait(),
            Stage::Hello(session) | Stage::Login(session) => session.wait(),
            _ => None,
        }
    }

    fn needs_flush(&self) -> bool {
        matches!(&self.stage, Stage::Plaintext(client) if client.needs_flush())
    }

    fn is_secret(&self) -> bool {
        matches!(self.stage, Stage::Login(_)) && !self.says_goodbye
    }

    fn is_cut(&self) -> bool {
        match &self.stage {
            Stage::Plaintext(client) => client.is_cut(),
            Stage::Hello(session) | Stage::Login(session) | Stage::Ready(session) => {
                session.is_cut()
            }
            _ => false,
        }
    }

    fn begins_wait(&self) -> bool {
        match &self.stage {
            Stage::Plaintext(client) => client.begins_wait(),
            Stage::Hello(session) | Stage::Login(session) => session.begins_wait(),
            _ => true,
        }
    }

    fn farewell(&self, output: &mut [u8]) -> Result<usize, Error> {
        if self.says_goodbye { session::goodbye(output) } else { Ok(0) }
    }
}

conceal!("Opening", Opening<'_, D, G> [D: Dialect, G: Grammar]);

/// The larger number; `Ord::max` is not `const`.
pub(super) const fn max(a: usize, b: usize) -> usize {
    if a > b { a } else { b }
}
