use std::sync::Arc;

use rustls::ServerConfig;
use starttls::mail::Inbound;
use starttls::mail::receiver::Config;
#[cfg(feature = "scram")]
use starttls::mail::receiver::Scram;
use starttls::server;
use starttls::smtp::{Dialect, Domain};

#[cfg(feature = "scram")]
use crate::scram::Unknown;
use crate::{Error, Mode, Timeouts};

/// The default limit of a message, in bytes: 64 MiB. [`Limits::size`](starttls::mail::receiver::Limits::size)
/// overrides it.
pub const MAX_MESSAGE: usize = 64 << 20;

/// How a server receives mail.
///
/// ```
/// use std::sync::Arc;
/// use starttls_common::rustls::ServerConfig;
/// use starttls_common::{InboxSettings, MAX_MESSAGE};
///
/// fn settings(tls: Arc<ServerConfig>) -> InboxSettings {
///     let settings = InboxSettings::new("mx.example.org", tls);
///     assert_eq!(settings.max_message(), MAX_MESSAGE);
///     settings
/// }
/// ```
#[derive(Clone, Debug)]
pub struct InboxSettings {
    domain: String,
    mode: Mode,
    upgrade: server::Config,
    tls: Arc<ServerConfig>,
    receiver: Config,
    timeouts: Timeouts,
    #[cfg(feature = "scram")]
    unknown: Arc<Unknown>,
}

impl InboxSettings {
    /// Settings for a server that introduces itself as `domain`, starts TLS after `STARTTLS`, refuses mail
    /// without TLS and offers no login.
    #[must_use]
    pub fn new(domain: impl Into<String>, tls: Arc<ServerConfig>) -> Self {
        Self {
            domain: domain.into(),
            mode: Mode::StartTls,
            upgrade: server::Config::default(),
            tls,
            receiver: Config::default(),
            timeouts: Timeouts::default(),
            #[cfg(feature = "scram")]
            unknown: Arc::default(),
        }
    }

    /// Sets when TLS starts.
    #[must_use]
    pub const fn with_mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Sets what clients may do without TLS.
    #[must_use]
    pub const fn with_upgrade(mut self, upgrade: server::Config) -> Self {
        self.upgrade = upgrade;
        self
    }

    /// Sets the offered extensions and the limits of each client.
    ///
    /// Each message is held in memory as a whole, up to [`MAX_MESSAGE`] bytes by default, unless
    /// [`Deliver::keep`](crate::Deliver::keep) stores it elsewhere.
    #[must_use]
    pub const fn with_receiver(mut self, receiver: Config) -> Self {
        self.receiver = receiver;
        self
    }

    /// Sets the timeouts.
    #[must_use]
    pub const fn with_timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// The TLS configuration: the certificate and its key.
    #[must_use]
    pub const fn tls(&self) -> &Arc<ServerConfig> {
        &self.tls
    }

    /// The timeouts.
    #[must_use]
    pub const fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    /// The largest message, in bytes.
    #[must_use]
    pub fn max_message(&self) -> usize {
        self.receiver.limits().size().unwrap_or(MAX_MESSAGE)
    }

    /// The secret for the keys of unknown users.
    #[cfg(feature = "scram")]
    pub(crate) fn unknown(&self) -> &Unknown {
        &self.unknown
    }

    /// Whether SCRAM with a channel binding is offered where the connection has one.
    #[cfg(feature = "scram")]
    pub(crate) fn binds(&self) -> bool {
        self.receiver.scram() == Scram::Bound
    }

    /// The machine that receives the mail of one connection.
    ///
    /// # Errors
    /// [`Error::Argument`] if the domain is invalid.
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
