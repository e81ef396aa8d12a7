//! Milliseconds since the start, counted by the system timer.

use core::sync::atomic::{AtomicU32, Ordering};

use cortex_m::peripheral::{SYST, syst::SystClkSource};
use cortex_m_rt::exception;
use embedded_hal::delay::DelayNs;
use smoltcp::time::Instant;

/// The core's clock after a reset, in ticks per millisecond.
const TICKS: u32 = 12_500;

/// A tick, in nanoseconds.
const TICK: u64 = 1_000_000 / TICKS as u64;

static MILLISECONDS: AtomicU32 = AtomicU32::new(0);

/// The ticks spent asleep.
static ASLEEP: AtomicU32 = AtomicU32::new(0);

/// Starts counting.
pub fn start(mut timer: SYST) {
    timer.set_clock_source(SystClkSource::Core);
    timer.set_reload(TICKS - 1);
    timer.clear_current();
    timer.enable_interrupt();
    timer.enable_counter();
}

pub fn now() -> Instant {
    Instant::from_millis(MILLISECONDS.load(Ordering::Relaxed))
}

/// Sleeps until the next millisecond at most.
pub fn wait() {
    let before = ticks();
    cortex_m::asm::wfi();
    let slept = ticks().wrapping_sub(before);
    ASLEEP.store(ASLEEP.load(Ordering::Relaxed).wrapping_add(slept), Ordering::Relaxed);
}

/// The microseconds awake since the start.
pub fn awake() -> usize {
    let ticks = ticks().wrapping_sub(ASLEEP.load(Ordering::Relaxed));
    (u64::from(ticks) * TICK / 1000) as usize
}

/// The ticks since the start; they wrap after 5 minutes.
fn ticks() -> u32 {
    loop {
        let milliseconds = MILLISECONDS.load(Ordering::Relaxed);
        let left = SYST::get_current();
        if milliseconds == MILLISECONDS.load(Ordering::Relaxed) {
            return milliseconds.wrapping_mul(TICKS).wrapping_add(TICKS - 1 - left);
        }
    }
}

#[exception]
fn SysTick() {
    MILLISECONDS.fetch_add(1, Ordering::Relaxed);
}

/// Waits for the adapter.
pub struct Delay;

impl DelayNs for Delay {
    fn delay_ns(&mut self, ns: u32) {
        let end = MILLISECONDS.load(Ordering::Relaxed).wrapping_add(ns.div_ceil(1_000_000));
        while (end.wrapping_sub(MILLISECONDS.load(Ordering::Relaxed)) as i32) > 0 {
            wait();
        }
    }
}
