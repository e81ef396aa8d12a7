use crate::ArgumentError;

/// One line of text that the caller wants sent, without its CRLF: no CR, LF or NUL in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Line<'a>(&'a str);

impl<'a> Line<'a> {
    /// Checks a line; constants are checked at compile time.
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
    fn nothing_that_ends_a_line() {
        assert_eq!(Line::new("250 fine").map(|line| line.as_str()), Ok("250 fine"));
        for bad in ["a\rb", "a\nb", "a\0", "\r\n"] {
            assert_eq!(Line::new(bad), Err(ArgumentError::Forbidden), "{bad:?}");
        }
    }
}
