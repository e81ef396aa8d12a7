use starttls::{Buffer, Driver};

/// The two buffers of a connection: of `IN` octets for what is received, and of `OUT` for what is said.
///
/// `IN` has to be at least [`Machine::MAX_INPUT`](starttls::Machine::MAX_INPUT) of each machine that
/// runs on them, 512 for an SMTP client: less does not compile. `OUT` has to hold the longest that is
/// said, with the arguments at hand; where it does not, the error is
/// [`OutputTooSmall`](starttls::Error::OutputTooSmall), which says how many octets are needed, and
/// nothing of it is sent. [`Machine::MAX_OUTPUT`](starttls::Machine::MAX_OUTPUT) is always enough.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Buffers<const IN: usize = 512, const OUT: usize = 512> {
    pub(crate) driver: Driver<Buffer<IN>, Buffer<OUT>>,
}

impl<const IN: usize, const OUT: usize> Buffers<IN, OUT> {
    /// Two empty buffers.
    #[must_use]
    pub const fn new() -> Self {
        Self { driver: Driver::new(Buffer::new(), Buffer::new()) }
    }

    /// Forgets what an earlier connection left.
    pub(crate) fn clear(&mut self) {
        self.driver.restart();
    }
}

impl<const IN: usize, const OUT: usize> Default for Buffers<IN, OUT> {
    fn default() -> Self {
        Self::new()
    }
}
