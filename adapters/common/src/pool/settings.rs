use std::time::Duration;

/// How a [`Pool`](crate::Pool) uses its connections and retries mails.
///
/// ```
/// use std::time::Duration;
/// use starttls_common::PoolSettings;
///
/// let settings = PoolSettings::new().with_connections(10).with_deadline(Duration::from_secs(10));
/// assert_eq!(settings.connections(), 10);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolSettings {
    connections: usize,
    mails_per_connection: usize,
    idle: Duration,
    check_after: Duration,
    check_wait: Duration,
    retries: u32,
    backoff: Duration,
    max_backoff: Duration,
    deadline: Duration,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self::new()
    }
}

impl PoolSettings {
    /// The defaults: 5 connections of 100 mails each, closed after a minute without a mail and checked after
    /// ten seconds; 3 retries after 1, 2 and 4 seconds, within a minute.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            connections: 5,
            mails_per_connection: 100,
            idle: Duration::from_secs(60),
            check_after: Duration::from_secs(10),
            check_wait: Duration::from_secs(10),
            retries: 3,
            backoff: Duration::from_secs(1),
            max_backoff: Duration::from_secs(30),
            deadline: Duration::from_secs(60),
        }
    }

    /// The most connections at the same time. Further mails wait for one of them.
    #[must_use]
    pub const fn connections(&self) -> usize {
        self.connections
    }

    /// Sets the most connections at the same time; at least one is used.
    #[must_use]
    pub const fn with_connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        self
    }

    /// The most transactions on one connection before it is closed. Many servers have such a limit.
    #[must_use]
    pub const fn mails_per_connection(&self) -> usize {
        self.mails_per_connection
    }

    /// Sets the most transactions on one connection; at least one is made.
    #[must_use]
    pub const fn with_mails_per_connection(mut self, mails: usize) -> Self {
        self.mails_per_connection = mails;
        self
    }

    /// How long a connection is kept without a mail. Servers wait five minutes or more (RFC 5321 §4.5.3.2.7).
    #[must_use]
    pub const fn idle(&self) -> Duration {
        self.idle
    }

    /// Sets how long a connection is kept without a mail. With zero, none is kept.
    #[must_use]
    pub const fn with_idle(mut self, idle: Duration) -> Self {
        self.idle = idle;
        self
    }

    /// After which time without a mail a connection is checked before its next mail.
    #[must_use]
    pub const fn check_after(&self) -> Duration {
        self.check_after
    }

    /// Sets after which time without a mail a connection is checked. With zero, it is checked each time.
    #[must_use]
    pub const fn with_check_after(mut self, check_after: Duration) -> Self {
        self.check_after = check_after;
        self
    }

    /// How long the server may take to reply to the check.
    #[must_use]
    pub const fn check_wait(&self) -> Duration {
        self.check_wait
    }

    /// Sets how long the server may take to reply to the check. After that, the mail gets a new connection.
    #[must_use]
    pub const fn with_check_wait(mut self, check_wait: Duration) -> Self {
        self.check_wait = check_wait;
        self
    }

    /// How often a mail is tried again after a temporary failure.
    #[must_use]
    pub const fn retries(&self) -> u32 {
        self.retries
    }

    /// Sets how often a mail is tried again after a temporary failure. Not counted are the transactions for
    /// recipients beyond the server's limit, and one new connection in place of one that the server has closed.
    #[must_use]
    pub const fn with_retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// The pause before the first retry. It doubles with each further one.
    #[must_use]
    pub const fn backoff(&self) -> Duration {
        self.backoff
    }

    /// Sets the pause before the first retry.
    #[must_use]
    pub const fn with_backoff(mut self, backoff: Duration) -> Self {
        self.backoff = backoff;
        self
    }

    /// The longest pause before a retry.
    #[must_use]
    pub const fn max_backoff(&self) -> Duration {
        self.max_backoff
    }

    /// Sets the longest pause before a retry.
    #[must_use]
    pub const fn with_max_backoff(mut self, max_backoff: Duration) -> Self {
        self.max_backoff = max_backoff;
        self
    }

    /// How long a mail waits for a connection and for its retries, in total.
    ///
    /// No retry starts later. [`Timeouts`](crate::Timeouts) limit one that has started: to interrupt it
    /// could leave its outcome unknown.
    #[must_use]
    pub const fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Sets how long a mail waits for a connection and for its retries, in total.
    #[must_use]
    pub const fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The pause before retry `number`, which starts at 0.
    pub(super) fn pause(&self, number: u32) -> Duration {
        let factor = 1_u32.checked_shl(number).unwrap_or(u32::MAX);
        self.backoff.saturating_mul(factor).min(self.max_backoff)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let settings = PoolSettings::new();
        let pauses =
            [0, 1, 2, 4, 5, 31, 32, u32::MAX].map(|number| settings.pause(number).as_secs());
        assert_eq!(pauses, [1, 2, 4, 16, 30, 30, 30, 30]);
    }
}
