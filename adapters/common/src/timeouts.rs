use std::time::Duration;

/// How long to wait, and for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// For the TCP connection, each address of the host.
    pub(crate) connect: Duration,
    /// For the whole TLS handshake.
    pub(crate) handshake: Duration,
    /// For each answer; `None` for what the protocol's standard calls reasonable, 2 to 10 minutes
    /// for SMTP (RFC 5321 §4.5.3.2). A shorter one of the two counts.
    pub(crate) wait: Option<Duration>,
    /// For everything from the start of the connection to its end; where several mails share it, to
    /// the end of the first, and for each other mail anew. `None` for no limit.
    pub(crate) total: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self::new()
    }
}

impl Timeouts {
    /// The defaults: 30 seconds for the TCP connection, 60 for the handshake, what the standard calls reasonable for
    /// each answer, and no limit for the whole.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            connect: Duration::from_secs(30),
            handshake: Duration::from_secs(60),
            wait: None,
            total: None,
        }
    }

    /// For the TCP connection, each address of the host.
    #[must_use]
    pub const fn with_connect(mut self, connect: Duration) -> Self {
        self.connect = connect;
        self
    }

    /// For the whole TLS handshake.
    #[must_use]
    pub const fn with_handshake(mut self, handshake: Duration) -> Self {
        self.handshake = handshake;
        self
    }

    /// For each answer, where the standard allows more.
    #[must_use]
    pub const fn with_wait(mut self, wait: Duration) -> Self {
        self.wait = Some(wait);
        self
    }

    /// For everything from the start of the connection to its end.
    #[must_use]
    pub const fn with_total(mut self, total: Duration) -> Self {
        self.total = Some(total);
        self
    }
}
