use core::fmt;

use super::sink::Sink;
use crate::ArgumentError;

const DAY: u32 = 24 * 60 * 60;

/// The end of the year 9999, in Unix time.
const END: u64 = 253_402_300_800;

/// The date of a message (RFC 5322 §3.3).
///
/// ```
/// use starttls::ArgumentError;
/// use starttls::mail::message::Date;
///
/// assert!(Date::new(1_795_262_400, 60).is_ok()); // 21 November 2026, 13:00 at UTC+1
/// assert_eq!(Date::utc(u64::MAX), Err(ArgumentError::Malformed));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Date {
    /// Seconds since 1970 in the writer's local time.
    local: u64,
    pub(super) offset: i16,
}

impl Date {
    /// The date of a Unix time in seconds, in UTC.
    ///
    /// # Errors
    /// [`ArgumentError::Malformed`] after the year 9999.
    pub const fn utc(unix: u64) -> Result<Self, ArgumentError> {
        Self::new(unix, 0)
    }

    /// The date of a Unix time in seconds, with the writer's offset from UTC in minutes.
    ///
    /// # Errors
    /// [`ArgumentError::Malformed`] for an offset of a day or more, and for a local time outside 1970 to
    /// 9999.
    pub const fn new(unix: u64, offset: i16) -> Result<Self, ArgumentError> {
        if offset.unsigned_abs() >= 24 * 60 {
            return Err(ArgumentError::Malformed);
        }
        match unix.checked_add_signed((offset as i64).saturating_mul(60)) {
            Some(local) if local < END => Ok(Self { local, offset }),
            _ => Err(ArgumentError::Malformed),
        }
    }

    /// The Unix time in seconds.
    #[cfg(feature = "alloc")]
    pub(super) const fn unix(self) -> u64 {
        self.local.saturating_add_signed((self.offset as i64).saturating_mul(-60))
    }

    /// Prints `date-time = day-of-week "," day month year hour ":" minute ":" second zone`.
    pub(super) fn put(self, out: &mut Sink<'_>) {
        const DAYS: [[u8; 3]; 7] = [*b"Thu", *b"Fri", *b"Sat", *b"Sun", *b"Mon", *b"Tue", *b"Wed"];
        const MONTHS: [([u8; 4], u8); 12] = [
            (*b" Jan", 31),
            (*b" Feb", 28),
            (*b" Mar", 31),
            (*b" Apr", 30),
            (*b" May", 31),
            (*b" Jun", 30),
            (*b" Jul", 31),
            (*b" Aug", 31),
            (*b" Sep", 30),
            (*b" Oct", 31),
            (*b" Nov", 30),
            (*b" Dec", 31),
        ];
        // A 64-bit division would be larger than all of this in small firmware, so the time is divided by
        // 128 first.
        #[expect(clippy::cast_possible_truncation, reason = "so small before END")]
        let days = (self.local >> 7) as u32 / (DAY >> 7);
        #[expect(clippy::cast_possible_truncation, reason = "the high bits cancel out")]
        let time = (self.local as u32).wrapping_sub(days.wrapping_mul(DAY));
        let (mut year, mut day) = (1970, days);
        while let Some(less) = day.checked_sub(leap(year).wrapping_add(365)) {
            (year, day) = (year.wrapping_add(1), less);
        }
        out.put(DAYS.get((days % 7) as usize).map_or(b"", |name| name));
        out.put(b",");
        for (name, days) in MONTHS {
            let days = u32::from(days).wrapping_add(if days == 28 { leap(year) } else { 0 });
            let Some(less) = day.checked_sub(days) else {
                out.digits(b' ', 2, day.wrapping_add(1));
                out.put(&name);
                break;
            };
            day = less;
        }
        out.digits(b' ', 4, year);
        out.digits(b' ', 2, time / 3600);
        out.digits(b':', 2, time / 60 % 60);
        out.digits(b':', 2, time % 60);
        out.put(b" ");
        let minutes = u32::from(self.offset.unsigned_abs());
        let zone = (minutes / 60).wrapping_mul(100).wrapping_add(minutes % 60);
        out.digits(if self.offset < 0 { b'-' } else { b'+' }, 4, zone);
    }
}

/// As in a message.
impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; b"Thu, 01 Jan 1970 00:00:00 +0000".len()];
        let mut out = Sink::new(&mut text);
        self.put(&mut out);
        let length = out.printed();
        let text = text.get(..length).and_then(|text| str::from_utf8(text).ok());
        f.write_str(text.unwrap_or_default())
    }
}

/// The number of days beyond 365 in a year of the Gregorian calendar.
const fn leap(year: u32) -> u32 {
    (year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400)) as u32
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    #[test]
    fn dates() {
        for (unix, offset, expected) in [
            (0, 0, "Thu, 01 Jan 1970 00:00:00 +0000"),
            (951_782_399, 0, "Mon, 28 Feb 2000 23:59:59 +0000"),
            (951_782_400, 0, "Tue, 29 Feb 2000 00:00:00 +0000"),
            (951_868_800, 0, "Wed, 01 Mar 2000 00:00:00 +0000"),
            (1_795_262_400, 0, "Sat, 21 Nov 2026 12:00:00 +0000"),
            (1_795_262_400, 330, "Sat, 21 Nov 2026 17:30:00 +0530"),
            (1_795_262_400, -750, "Fri, 20 Nov 2026 23:30:00 -1230"),
            (1_798_761_599, 1, "Fri, 01 Jan 2027 00:00:59 +0001"),
            (4_107_542_400, 0, "Mon, 01 Mar 2100 00:00:00 +0000"),
            (END - 1, 0, "Fri, 31 Dec 9999 23:59:59 +0000"),
        ] {
            let mut output = [0; 40];
            let mut out = Sink::new(&mut output);
            let date = Date::new(unix, offset).expect("a date");
            date.put(&mut out);
            let printed = out.printed();
            assert_eq!(core::str::from_utf8(&output[..printed]), Ok(expected));
            assert_eq!(std::format!("{date}"), expected);
        }
    }

    #[test]
    fn invalid_dates_are_refused() {
        for (unix, offset) in [(0, -1), (END, 0), (END - 1, 1), (u64::MAX, 1439), (END, 1440)] {
            assert_eq!(Date::new(unix, offset), Err(ArgumentError::Malformed), "{unix} {offset}");
        }
        assert!(Date::new(END, -1).is_ok() && Date::utc(0).is_ok());
    }
}
