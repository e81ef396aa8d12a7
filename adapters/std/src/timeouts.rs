use std::time::{Duration, Instant};

/// How long to wait, and for what.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For the TCP connection, each address of the host.
    pub connect: Duration,
    /// For the whole TLS handshake.
    pub handshake: Duration,
    /// For each answer; `None` for what the protocol's standard calls reasonable, 2 to 10 minutes
    /// for SMTP (RFC 5321 §4.5.3.2). A shorter one of the two counts.
    pub wait: Option<Duration>,
    /// For everything from the start of the connection to its end; where several mails share it, to
    /// the end of the first, and for each other mail anew. `None` for no limit.
    pub total: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            handshake: Duration::from_secs(60),
            wait: None,
            total: None,
        }
    }
}

/// Timeouts of a connection that has begun. It takes no time from the system.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    timeouts: Timeouts,
    end: Option<Instant>,
}

impl Deadlines {
    /// The total begins.
    #[must_use]
    pub fn start(timeouts: Timeouts, now: Instant) -> Self {
        let end = timeouts.total.and_then(|total| now.checked_add(total));
        Self { timeouts, end }
    }

    /// The total begins anew.
    pub fn restart(&mut self, now: Instant) {
        *self = Self::start(self.timeouts, now);
    }

    /// For a wait that the machine calls reasonable; `None` when the time is over.
    #[must_use]
    pub fn wait(&self, reasonable: Duration, now: Instant) -> Option<Duration> {
        self.at_most(self.timeouts.wait.unwrap_or(reasonable).min(reasonable), now)
    }

    /// For the TCP connection.
    #[must_use]
    pub fn connect(&self, now: Instant) -> Option<Duration> {
        self.at_most(self.timeouts.connect, now)
    }

    /// For the TLS handshake.
    #[must_use]
    pub fn handshake(&self, now: Instant) -> Option<Duration> {
        self.at_most(self.timeouts.handshake, now)
    }

    fn at_most(&self, wait: Duration, now: Instant) -> Option<Duration> {
        let left = match self.end {
            Some(end) => wait.min(end.saturating_duration_since(now)),
            None => wait,
        };
        (!left.is_zero()).then_some(left)
    }
}
