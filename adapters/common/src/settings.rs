use std::sync::Arc;

use rustls::ServerConfig;
use starttls::mail::receiver::Config;
use starttls::mail::{Inbound, LineEnds, Opening};
use starttls::smtp::{Dialect, Domain, Smtp};
use starttls::{Policy, server};

use crate::{ClientTls, Error, Login, Timeouts};

/// When TLS begins. Exhaustive: there is no third moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// After `STARTTLS`.
    #[default]
    StartTls,
    /// At once (RFC 8314 §3).
    Implicit,
}

/// How mail gets to a server, with TLS by `T`.
#[derive(Clone, Debug)]
pub struct Settings<T = ClientTls> {
    host: String,
    port: u16,
    mode: Mode,
    policy: Policy,
    tls: T,
    login: Option<Login>,
    domain: String,
    line_ends: LineEnds,
    timeouts: Timeouts,
}

impl<T> Settings<T> {
    /// To a submission server: port 587, `STARTTLS`, nothing without TLS. `host` is where to connect, and the name
    /// that the server's certificate must be for.
    #[must_use]
    pub fn new(host: impl Into<String>, tls: T) -> Self {
        Self {
            host: host.into(),
            port: Smtp::PROTOCOL.port,
            mode: Mode::StartTls,
            policy: Policy::Required,
            tls,
            login: None,
            domain: Domain::LOCALHOST.as_str().to_owned(),
            line_ends: LineEnds::Normalize,
            timeouts: Timeouts::default(),
        }
    }

    /// Another host: where to connect, and the name that the server's certificate must be for.
    #[must_use]
    pub fn with_host(mut self, host: impl Into<String>) -> Self {
        self.host = host.into();
        self
    }

    /// Which servers the client trusts.
    #[must_use]
    pub fn with_tls(mut self, tls: T) -> Self {
        self.tls = tls;
        self
    }

    /// The TCP port.
    #[must_use]
    pub const fn with_port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// When TLS begins.
    #[must_use]
    pub const fn with_mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Whether mail may go without TLS, or to a server that is not verified; a login never does.
    #[must_use]
    pub const fn with_policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Logs in.
    #[must_use]
    pub fn with_login(mut self, login: impl Into<Login>) -> Self {
        self.login = Some(login.into());
        self
    }

    /// How the client introduces itself: its domain name, or an address literal.
    #[must_use]
    pub fn with_domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = domain.into();
        self
    }

    /// What to do with lone CR or LF in messages. By default they become CRLF.
    #[must_use]
    pub const fn with_line_ends(mut self, line_ends: LineEnds) -> Self {
        self.line_ends = line_ends;
        self
    }

    /// How long to wait.
    #[must_use]
    pub const fn with_timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Where to connect, and the name that the server's certificate must be for.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The TCP port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Whether mail may go without TLS, or to a server that is not verified.
    #[must_use]
    pub const fn policy(&self) -> Policy {
        self.policy
    }

    /// Which servers the client trusts.
    #[must_use]
    pub const fn tls(&self) -> &T {
        &self.tls
    }

    /// The login, if there is one.
    #[must_use]
    pub const fn login(&self) -> Option<&Login> {
        self.login.as_ref()
    }

    /// What to do with lone CR or LF in messages.
    #[must_use]
    pub const fn line_ends(&self) -> LineEnds {
        self.line_ends
    }

    /// How long to wait.
    #[must_use]
    pub const fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    /// What opens a connection by these settings.
    ///
    /// # Errors
    /// [`Error::Argument`] for a domain or a login that cannot be used.
    pub fn opening<D: Dialect>(&self) -> Result<Opening<'_, D>, Error> {
        let domain = Domain::new(&self.domain).map_err(Error::argument("the client's name"))?;
        let opening = match self.mode {
            Mode::StartTls => Opening::new(domain, self.policy),
            Mode::Implicit => Opening::implicit(domain, self.policy),
        };
        match &self.login {
            Some(login) => {
                login.check()?;
                Ok(opening.with_login())
            }
            None => Ok(opening),
        }
    }
}

/// The largest message, in bytes, where [`Limits::size`](starttls::mail::receiver::Limits::size) does not say.
pub const MAX_MESSAGE: usize = 64 << 20;

/// How a server takes mail.
#[derive(Clone, Debug)]
pub struct InboxSettings {
    domain: String,
    mode: Mode,
    upgrade: server::Config,
    tls: Arc<ServerConfig>,
    receiver: Config,
    timeouts: Timeouts,
}

impl InboxSettings {
    /// A server that introduces itself as `domain`, begins TLS after `STARTTLS` with the certificate of `tls`,
    /// takes no mail without it, and asks for no login.
    #[must_use]
    pub fn new(domain: impl Into<String>, tls: Arc<ServerConfig>) -> Self {
        Self {
            domain: domain.into(),
            mode: Mode::StartTls,
            upgrade: server::Config::default(),
            tls,
            receiver: Config::default(),
            timeouts: Timeouts::default(),
        }
    }

    /// When TLS begins.
    #[must_use]
    pub const fn with_mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// What clients may do without TLS.
    #[must_use]
    pub const fn with_upgrade(mut self, upgrade: server::Config) -> Self {
        self.upgrade = upgrade;
        self
    }

    /// What clients are offered, and how much they may ask for. A message is held in memory as a whole: the default
    /// allows [`MAX_MESSAGE`] bytes.
    #[must_use]
    pub const fn with_receiver(mut self, receiver: Config) -> Self {
        self.receiver = receiver;
        self
    }

    /// How long to wait.
    #[must_use]
    pub const fn with_timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// The certificate and its key.
    #[must_use]
    pub const fn tls(&self) -> &Arc<ServerConfig> {
        &self.tls
    }

    /// How long to wait.
    #[must_use]
    pub const fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    /// The largest message, in bytes.
    #[must_use]
    pub fn max_message(&self) -> usize {
        self.receiver.limits().size().unwrap_or(MAX_MESSAGE)
    }

    /// What takes the mail of one connection by these settings.
    ///
    /// # Errors
    /// [`Error::Argument`] for a domain that cannot be used.
    pub fn inbound<D: Dialect>(&self) -> Result<Inbound<'_, D>, Error> {
        let domain = Domain::new(&self.domain).map_err(Error::argument("the server's name"))?;
        let limits = self.receiver.limits().with_size(Some(self.max_message()));
        let receiver = self.receiver.with_limits(limits);
        Ok(match self.mode {
            Mode::StartTls => Inbound::new(domain, self.upgrade, receiver),
            Mode::Implicit => Inbound::implicit(domain, receiver),
        })
    }
}
