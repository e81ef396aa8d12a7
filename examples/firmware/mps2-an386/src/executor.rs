//! embassy's executor for this board: it sleeps by `WFI`, because QEMU does not implement the `WFE` of
//! embassy's own executor, and it measures its sleep.

use core::cell::Cell;
use core::sync::atomic::{AtomicBool, Ordering};

use critical_section::Mutex;
use embassy_executor::{Spawner, raw};
use static_cell::StaticCell;

use crate::clock;

/// Whether there is work.
static PENDING: AtomicBool = AtomicBool::new(false);

/// The counts spent asleep.
static ASLEEP: Mutex<Cell<u64>> = Mutex::new(Cell::new(0));

/// The microseconds awake since the start.
pub fn awake() -> usize {
    let asleep = critical_section::with(|token| ASLEEP.borrow(token).get());
    ((clock::counts() - asleep) / u64::from(clock::HZ / 1_000_000)) as usize
}

#[unsafe(export_name = "__pender")]
fn pend(_: *mut ()) {
    PENDING.store(true, Ordering::Release);
}

/// Runs the tasks that `start` spawns, forever.
pub fn run(start: impl FnOnce(Spawner)) -> ! {
    static EXECUTOR: StaticCell<raw::Executor> = StaticCell::new();
    let executor = EXECUTOR.init(raw::Executor::new(core::ptr::null_mut()));
    let executor: &'static raw::Executor = executor;
    start(executor.spawner());
    loop {
        // SAFETY: this is the only loop, and no task polls the executor.
        unsafe { executor.poll() };
        // With interrupts masked, none can occur between the check and the sleep, and a pending
        // one still wakes the core.
        critical_section::with(|token| {
            if !PENDING.swap(false, Ordering::AcqRel) {
                let before = clock::counts();
                cortex_m::asm::wfi();
                let asleep = ASLEEP.borrow(token);
                asleep.set(asleep.get() + clock::counts() - before);
            }
        });
    }
}
