//! Sizes and times of RFC 5321 §4.5.3.

use core::time::Duration;

/// The longest command or reply line, with CRLF, in bytes (RFC 5321 §4.5.3.1.4 and §4.5.3.1.5).
pub const MAX_LINE: usize = 512;

/// The longest domain or address literal, in bytes (RFC 5321 §4.5.3.1.2).
pub const MAX_DOMAIN: usize = 255;

const MINUTE: Duration = Duration::from_secs(60);

/// The time limit for the greeting, and for most commands and replies (RFC 5321 §4.5.3.2.1 to §4.5.3.2.3
/// and §4.5.3.2.7).
pub(crate) const COMMAND_WAIT: Duration = minutes(5);

pub(crate) const fn minutes(n: u32) -> Duration {
    MINUTE.saturating_mul(n)
}
