use crate::ArgumentError;

/// A line of text that an application sends, without its CRLF. It has no CR, LF or NUL (I12).
///
/// ```
/// use starttls::{ArgumentError, wire::Line};
///
/// assert_eq!(Line::new("250 fine")?.as_str(), "250 fine");
/// assert_eq!(Line::new("250 a\r\n250 b"), Err(ArgumentError::Forbidden));
/// # Ok::<(), ArgumentError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Line<'a>(&'a str);

impl<'a> Line<'a> {
    /// Checks a line. In a constant, the check happens at compile time.
    ///
    /// # Errors
    /// [`ArgumentError::Forbidden`] for CR, LF and NUL.
    pub const fn new(text: &'a str) -> Result<Self, ArgumentError> {
        let mut rest = text.as_bytes();
        while let [octet, tail @ ..] = rest {
            if matches!(octet, b'\r' | b'\n' | 0) {
                return Err(ArgumentError::Forbidden);
            }
            rest = tail;
        }
        Ok(Self(text))
    }

    /// The text.
    #[must_use]
    pub const fn as_str(&self) -> &'a str {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_no_line_end() {
        assert_eq!(Line::new("250 fine").map(|line| line.as_str()), Ok("250 fine"));
        for bad in ["a\rb", "a\nb", "a\0", "\r\n"] {
            assert_eq!(Line::new(bad), Err(ArgumentError::Forbidden), "{bad:?}");
        }
    }
}
