use core::time::Duration;

use starttls::Policy;
use starttls::mail::{Credentials, LineEnds, Opening};
use starttls::smtp::Domain;

use crate::Budget;
use crate::budget::milliseconds;

/// When TLS begins. Exhaustive: there is no third moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Mode {
    /// After `STARTTLS`.
    #[default]
    StartTls,
    /// At once (RFC 8314 §3).
    Implicit,
}

/// How a mailer goes to work.
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

impl<'a> Settings<'a> {
    /// `STARTTLS`, to a verified server and no other, without credentials.
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

    /// How the client introduces itself.
    #[must_use]
    pub const fn with_domain(mut self, domain: Domain<'a>) -> Self {
        self.domain = domain;
        self
    }

    /// Who sends, if the server wants to know.
    #[must_use]
    pub const fn with_credentials(mut self, credentials: &'a Credentials<'a>) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// When TLS begins.
    #[must_use]
    pub const fn with_mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// What to do with lone CR or LF in messages. What is composed has none.
    #[must_use]
    pub const fn with_line_ends(mut self, line_ends: LineEnds) -> Self {
        self.line_ends = line_ends;
        self
    }

    /// Waits no longer than that for each answer, and for the handshake. Without, as long as RFC 5321
    /// §4.5.3.2 calls reasonable, 2 to 10 minutes, and one minute for the handshake.
    #[must_use]
    pub const fn with_max_wait(mut self, most: Duration) -> Self {
        self.most = milliseconds(most);
        self
    }

    /// Sends mail to a server that nobody vouches for: whoever answers can read it. Credentials are
    /// not shown to such a server in any case.
    #[must_use]
    pub const fn dangerous_accept_unverified(mut self) -> Self {
        self.policy = Policy::Opportunistic;
        self
    }

    /// The way to an open connection.
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
