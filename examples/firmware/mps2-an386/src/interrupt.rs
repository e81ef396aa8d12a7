//! The interrupts and their handlers.

use cortex_m::interrupt::InterruptNumber;
use cortex_m::peripheral::NVIC;

use crate::{clock, lan9118};

/// The number of an interrupt of the chip.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Interrupt(pub u8);

// SAFETY: the chip has every number used here.
unsafe impl InterruptNumber for Interrupt {
    fn number(self) -> u16 {
        self.0.into()
    }
}

impl Interrupt {
    /// Enables the interrupt.
    pub fn unmask(self) {
        // SAFETY: it has a handler below, and no code relies on its being masked.
        unsafe { NVIC::unmask(self) }
    }
}

#[cortex_m_rt::exception]
unsafe fn DefaultHandler(number: i16) {
    match u8::try_from(number).map(Interrupt) {
        Ok(clock::COUNTER_INTERRUPT | clock::ALARM_INTERRUPT) => clock::on_interrupt(),
        Ok(lan9118::INTERRUPT) => lan9118::on_interrupt(),
        _ => panic!("an unknown exception"),
    }
}
