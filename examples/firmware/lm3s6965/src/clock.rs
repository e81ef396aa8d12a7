//! Milliseconds since the start, counted by the system timer.

use core::sync::atomic::{AtomicU32, Ordering};

use cortex_m::peripheral::{SYST, syst::SystClkSource};
use cortex_m_rt::exception;
use smoltcp::time::Instant;

/// What the core runs at after a reset, in ticks per millisecond.
const TICKS: u32 = 12_500;

static MILLISECONDS: AtomicU32 = AtomicU32::new(0);

/// Starts to count.
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

#[exception]
fn SysTick() {
    MILLISECONDS.fetch_add(1, Ordering::Relaxed);
}

/// Until the next millisecond at most.
pub fn wait() {
    cortex_m::asm::wfi();
}

/// Waits for the network's and TLS's sake.
pub struct Delay;

impl embedded_hal::delay::DelayNs for Delay {
    fn delay_ns(&mut self, ns: u32) {
        let end = MILLISECONDS.load(Ordering::Relaxed).wrapping_add(ns.div_ceil(1_000_000));
        while (end.wrapping_sub(MILLISECONDS.load(Ordering::Relaxed)) as i32) > 0 {
            wait();
        }
    }
}
