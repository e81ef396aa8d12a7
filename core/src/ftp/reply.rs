use crate::Error;
use crate::wire::code;

/// The position within a reply (RFC 959 §4.2).
///
/// After the first line, `123-text`, lines are text until one begins with the same code and a blank. Other
/// codes among them are text, too; an attacker could otherwise end the reply early.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Reader {
    /// The code of the unfinished reply; 0 if there is none.
    code: u16,
}

/// The position of a line in its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// The first line of several, with the reply's code.
    First(u16),
    /// A line in between.
    Between(u16),
    /// The last line, or the only one.
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
