//! The deadlines of all connections. What they cost does not grow with the number of connections that only wait.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// At most one entry for each connection. A deadline that moves later leaves its entry where it is: when that is due,
/// the connection says its real deadline.
#[derive(Default)]
pub(crate) struct Timers(BinaryHeap<Reverse<(Instant, usize)>>);

/// The entry of one connection.
#[derive(Default)]
pub(crate) struct Timer(Option<Instant>);

impl Timers {
    /// Notes a connection's deadline.
    pub(crate) fn set(&mut self, key: usize, timer: &mut Timer, deadline: Option<Instant>) {
        if let Some(deadline) = deadline
            && timer.0.is_none_or(|noted| deadline < noted)
        {
            timer.0 = Some(deadline);
            self.0.push(Reverse((deadline, key)));
        }
    }

    /// The next time at which [`due`](Self::due) has something.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.peek().map(|Reverse((deadline, _))| *deadline)
    }

    /// A connection whose noted deadline has passed.
    pub(crate) fn due(&mut self, now: Instant) -> Option<(usize, Instant)> {
        let Reverse((deadline, key)) = *self.0.peek().filter(|Reverse((end, _))| *end <= now)?;
        self.0.pop();
        Some((key, deadline))
    }
}

impl Timer {
    /// Whether an entry that is due is this one's, which is then gone. An entry may be of a connection that had the key
    /// before, or be replaced by an earlier one.
    pub(crate) fn is_due(&mut self, deadline: Instant) -> bool {
        self.0.take_if(|noted| *noted == deadline).is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_connection_is_due_at_its_earliest_deadline_and_only_once() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let (mut timers, mut one, mut two) =
            (Timers::default(), Timer::default(), Timer::default());
        timers.set(1, &mut one, Some(at(5)));
        timers.set(2, &mut two, Some(at(3)));
        timers.set(1, &mut one, Some(at(9)));
        timers.set(1, &mut one, Some(at(4)));
        timers.set(2, &mut two, None);
        assert_eq!(timers.next(), Some(at(3)));
        assert_eq!(timers.due(at(2)), None);
        assert_eq!(timers.due(at(5)), Some((2, at(3))));
        assert!(two.is_due(at(3)) && !two.is_due(at(3)));
        assert_eq!(timers.due(at(5)), Some((1, at(4))));
        assert!(one.is_due(at(4)));
        // Replaced by the earlier one.
        assert_eq!(timers.due(at(5)), Some((1, at(5))));
        assert!(!one.is_due(at(5)));
        assert_eq!(timers.due(at(100)), None);
    }
}
