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

/// Timeouts of a connection that has begun.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadlines {
    timeouts: Timeouts,
    end: Option<Instant>,
}

impl Deadlines {
    pub(crate) fn start(timeouts: Timeouts) -> Self {
        let end = timeouts.total.and_then(|total| Instant::now().checked_add(total));
        Self { timeouts, end }
    }

    pub(crate) fn restart(&mut self) {
        *self = Self::start(self.timeouts);
    }

    /// For a wait that the machine calls reasonable; `None` when the time is over.
    pub(crate) fn wait(&self, reasonable: Duration) -> Option<Duration> {
        self.at_most(self.timeouts.wait.unwrap_or(reasonable).min(reasonable))
    }

    pub(crate) fn connect(&self) -> Option<Duration> {
        self.at_most(self.timeouts.connect)
    }

    pub(crate) fn handshake(&self) -> Option<Duration> {
        self.at_most(self.timeouts.handshake)
    }

    fn at_most(&self, wait: Duration) -> Option<Duration> {
        let left = match self.end {
            Some(end) => wait.min(end.saturating_duration_since(Instant::now())),
            None => wait,
        };
        (!left.is_zero()).then_some(left)
    }
}
