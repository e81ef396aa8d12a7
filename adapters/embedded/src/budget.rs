use core::cell::Cell;
use core::time::Duration;

/// How long may still be waited, shared by who sets it and who waits.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Budget {
    /// Milliseconds.
    left: Cell<u32>,
    /// Milliseconds that were ever spent: the clock of the connection.
    spent: Cell<u64>,
    /// The most that is ever [waited](Self::wait) for at a time, in milliseconds.
    pub(crate) most: u32,
}

impl Budget {
    pub(crate) const FOREVER: u32 = u32::MAX;

    /// Without an end.
    #[must_use]
    pub const fn forever() -> Self {
        Self { left: Cell::new(Self::FOREVER), spent: Cell::new(0), most: Self::FOREVER }
    }

    /// Starts anew, with so much; `None` is for ever.
    pub fn start(&self, limit: Option<Duration>) {
        self.left.set(limit.map_or(Self::FOREVER, milliseconds));
    }

    /// Starts anew, with what is reasonable, or with what the caller allows if that is less.
    pub(crate) fn wait(&self, reasonable: Duration) {
        self.left.set(milliseconds(reasonable).min(self.most));
    }

    /// Starts anew, with what is left until then by [`now`](Self::now).
    pub(crate) fn until(&self, deadline: Duration) {
        // Not by `Duration`'s own subtraction, which keeps a panic that the linker cannot rule out.
        let end = deadline.as_secs().saturating_mul(1000);
        let end = end.saturating_add(u64::from(deadline.subsec_millis()));
        let left = u32::try_from(end.saturating_sub(self.spent.get()));
        self.left.set(left.unwrap_or(Self::FOREVER).min(Self::FOREVER - 1));
    }

    /// How much was ever spent.
    pub(crate) const fn now(&self) -> Duration {
        Duration::from_millis(self.spent.get())
    }

    /// The most that is ever waited for at a time.
    pub(crate) const fn most(&self) -> Option<Duration> {
        match self.most {
            Self::FOREVER => None,
            most => Some(Duration::from_millis(most as u64)),
        }
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
        self.spent.set(self.spent.get().saturating_add(u64::from(milliseconds)));
        if let Some(left) = self.left() {
            self.left.set(left.saturating_sub(milliseconds));
        }
    }
}

/// A clock and what it counts down: how long a connection may wait.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Timer<C> {
    pub(crate) clock: C,
    pub(crate) budget: Budget,
}

impl<C> Timer<C> {
    /// Waits as long as the protocol's standard calls reasonable, 2 to 10 minutes for SMTP (RFC 5321
    /// §4.5.3.2), and one for the whole TLS handshake.
    #[must_use]
    pub const fn new(clock: C) -> Self {
        Self { clock, budget: Budget::forever() }
    }

    /// Waits no longer than that, each time.
    #[must_use]
    pub const fn at_most(mut self, most: Duration) -> Self {
        self.budget.most = milliseconds(most);
        self
    }
}

pub(crate) const fn milliseconds(duration: Duration) -> u32 {
    let seconds = duration.as_secs();
    // The largest value means something else.
    if seconds > (Budget::FOREVER / 1000 - 1) as u64 {
        return Budget::FOREVER - 1;
    }
    #[expect(clippy::cast_possible_truncation, reason = "so small")]
    let seconds = seconds as u32;
    seconds.wrapping_mul(1000).wrapping_add(duration.subsec_millis())
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
