//! A register of a device.

/// The address of a register of 32 bits.
#[derive(Clone, Copy)]
pub struct Register(pub usize);

impl Register {
    #[inline(always)]
    pub fn read(self) -> u32 {
        // SAFETY: a `Register` exists only for addresses of this board's devices.
        unsafe { (self.0 as *const u32).read_volatile() }
    }

    #[inline(always)]
    pub fn write(self, value: u32) {
        // SAFETY: as above; no register of these devices changes memory.
        unsafe { (self.0 as *mut u32).write_volatile(value) }
    }
}
