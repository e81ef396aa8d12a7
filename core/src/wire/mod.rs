//! Octets: where one frame ends, and how a frame is written.
//!
//! This layer knows nothing of roles, states or policies.

mod lines;
mod literals;
#[cfg(any(feature = "ldap", feature = "smtp"))]
mod octets;
mod packets;
mod text;
mod words;
mod writer;

pub use lines::{LfLines, Lines};
pub use literals::Literals;
#[cfg(any(feature = "ldap", feature = "smtp"))]
pub(crate) use octets::Octets;
pub use packets::{Header, Octet, Packets};
pub use text::Line;
#[cfg(feature = "smtp")]
pub(crate) use words::same;
pub use words::{Kept, code, has_word, is_http, is_http_request, look_up, split_word, word};
pub use writer::Writer;

use crate::Error;

/// Finds whole frames at the start of the input, and remembers how far it has looked.
pub trait Framing: Default {
    /// The longest frame, in octets, with whatever ends it.
    const MAX_FRAME: usize;

    /// Takes one frame off the input, or `None` when it is not all there yet.
    ///
    /// Called again with the same input and more behind it, it looks only at what is new.
    ///
    /// # Errors
    /// The frame is malformed or too long, as soon as that can be known.
    fn next<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<&'i [u8]>, Error>;
}
