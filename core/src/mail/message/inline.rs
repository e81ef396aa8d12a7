use super::sink::Sink;
use super::{Attachment, attachment, check_id};
use crate::ArgumentError;

/// A file that the HTML of a message shows, by its `Content-ID` (RFC 2392).
///
/// ```
/// use starttls::mail::message::{Alternative, Attachment, Inline};
///
/// let logo = Attachment::new("image/png", "logo.png")?;
/// let inline = [Inline::new(logo, "logo@example.org")?];
/// let html = Alternative::html(r#"<img src="cid:logo@example.org" alt="The shop">"#);
/// # Ok::<(), starttls::ArgumentError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Inline<'a> {
    pub(super) file: Attachment<'a>,
    pub(super) id: &'a str,
}

impl<'a> Inline<'a> {
    /// A file of this id, in the form of a [message's id](super::Message::with_id). In the `cid:` URL of
    /// the HTML, characters that a URL may not have are percent-encoded.
    ///
    /// # Errors
    /// Those of [`Message::with_id`](super::Message::with_id).
    pub const fn new(file: Attachment<'a>, id: &'a str) -> Result<Self, ArgumentError> {
        match check_id(id) {
            Ok(()) => Ok(Self { file, id }),
            Err(error) => Err(error),
        }
    }

    /// The file.
    #[must_use]
    pub const fn file(&self) -> &Attachment<'a> {
        &self.file
    }

    /// The id, without angle brackets.
    #[must_use]
    pub const fn id(&self) -> &'a str {
        self.id
    }

    /// Prints the header of the part.
    pub(super) fn put(&self, out: &mut Sink<'_>) {
        self.file.put_type(out);
        out.put(b"Content-ID: <");
        out.put(self.id.as_bytes());
        out.put(b">\r\nContent-Disposition: inline;\r\n");
        attachment::put_name(self.file.name(), out);
    }
}
