//! embassy's clock on the two timers of the board (CMSDK, ARM DDI 0479D §4.5), which count down at
//! 25 MHz: one runs freely and tells the time, the other is set to the next alarm.

use core::cell::{Cell, RefCell};
use core::task::Waker;

use critical_section::{CriticalSection, Mutex};
use embassy_time_driver::{Driver, TICK_HZ};
use embassy_time_queue_utils::Queue;

use crate::interrupt::Interrupt;
use crate::register::Register;

/// Their interrupts.
pub const COUNTER_INTERRUPT: Interrupt = Interrupt(8);
pub const ALARM_INTERRUPT: Interrupt = Interrupt(9);

/// The timers' frequency, in Hz.
pub const HZ: u32 = 25_000_000;
const COUNTS_PER_TICK: u64 = HZ as u64 / TICK_HZ;

const COUNTER: Timer = Timer(0x4000_0000);
const ALARM: Timer = Timer(0x4000_1000);

/// A timer of 32 bits.
struct Timer(usize);

impl Timer {
    const ON: u32 = 1;
    const INTERRUPT: u32 = 1 << 3;

    fn control(&self) -> Register {
        Register(self.0)
    }

    fn value(&self) -> Register {
        Register(self.0 + 4)
    }

    fn reload(&self) -> Register {
        Register(self.0 + 8)
    }

    /// Read: whether it has reached zero. Write: clears that.
    fn reached(&self) -> Register {
        Register(self.0 + 12)
    }

    fn start(&self, counts: u32) {
        self.control().write(0);
        self.reload().write(counts);
        self.value().write(counts);
        self.reached().write(1);
        self.control().write(Self::ON | Self::INTERRUPT);
    }
}

struct Clock {
    /// The number of wraps of the counter.
    rounds: Mutex<Cell<u32>>,
    queue: Mutex<RefCell<Queue>>,
}

embassy_time_driver::time_driver_impl!(static CLOCK: Clock = Clock {
    rounds: Mutex::new(Cell::new(0)),
    queue: Mutex::new(RefCell::new(Queue::new())),
});

/// Starts the clock, before its first use.
pub fn start() {
    COUNTER.start(u32::MAX);
    COUNTER_INTERRUPT.unmask();
    ALARM_INTERRUPT.unmask();
}

/// The counts since [`start`], at [`HZ`].
pub fn counts() -> u64 {
    critical_section::with(|token| CLOCK.counts(token))
}

/// Handles [`COUNTER_INTERRUPT`] and [`ALARM_INTERRUPT`].
pub fn on_interrupt() {
    critical_section::with(|token| {
        CLOCK.counts(token);
        ALARM.reached().write(1);
        CLOCK.ring(token);
    });
}

impl Clock {
    fn counts(&self, token: CriticalSection<'_>) -> u64 {
        let rounds = self.rounds.borrow(token);
        let mut value = COUNTER.value().read();
        if COUNTER.reached().read() != 0 {
            COUNTER.reached().write(1);
            rounds.set(rounds.get() + 1);
            value = COUNTER.value().read();
        }
        (u64::from(rounds.get()) << 32) | u64::from(!value)
    }

    /// Wakes all due tasks, and sets the alarm for the next one.
    fn ring(&self, token: CriticalSection<'_>) {
        ALARM.control().write(0);
        let now = self.counts(token) / COUNTS_PER_TICK;
        let next = self.queue.borrow_ref_mut(token).next_expiration(now);
        if next != u64::MAX {
            // An early alarm sets the next one.
            let counts = next.saturating_sub(now).saturating_mul(COUNTS_PER_TICK);
            ALARM.start(counts.try_into().unwrap_or(u32::MAX).max(1));
        }
    }
}

impl Driver for Clock {
    fn now(&self) -> u64 {
        counts() / COUNTS_PER_TICK
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        critical_section::with(|token| {
            if self.queue.borrow_ref_mut(token).schedule_wake(at, waker) {
                self.ring(token);
            }
        });
    }
}
