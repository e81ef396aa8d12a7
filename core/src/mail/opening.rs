//! A connection that sends mail, up to its first mail.

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

/// What happens while a connection is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Event<'i> {
    /// The server said this on the way to TLS; it may be shown, it means nothing.
    Received(Untrusted<'i>),
    /// Everything in plaintext is sent and read: make the TLS handshake as its client, and call
    /// [`Opening::encrypted`].
    StartTls,
    /// The connection goes on without TLS, which the policy allows. Close it, or go on.
    Plaintext(Reason),
    /// The server answered a hello or a login. A [`Rejected`](session::Event::Rejected) ends the connection:
    /// the next step fails with [`Error::Refused`].
    Session(session::Event<'i>),
    /// The connection is open: call [`Opening::into_outbound`].
    Ready,
}

/// Opens a connection that sends mail: greeting, `STARTTLS`, TLS, hello, login.
///
/// ```text
/// greeting ─ hello ─ STARTTLS ═ TLS ═ hello ─ login ═ Outbound
/// ```
///
/// Drive it with a [`Driver`](crate::Driver) until [`Event::Ready`].
pub struct Opening<'a, D: Dialect = Smtp, G: Grammar = ClientGrammar<'a, D>> {
    stage: Stage<D, G>,
    domain: Domain<'a>,
    policy: Policy,
    needs_login: bool,
    credentials: Option<&'a Credentials<'a>>,
    failed: Option<Error>,
    /// The server still listens to a goodbye.
    says_goodbye: bool,
    dialect: PhantomData<D>,
}

enum Stage<D, G: Grammar> {
    Plaintext(Client<G>),
    /// TLS comes first; the caller is to be told.
    Implicit,
    /// The handshake is the caller's.
    Handshake(Option<client::Upgrade>),
    Hello(Session<AnyChannel, D>),
    Login(Session<AnyChannel, D>),
    Ready(Session<AnyChannel, D>),
    Over,
}

impl<'a, D: Dialect> Opening<'a, D> {
    /// A connection that begins in plaintext; the client introduces itself as `domain`.
    #[must_use]
    pub fn new(domain: Domain<'a>, policy: Policy) -> Self {
        Self::with_client(Client::<ClientGrammar<'_, D>>::new(domain, policy), domain)
    }

    /// A connection that begins with TLS, on a port of its own (RFC 8314 §3): the first event is
    /// [`Event::StartTls`].
    #[must_use]
    pub const fn implicit(domain: Domain<'a>, policy: Policy) -> Self {
        Self::at(Stage::Implicit, domain, policy)
    }
}

impl<'a, D: Dialect, G: Grammar> Opening<'a, D, G> {
    /// A connection that begins in plaintext with `client`, an engine of the dialect's grammar or of one around
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

    /// The client will log in: without TLS nothing goes on, whatever the policy says.
    #[must_use]
    pub const fn with_login(mut self) -> Self {
        self.needs_login = true;
        self
    }

    /// TLS is up, after [`Event::StartTls`]. If the handshake fails, drop this and close the connection: there
    /// is no way back to plaintext.
    ///
    /// `credentials` are shown after the hello, by the strongest mechanism that the server offers. A server that
    /// is not verified does not see them, whatever the policy says.
    ///
    /// # Errors
    /// [`Error::Unverified`] if the policy requires a verified server and this one is not (RFC 3207
    /// §4.1); [`Error::OutOfOrder`] before the event, or without the credentials that
    /// [`with_login`](Self::with_login) promised.
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

    /// The open connection, after [`Event::Ready`]. Lone CR or LF in its messages are treated as `line_ends`
    /// says.
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

    /// In plaintext.
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
            // A password without TLS would be anyone's.
            (client::Event::Plaintext(Reason::Refused), _) if self.needs_login => {
                return Err(Error::Refused);
            }
            (client::Event::Plaintext(_), _) if self.needs_login => return Err(Error::NotOffered),
            (client::Event::Plaintext(reason), Stage::Plaintext(client)) => {
                let plaintext = client.into_plaintext(input)?;
                self.stage = Stage::Hello(Session::new(AnyChannel::Plaintext(plaintext)));
                Event::Plaintext(reason)
            }
            (client::Event::Received(said), stage) => {
                self.stage = stage;
                Event::Received(said)
            }
            _ => return Err(Error::OutOfOrder),
        }))
    }

    /// The job of the session that is under way.
    #[inline(never)]
    fn exchange(&mut self) -> Result<Exchange<'_, 'a, AnyChannel, D>, Error> {
        match (&mut self.stage, self.credentials) {
            (Stage::Hello(session), _) => session.hello(self.domain),
            (Stage::Login(session), Some(credentials)) => session.log_in(credentials),
            _ => Err(Error::OutOfOrder),
        }
    }

    /// Hello and login.
    fn introduce<'i>(
        &mut self,
        input: &mut &'i [u8],
        output: &mut [u8],
    ) -> Result<Step<Event<'i>>, Error> {
        let logs_in = matches!(self.stage, Stage::Login(_));
        let mut exchange = match self.exchange() {
            Ok(exchange) => exchange,
            Err(error) => {
                // It offers no mechanism, or is not verified: not a word of the login was said.
                self.says_goodbye = logs_in;
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

    fn farewell(&self, output: &mut [u8]) -> Result<usize, Error> {
        if self.says_goodbye { session::goodbye(output) } else { Ok(0) }
    }
}

conceal!("Opening", Opening<'_, D, G> [D: Dialect, G: Grammar]);

/// The larger one.
pub(super) const fn max(a: usize, b: usize) -> usize {
    if a > b { a } else { b }
}
