use std::time::Duration;

/// The time limits of a connection.
///
/// ```
/// use core::time::Duration;
/// use starttls_common::Timeouts;
///
/// let timeouts = Timeouts::new().with_total(Duration::from_secs(120));
/// assert_eq!(timeouts.total(), Some(Duration::from_secs(120)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// For the TCP connection to each address of the host.
    pub(crate) connect: Duration,
    /// For the whole TLS handshake.
    pub(crate) handshake: Duration,
    /// For each reply. `None` means the standard's limit: 2 to 10 minutes for SMTP (RFC 5321 §4.5.3.2). The
    /// shorter one applies.
    pub(crate) wait: Option<Duration>,
    /// From the start of the connection to its end. If several mails share it: to the end of the first, and
    /// again for each further mail. `None` for no limit.
    pub(crate) total: Option<Duration>,
}

/// The default limit of a whole connection.
const TOTAL: Duration = Duration::from_secs(60 * 60);

impl Default for Timeouts {
    fn default() -> Self {
        Self::new()
    }
}

impl Timeouts {
    /// The defaults.
    ///
    /// They are 30 seconds for the TCP connection, 60 seconds for the handshake, the standard's limit for
    /// each reply, and an hour in total. The total limits a peer that always answers just in time.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            connect: Duration::from_secs(30),
            handshake: Duration::from_secs(60),
            wait: None,
            total: Some(TOTAL),
        }
    }

    /// The limit of the whole connection, if there is one.
    #[must_use]
    pub const fn total(&self) -> Option<Duration> {
        self.total
    }

    /// Sets the limit of the TCP connection to each address of the host.
    #[must_use]
    pub const fn with_connect(mut self, connect: Duration) -> Self {
        self.connect = connect;
        self
    }

    /// Sets the limit of the whole TLS handshake.
    #[must_use]
    pub const fn with_handshake(mut self, handshake: Duration) -> Self {
        self.handshake = handshake;
        self
    }

    /// Sets the limit of each reply. It shortens the standard's limits and never extends them.
    #[must_use]
    pub const fn with_wait(mut self, wait: Duration) -> Self {
        self.wait = Some(wait);
        self
    }

    /// Sets the limit of the whole connection. The default is an hour.
    #[must_use]
    pub const fn with_total(mut self, total: Duration) -> Self {
        self.total = Some(total);
        self
    }

    /// Removes the limit of the whole connection, for one that lives as long as the peer keeps it open.
    #[must_use]
    pub const fn without_total(mut self) -> Self {
        self.total = None;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_has_a_total_limit_by_default() {
        assert_eq!(Timeouts::default().total(), Some(TOTAL));
        assert_eq!(Timeouts::new().without_total().total(), None);
        let total = Duration::from_secs(1);
        assert_eq!(Timeouts::new().with_total(total).total(), Some(total));
    }
}
