use starttls::{Buffer, Driver};
use zeroize::Zeroize as _;

/// The two buffers of a connection: `IN` bytes to receive into, `OUT` bytes to send from.
///
/// `IN` must be at least [`Machine::MAX_INPUT`](starttls::Machine::MAX_INPUT) of each machine that uses the
/// buffers, 512 for an SMTP client. A smaller value does not compile. `OUT` must hold the longest command
/// with its actual arguments; [`Machine::MAX_OUTPUT`](starttls::Machine::MAX_OUTPUT) is always enough. If it
/// is too small, the error is [`OutputTooSmall`](starttls::Error::OutputTooSmall) with the number of bytes
/// needed, and no part of the command is sent.
///
/// The content is wiped when the buffers are dropped, and when another connection starts.
///
/// ```
/// use starttls_embedded::Buffers;
///
/// let buffers = Buffers::<512, 600>::new();
/// # let _ = buffers;
/// ```
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

    /// Wipes what an earlier connection left.
    pub(crate) fn clear(&mut self) {
        self.wipe();
    }

    /// The buffers may hold a password.
    fn wipe(&mut self) {
        self.driver.restart();
        self.driver.room().zeroize();
        let _ = self.driver.write_with(OUT, |room| {
            room.zeroize();
            Ok::<_, ()>(0)
        });
    }
}

impl<const IN: usize, const OUT: usize> Drop for Buffers<IN, OUT> {
    fn drop(&mut self) {
        self.wipe();
    }
}

impl<const IN: usize, const OUT: usize> Default for Buffers<IN, OUT> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_buffers_are_wiped() {
        let mut buffers = Buffers::<16, 16>::new();
        for _ in 0..2 {
            assert_eq!(buffers.driver.receive(b"a password"), 10);
            let said = buffers.driver.write_with(8, |room| {
                room[..8].copy_from_slice(b"passw0rd");
                Ok::<_, ()>(8)
            });
            assert_eq!(said, Ok(8));
            buffers.driver.sent(8);
            buffers.clear();
            assert_eq!(buffers.driver.room(), [0; 16]);
            let left = buffers.driver.write_with(16, |room| {
                assert_eq!(room, [0; 16]);
                Ok::<_, ()>(0)
            });
            assert_eq!(left, Ok(0));
        }
    }
}
