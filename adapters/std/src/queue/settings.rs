use std::time::Duration;

/// How a [`Queue`](crate::queue::Queue) retries mails and reports failures.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueSettings {
    name: String,
    retry: Duration,
    max_retry: Duration,
    give_up: Duration,
}

impl QueueSettings {
    /// The defaults of RFC 5321 §4.5.4.1: a retry after 30 minutes, then after twice the pause each time, up to
    /// 3 hours; the mail fails after 5 days.
    ///
    /// `name` is the domain name of this host. Reports of failures come from it.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            retry: Duration::from_secs(30 * 60),
            max_retry: Duration::from_secs(3 * 60 * 60),
            give_up: Duration::from_secs(5 * 24 * 60 * 60),
        }
    }

    /// The domain name of this host.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The pause before the first retry.
    #[must_use]
    pub const fn retry(&self) -> Duration {
        self.retry
    }

    /// Sets the pause before the first retry. The RFC asks for 30 minutes at least.
    #[must_use]
    pub const fn with_retry(mut self, retry: Duration) -> Self {
        self.retry = retry;
        self
    }

    /// The longest pause before a retry.
    #[must_use]
    pub const fn max_retry(&self) -> Duration {
        self.max_retry
    }

    /// Sets the longest pause before a retry.
    #[must_use]
    pub const fn with_max_retry(mut self, max_retry: Duration) -> Self {
        self.max_retry = max_retry;
        self
    }

    /// How long a mail is tried before it fails.
    #[must_use]
    pub const fn give_up(&self) -> Duration {
        self.give_up
    }

    /// Sets how long a mail is tried before it fails. The RFC asks for 4 to 5 days at least.
    #[must_use]
    pub const fn with_give_up(mut self, give_up: Duration) -> Self {
        self.give_up = give_up;
        self
    }

    /// The pause after this many attempts, in seconds.
    pub(super) fn pause(&self, attempts: u32) -> u64 {
        let factor = 1_u32.checked_shl(attempts.saturating_sub(1)).unwrap_or(u32::MAX);
        self.retry.saturating_mul(factor).min(self.max_retry).as_secs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_from_half_an_hour_to_three() {
        let settings = QueueSettings::new("mail.example.org");
        let minutes = [1, 2, 3, 4, 40, u32::MAX].map(|attempts| settings.pause(attempts) / 60);
        assert_eq!(minutes, [30, 60, 120, 180, 180, 180]);
    }
}
