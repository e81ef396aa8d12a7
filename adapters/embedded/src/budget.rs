use core::cell::Cell;
use core::time::Duration;

/// How long may still be waited, shared by who sets it and who waits.
#[derive(Debug)]
pub struct Budget {
    left: Cell<u32>,
}

impl Budget {
    const FOREVER: u32 = u32::MAX;

    /// Without an end.
    #[must_use]
    pub const fn forever() -> Self {
        Self { left: Cell::new(Self::FOREVER) }
    }

    /// Starts anew, with so much; `None` is for ever.
    pub fn start(&self, limit: Option<Duration>) {
        self.left.set(limit.map_or(Self::FOREVER, milliseconds));
    }

    /// How many milliseconds are left; `None` without an end.
    #[must_use]
    pub fn left(&self) -> Option<u32> {
        match self.left.get() {
            Self::FOREVER => None,
            left => Some(left),
        }
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.left.get() == 0
    }

    /// So many milliseconds have passed.
    pub fn spend(&self, milliseconds: u32) {
        if let Some(left) = self.left() {
            self.left.set(left.saturating_sub(milliseconds));
        }
    }
}

/// A clock and what it counts down: how long a connection may wait.
#[derive(Debug)]
pub struct Timer<C> {
    pub(crate) clock: C,
    pub(crate) budget: Budget,
    pub(crate) most: Option<Duration>,
}

impl<C> Timer<C> {
    /// Waits as long as the protocol's standard calls reasonable, 2 to 10 minutes for SMTP (RFC 5321
    /// §4.5.3.2), and one for the whole TLS handshake.
    #[must_use]
    pub const fn new(clock: C) -> Self {
        Self { clock, budget: Budget::forever(), most: None }
    }

    /// Waits no longer than that, each time.
    #[must_use]
    pub const fn at_most(mut self, most: Duration) -> Self {
        self.most = Some(most);
        self
    }
}

fn milliseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs())
        .unwrap_or(u32::MAX)
        .saturating_mul(1000)
        .saturating_add(duration.subsec_millis())
        // The largest value means something else.
        .min(Budget::FOREVER.wrapping_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spends_what_there_is() {
        let budget = Budget::forever();
        budget.spend(u32::MAX);
        assert_eq!(budget.left(), None);
        budget.start(Some(Duration::from_millis(1500)));
        budget.spend(1499);
        assert_eq!((budget.left(), budget.is_over()), (Some(1), false));
        budget.spend(2);
        assert!(budget.is_over());
        budget.start(Some(Duration::MAX));
        assert_eq!(budget.left(), Some(u32::MAX - 1));
        budget.start(None);
        assert!(!budget.is_over());
    }
}
