use core::fmt::Write as _;

use heapless::String;

/// The readings of the last day in CSV, one every quarter of an hour, generated line by line while they
/// are sent: a file of any length in the memory of one line.
#[derive(Clone, Debug)]
pub struct Readings {
    /// The times of the next line and of the last, in seconds since 1970.
    next: u64,
    last: u64,
    line: String<32>,
    taken: usize,
}

/// Between two readings, in seconds.
const STEP: u64 = 900;

/// The number of readings.
const COUNT: u64 = 96;

impl Readings {
    /// The readings up to this time, in seconds since 1970.
    #[must_use]
    pub fn until(now: u64) -> Self {
        let last = now - now % STEP;
        let mut line = String::new();
        let _ = line.push_str("seconds,celsius\r\n");
        Self { next: last.saturating_sub((COUNT - 1) * STEP), last, line, taken: 0 }
    }

    /// The simulated temperature at this time, in tenths of a degree: warmest at 15:00, coldest at 3:00.
    #[must_use]
    pub fn celsius(time: u64) -> i16 {
        let from_three = (time % 86_400).abs_diff(3 * 3600) as i32;
        let hours = from_three.min(86_400 - from_three) * 10 / 3600;
        120 + hours as i16
    }

    fn next_line(&mut self) -> bool {
        self.line.clear();
        self.taken = 0;
        if self.next > self.last {
            return false;
        }
        let tenths = Self::celsius(self.next);
        let _ = write!(self.line, "{},{}.{}\r\n", self.next, tenths / 10, tenths % 10);
        self.next += STEP;
        true
    }
}

impl embedded_io::ErrorType for Readings {
    type Error = core::convert::Infallible;
}

impl embedded_io::Read for Readings {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Self::Error> {
        if self.taken == self.line.len() && !self.next_line() {
            return Ok(0);
        }
        let rest = self.line.as_bytes().get(self.taken..).unwrap_or_default();
        let n = rest.len().min(buffer.len());
        buffer.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        self.taken += n;
        Ok(n)
    }
}
