use crate::Error;
use crate::wire::code;

/// Where a reply stands that is being read (RFC 959 §4.2).
///
/// Behind the first line, `123-text`, lines say anything until one begins with the same code and a
/// blank; other codes among them are text.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Reader {
    /// Of the reply that is not finished; 0 if none is.
    code: u16,
}

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// The first of several, of a reply of this code.
    First(u16),
    /// One in between.
    Between(u16),
    /// The last, or the only one.
    Last(u16),
}

impl Reader {
    pub(super) fn read(&mut self, line: &[u8]) -> Result<Line, Error> {
        let found = code(line);
        if self.code != 0 {
            let last = matches!(found, Some((code, [] | [b' ', ..])) if code == self.code);
            return Ok(if last {
                Line::Last(core::mem::take(&mut self.code))
            } else {
                Line::Between(self.code)
            });
        }
        match found {
            Some((code @ 100..=699, [] | [b' ', ..])) => Ok(Line::Last(code)),
            Some((code @ 100..=699, [b'-', ..])) => {
                self.code = code;
                Ok(Line::First(code))
            }
            _ => Err(Error::Syntax),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_codes_in_a_reply_are_text() {
        let mut reader = Reader::default();
        for (line, expected) in [
            (&b"220 a"[..], Ok(Line::Last(220))),
            (b"220", Ok(Line::Last(220))),
            (b"211-a", Ok(Line::First(211))),
            (b"234 go", Ok(Line::Between(211))),
            (b"211-b", Ok(Line::Between(211))),
            (b"", Ok(Line::Between(211))),
            (b" 211 c", Ok(Line::Between(211))),
            (b"2110", Ok(Line::Between(211))),
            (b"211 end", Ok(Line::Last(211))),
            (b" a", Err(Error::Syntax)),
            (b"22 a", Err(Error::Syntax)),
            (b"2200", Err(Error::Syntax)),
            (b"099 a", Err(Error::Syntax)),
            (b"700 a", Err(Error::Syntax)),
        ] {
            assert_eq!(reader.read(line), expected, "{line:?}");
        }
    }
}
