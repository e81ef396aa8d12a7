use core::time::Duration;

use starttls::Policy;
use starttls::mail::{Credentials, LineEnds, Opening};
use starttls::smtp::Domain;

use crate::Budget;
use crate::budget::milliseconds;

/// When TLS starts.
///
/// The enum is exhaustive: there is no third mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Mode {
    /// After `STARTTLS`.
    #[default]
    StartTls,
    /// At once, before the first byte of the protocol (RFC 8314 §3).
    Implicit,
}

/// How a mailer connects to its server.
///
/// ```
/// use core::time::Duration;
/// use starttls_embedded::Settings;
///
/// let settings = Settings::new().with_max_wait(Duration::from_secs(30));
/// # let _ = settings;
/// ```
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Settings<'a> {
    pub(crate) domain: Domain<'a>,
    pub(crate) credentials: Option<&'a Credentials<'a>>,
    pub(crate) mode: Mode,
    pub(crate) policy: Policy,
    pub(crate) line_ends: LineEnds,
    /// Milliseconds.
    pub(crate) most: u32,
}

/// The default limit of hash iterations that a server may demand in SCRAM: four times the number that RFC
/// 7677 §4 recommends.
///
/// They take a board of 64 MHz some seconds.
pub const MAX_ITERATIONS: u32 = 16_384;

impl<'a> Settings<'a> {
    /// `STARTTLS`, only to a verified server, without credentials.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            domain: Domain::LOCALHOST,
            credentials: None,
            mode: Mode::StartTls,
            policy: Policy::Required,
            line_ends: LineEnds::Strict,
            most: Budget::FOREVER,
        }
    }

    /// Sets the name by which the client introduces itself.
    #[must_use]
    pub const fn with_domain(mut self, domain: Domain<'a>) -> Self {
        self.domain = domain;
        self
    }

    /// Sets the login.
    ///
    /// In SCRAM a server may demand [`MAX_ITERATIONS`] of the hash, or the number of
    /// `Credentials::with_max_iterations` (with the feature `starttls/scram`).
    #[must_use]
    pub const fn with_credentials(mut self, credentials: &'a Credentials<'a>) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// Sets when TLS starts.
    #[must_use]
    pub const fn with_mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Sets what happens to a lone CR or LF in messages. Composed messages have none.
    #[must_use]
    pub const fn with_line_ends(mut self, line_ends: LineEnds) -> Self {
        self.line_ends = line_ends;
        self
    }

    /// Limits the wait for each reply and for the handshake.
    ///
    /// The default is 2 to 10 minutes for a reply (RFC 5321 §4.5.3.2), and one minute for the handshake.
    #[must_use]
    pub const fn with_max_wait(mut self, most: Duration) -> Self {
        self.most = milliseconds(most);
        self
    }

    /// Also sends mail to an unverified server, so that an active attacker can read it. Credentials are never
    /// sent to such a server.
    #[must_use]
    pub const fn dangerous_accept_unverified(mut self) -> Self {
        self.policy = Policy::Opportunistic;
        self
    }

    /// The credentials, with a limit of iterations.
    pub(crate) fn shown(&self) -> Option<Credentials<'a>> {
        self.credentials.map(|credentials| credentials.or_max_iterations(MAX_ITERATIONS))
    }

    /// The opening of a connection.
    pub(crate) fn opening(&self) -> Opening<'a> {
        let opening = match self.mode {
            Mode::StartTls => Opening::new(self.domain, self.policy),
            Mode::Implicit => Opening::implicit(self.domain, self.policy),
        };
        if self.credentials.is_some() { opening.with_login() } else { opening }
    }
}

impl Default for Settings<'_> {
    fn default() -> Self {
        Self::new()
    }
}
