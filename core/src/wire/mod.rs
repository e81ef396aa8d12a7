//! Framing and bounded output: where a frame ends, and how to write one.
//!
//! This layer knows no roles, states or policies.

mod lines;
mod literals;
#[cfg(feature = "ldap")]
mod octets;
mod packets;
mod skip;
mod text;
mod words;
mod writer;

pub use lines::{LfLines, LfReplyLines, Lines, ReplyLines};
pub use literals::Literals;
#[cfg(feature = "ldap")]
pub(crate) use octets::Octets;
pub use packets::{Header, Octet, Packets};
#[cfg(feature = "smtp")]
pub(crate) use skip::PREFER_SPEED;
pub use text::Line;
pub use words::{Kept, code, has_word, is_http, is_http_request, look_up, split_word, word};
#[cfg(feature = "smtp")]
pub(crate) use words::{after_word, is_name, same};
pub use writer::Writer;

use crate::Error;

/// Splits the input into frames, and remembers how far it has looked.
///
/// ```
/// use starttls::wire::{Framing, Lines};
///
/// let mut lines = Lines::<512>::default();
/// let mut input = &b"220 mx\r\n250"[..];
/// assert_eq!(lines.next(&mut input), Ok(Some(&b"220 mx"[..])));
/// assert_eq!(lines.next(&mut input), Ok(None));
/// assert_eq!(input, b"250");
/// ```
pub trait Framing: Default {
    /// The longest frame, including its terminator, in bytes.
    const MAX_FRAME: usize;

    /// Takes one frame from the front of the input. Returns `None` while it is incomplete.
    ///
    /// Call it again with the same input and more bytes after it. It looks only at the new bytes, so a peer
    /// that sends single bytes costs no more time.
    ///
    /// # Errors
    /// The frame is malformed or too long. The error comes as soon as it is certain.
    fn next<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<&'i [u8]>, Error>;

    /// Whether the last frame was only the front of a longer one, whose rest is still to be skipped.
    fn is_cut(&self) -> bool {
        false
    }

    /// Skips the received part of a cut frame's rest. Returns true once the frame's end was reached.
    ///
    /// Do not act on the front before that: only the frame's end shows that the rest breaks no rule (I11).
    /// [`next`](Self::next) calls this first.
    ///
    /// # Errors
    /// The rest is malformed or too long. The error comes as soon as it is certain.
    fn skip(&mut self, input: &mut &[u8]) -> Result<bool, Error> {
        let _ = input;
        Ok(true)
    }
}

/// The length at which even a cut frame is an error, including its terminator, in bytes. Skipped bytes
/// count.
pub const MAX_CUT: usize = u16::MAX as usize;
