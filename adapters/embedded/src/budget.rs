use core::cell::Cell;
use core::time::Duration;

/// How many reads and writes count as one millisecond.
const WORK: u8 = 32;

/// The remaining wait time. The loop sets it, and the clock spends it.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Budget {
    /// Milliseconds.
    left: Cell<u32>,
    /// All milliseconds spent so far: the connection's clock.
    spent: Cell<u64>,
    /// Reads and writes that are not counted as time yet.
    worked: Cell<u8>,
    /// The maximum of a single [wait](Self::wait), in milliseconds.
    pub(crate) most: u32,
}

impl Budget {
    pub(crate) const FOREVER: u32 = u32::MAX;

    /// A budget without a limit.
    #[must_use]
    pub const fn forever() -> Self {
        Self {
            left: Cell::new(Self::FOREVER),
            spent: Cell::new(0),
            worked: Cell::new(0),
            most: Self::FOREVER,
        }
    }

    /// Sets the remaining time. `None` removes the limit.
    pub fn start(&self, limit: Option<Duration>) {
        self.left.set(limit.map_or(Self::FOREVER, milliseconds));
    }

    /// Sets the remaining time to the protocol's limit, or the caller's if that is shorter.
    pub(crate) fn wait(&self, reasonable: Duration) {
        self.left.set(milliseconds(reasonable).min(self.most));
    }

    /// Sets the deadline, by the clock of [`now`](Self::now).
    pub(crate) fn until(&self, deadline: Duration) {
        // `Duration`'s own subtraction keeps a panic that the linker cannot remove.
        let end = deadline.as_secs().saturating_mul(1000);
        let end = end.saturating_add(u64::from(deadline.subsec_millis()));
        let left = u32::try_from(end.saturating_sub(self.spent.get()));
        self.left.set(left.unwrap_or(Self::FOREVER).min(Self::FOREVER - 1));
    }

    /// The time spent so far.
    pub(crate) const fn now(&self) -> Duration {
        Duration::from_millis(self.spent.get())
    }

    /// The caller's limit of a single wait.
    pub(crate) const fn most(&self) -> Option<Duration> {
        match self.most {
            Self::FOREVER => None,
            most => Some(Duration::from_millis(most as u64)),
        }
    }

    /// The remaining milliseconds. `None` without a limit.
    #[must_use]
    pub fn left(&self) -> Option<u32> {
        match self.left.get() {
            Self::FOREVER => None,
            left => Some(left),
        }
    }

    /// Whether no time remains.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.left.get() == 0
    }

    /// Counts a read or a write that did not wait. Returns whether a millisecond is full.
    ///
    /// A peer that always has bytes ready would otherwise never use up time, and could keep the connection
    /// forever.
    pub(crate) fn work(&self) -> bool {
        let worked = self.worked.get().wrapping_add(1);
        self.worked.set(worked % WORK);
        let counts = worked >= WORK;
        if counts {
            self.spend(1);
        }
        counts
    }

    /// Subtracts this many milliseconds.
    pub fn spend(&self, milliseconds: u32) {
        self.spent.set(self.spent.get().saturating_add(u64::from(milliseconds)));
        if let Some(left) = self.left() {
            self.left.set(left.saturating_sub(milliseconds));
        }
    }
}

/// A clock with its [`Budget`]: it limits how long a connection waits.
///
/// ```
/// use core::time::Duration;
/// use starttls_embedded::Timer;
///
/// // `delay` is any `embedded_hal::delay::DelayNs`.
/// fn timer<D>(delay: D) -> Timer<D> {
///     Timer::new(delay).at_most(Duration::from_secs(20))
/// }
/// ```
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Timer<C> {
    pub(crate) clock: C,
    pub(crate) budget: Budget,
}

impl<C> Timer<C> {
    /// Limits each wait as the protocol's standard does: 2 to 10 minutes for SMTP (RFC 5321 §4.5.3.2), one
    /// minute for the whole TLS handshake.
    #[must_use]
    pub const fn new(clock: C) -> Self {
        Self { clock, budget: Budget::forever() }
    }

    /// Limits each wait to this time as well.
    #[must_use]
    pub const fn at_most(mut self, most: Duration) -> Self {
        self.budget.most = milliseconds(most);
        self
    }
}

pub(crate) const fn milliseconds(duration: Duration) -> u32 {
    let seconds = duration.as_secs();
    // The largest value stands for "no limit".
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
    fn time_is_spent_until_none_remains() {
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
        budget.start(Some(Duration::from_millis(2)));
        assert_eq!((1..2 * WORK).filter(|_| budget.work()).count(), 1);
        assert_eq!(budget.left(), Some(1));
        assert!(budget.work() && budget.is_over());
    }
}
