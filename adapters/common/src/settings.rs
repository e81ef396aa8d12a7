use starttls::lmtp::Lmtp;
use starttls::mail::{LineEnds, Opening};
use starttls::smtp::{Dialect, Domain, Smtp};
use starttls::{Policy, Protocol};

use crate::{ClientTls, Error, Login, ReservedOpening, Route, Target, Timeouts, reserved};

/// When TLS starts.
///
/// The enum is exhaustive: there is no third mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// After `STARTTLS`.
    #[default]
    StartTls,
    /// At once, before the first byte of the protocol (RFC 8314 §3).
    Implicit,
}

/// How a client sends mail to a server, with TLS by `T`.
///
/// ```no_run
/// use starttls_common::{ClientTls, Mode, Settings};
///
/// let tls = ClientTls::with_ca_pem(&std::fs::read("ca.pem")?)?;
/// let settings = Settings::new("mail.example.org", tls)
///     .with_mode(Mode::Implicit)
///     .with_port(465)
///     .with_login(("user", "password"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Settings<T = ClientTls> {
    host: String,
    name: Option<String>,
    port: u16,
    route: Route,
    mode: Mode,
    policy: Policy,
    asks_for_tls: bool,
    /// The only protocol that these settings are for.
    protocol: Option<Protocol>,
    tls: T,
    login: Option<Login>,
    domain: Option<String>,
    line_ends: LineEnds,
    timeouts: Timeouts,
}

impl<T> Settings<T> {
    /// Settings for a submission server: port 587, `STARTTLS`, and no mail without TLS.
    ///
    /// `host` is the host to connect to and the name that the server's certificate has to contain.
    #[must_use]
    pub fn new(host: impl Into<String>, tls: T) -> Self {
        Self {
            host: host.into(),
            name: None,
            port: Smtp::PROTOCOL.port,
            route: Route::Direct,
            mode: Mode::StartTls,
            policy: Policy::Required,
            asks_for_tls: true,
            protocol: None,
            tls,
            login: None,
            domain: None,
            line_ends: LineEnds::Normalize,
            timeouts: Timeouts::default(),
        }
    }

    /// Sets the name that the server's certificate has to contain and that the client sends as SNI. The
    /// default is the host.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets the host to connect to. Unless [`with_name`](Self::with_name) is called, the certificate has to
    /// contain it.
    #[must_use]
    pub fn with_host(mut self, host: impl Into<String>) -> Self {
        self.host = host.into();
        self
    }

    /// Sets the TLS and with it the trusted servers.
    #[must_use]
    pub fn with_tls(mut self, tls: T) -> Self {
        self.tls = tls;
        self
    }

    /// Sets the TCP port.
    #[must_use]
    pub const fn with_port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Sets how the connection reaches the host: through a [`Proxy`](crate::Proxy), or by a Unix socket.
    #[must_use]
    pub fn with_route(mut self, route: Route) -> Self {
        self.route = route;
        self
    }

    /// Sets when TLS starts.
    #[must_use]
    pub const fn with_mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Sets whether mail may be sent without TLS or to an unverified server. A login never is.
    #[must_use]
    pub const fn with_policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Never requests TLS, even if the server offers it.
    ///
    /// Use it to send in plaintext to a server whose handshake failed (RFC 7435 §3). The policy has to be
    /// [`Opportunistic`](Policy::Opportunistic), the mode [`StartTls`](Mode::StartTls), without a login.
    #[must_use]
    pub const fn without_asking_for_tls(mut self) -> Self {
        self.asks_for_tls = false;
        self
    }

    /// Sets the protocol that the server speaks, so that no connection is opened in another one.
    #[cfg(feature = "url")]
    pub(crate) const fn with_protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = Some(protocol);
        self
    }

    /// Sets the login.
    #[must_use]
    pub fn with_login(mut self, login: impl Into<Login>) -> Self {
        self.login = Some(login.into());
        self
    }

    /// Sets the name by which the client introduces itself: its domain name or an address literal.
    ///
    /// The default is the address of the client's end of the connection. Many servers accept that from users
    /// who log in; few accept it from other mail servers.
    #[must_use]
    pub fn with_domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// Sets what happens to a lone CR or LF in messages. By default it becomes CRLF.
    #[must_use]
    pub const fn with_line_ends(mut self, line_ends: LineEnds) -> Self {
        self.line_ends = line_ends;
        self
    }

    /// Sets the timeouts.
    #[must_use]
    pub const fn with_timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// The name that the server's certificate has to contain. The default is the host.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.host)
    }

    /// The host to connect to.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The TCP port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// How the connection reaches the host.
    #[must_use]
    pub const fn route(&self) -> &Route {
        &self.route
    }

    /// The server to connect to.
    pub(crate) fn target(&self) -> Target<'_> {
        Target::new(&self.host, self.port, &self.route)
    }

    /// Whether mail may be sent without TLS or to an unverified server.
    #[must_use]
    pub const fn policy(&self) -> Policy {
        self.policy
    }

    /// The TLS and with it the trusted servers.
    #[must_use]
    pub const fn tls(&self) -> &T {
        &self.tls
    }

    /// The login, if there is one.
    #[must_use]
    pub const fn login(&self) -> Option<&Login> {
        self.login.as_ref()
    }

    /// The treatment of a lone CR or LF in messages.
    #[must_use]
    pub const fn line_ends(&self) -> LineEnds {
        self.line_ends
    }

    /// Whether the server speaks LMTP, because a URL says so.
    #[must_use]
    pub fn is_lmtp(&self) -> bool {
        self.protocol == Some(Lmtp::PROTOCOL)
    }

    /// The timeouts.
    #[must_use]
    pub const fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    /// The opening of a plaintext connection, if [`without_asking_for_tls`](Self::without_asking_for_tls) was
    /// called.
    ///
    /// # Errors
    /// [`Error::Argument`] if the domain is invalid or if other settings require TLS.
    pub(crate) fn plaintext<'a, D: Dialect>(
        &'a self,
        literal: &'a str,
    ) -> Result<Option<ReservedOpening<'a, D>>, Error> {
        if self.asks_for_tls {
            return Ok(None);
        }
        if self.policy == Policy::Required || self.mode == Mode::Implicit || self.login.is_some() {
            let why = "requires TLS, but the settings forbid to ask for it".to_owned();
            return Err(Error::Argument { what: "the mail", why });
        }
        let domain = self.domain.as_deref().unwrap_or(literal);
        let domain = Domain::new(domain).map_err(Error::argument("the client's name"))?;
        Ok(Some(reserved(domain)))
    }

    /// The opening of a connection. It introduces the client as `literal` unless the settings have a domain.
    ///
    /// # Errors
    /// [`Error::Argument`] if the domain or the login is invalid.
    pub fn opening<'a, D: Dialect>(&'a self, literal: &'a str) -> Result<Opening<'a, D>, Error> {
        if let Some(protocol) = self.protocol.filter(|protocol| *protocol != D::PROTOCOL) {
            let why = format!("are for {}, and {} was called", protocol.name, D::PROTOCOL.name);
            return Err(Error::Argument { what: "the settings", why });
        }
        let domain = self.domain.as_deref().unwrap_or(literal);
        let domain = Domain::new(domain).map_err(Error::argument("the client's name"))?;
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
