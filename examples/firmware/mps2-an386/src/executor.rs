//! embassy's executor for this board: it sleeps by `WFI`, where embassy's own sleeps by `WFE`, which
//! QEMU does not do, and it measures how long it sleeps.

use core::cell::Cell;
use core::sync::atomic::{AtomicBool, Ordering};

use critical_section::Mutex;
use embassy_executor::{Spawner, raw};
use static_cell::StaticCell;

use crate::clock;

/// There is something to do.
static PENDING: AtomicBool = AtomicBool::new(false);

/// The counts that were slept.
static ASLEEP: Mutex<Cell<u64>> = Mutex::new(Cell::new(0));

/// The microseconds since the start that were not slept.
pub fn awake() -> usize {
    let asleep = critical_section::with(|token| ASLEEP.borrow(token).get());
    ((clock::counts() - asleep) / u64::from(clock::HZ / 1_000_000)) as usize
}

#[unsafe(export_name = "__pender")]
fn pend(_: *mut ()) {
    PENDING.store(true, Ordering::Release);
}

/// Runs what `start` spawns, for ever.
pub fn run(start: impl FnOnce(Spawner)) -> ! {
    static EXECUTOR: StaticCell<raw::Executor> = StaticCell::new();
    let executor = EXECUTOR.init(raw::Executor::new(core::ptr::null_mut()));
    let executor: &'static raw::Executor = executor;
    start(executor.spawner());
    loop {
        // SAFETY: there is one loop, and no task polls the executor.
        unsafe { executor.poll() };
        // With interrupts masked none comes between the question and the sleep, and it wakes all
        // the same.
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
