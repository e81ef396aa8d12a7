use super::Status;
use crate::{Error, Untrusted};

/// One line of a reply: `Reply-code [ ("-" / SP) textstring ]` (RFC 5321 §4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Reply<'i> {
    code: u16,
    last: bool,
    text: Untrusted<'i>,
}

impl<'i> Reply<'i> {
    pub(crate) fn parse(line: &'i [u8]) -> Result<Self, Error> {
        let (code, rest) = match line.split_at_checked(3) {
            Some((digits, rest)) => (decimal(digits), rest),
            None => return Err(Error::Syntax),
        };
        let (last, text) = match rest {
            [] => (true, rest),
            [b' ', text @ ..] => (true, text),
            [b'-', text @ ..] => (false, text),
            _ => return Err(Error::Syntax),
        };
        match code {
            #[expect(clippy::cast_possible_truncation, reason = "three digits")]
            Some(code @ 200..=599) => Ok(Self { code: code as u16, last, text: Untrusted(text) }),
            _ => Err(Error::Syntax),
        }
    }

    /// Parses the line and holds it against the lines before it: all have one code.
    pub(crate) fn follow(line: &'i [u8], code: &mut u16) -> Result<Self, Error> {
        let reply = Self::parse(line)?;
        if *code != FIRST && *code != reply.code {
            return Err(Error::MixedCodes);
        }
        *code = if reply.last { FIRST } else { reply.code };
        Ok(reply)
    }

    /// The three digits, 200 to 599.
    #[must_use]
    pub const fn code(&self) -> u16 {
        self.code
    }

    /// Whether the reply ends with this line.
    #[must_use]
    pub const fn is_last(&self) -> bool {
        self.last
    }

    /// What the peer says to people, with an enhanced status code (RFC 3463) in front as a rule.
    #[must_use]
    pub const fn text(&self) -> Untrusted<'i> {
        self.text
    }

    /// The enhanced status code in front of the text, where the server puts one (RFC 2034).
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        Status::read(self.code / 100, self.text.0)
    }

    /// Whether it is worth trying again later: 4yz.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self.code, 400..=499)
    }
}

/// The bit of the word's place in the table; 0 if it is not there.
pub(crate) fn bit(table: &[&str], word: &[u8]) -> u16 {
    let mut bit = 1;
    for name in table {
        if name.as_bytes().eq_ignore_ascii_case(word) {
            return bit;
        }
        bit <<= 1;
    }
    0
}

/// A decimal number other than 0; `None` if it does not fit.
pub(crate) fn decimal(digits: &[u8]) -> Option<usize> {
    let mut number: usize = 0;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        number = number.checked_mul(10)?.checked_add(usize::from(digit & 0xf))?;
    }
    (number != 0).then_some(number)
}

/// No line of the reply has been read.
pub(crate) const FIRST: u16 = 0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_reply() {
        let reply = Reply::parse(b"250-first").expect("well formed");
        assert_eq!((reply.code(), reply.is_last(), reply.text().0), (250, false, &b"first"[..]));
        for line in [&b"220"[..], b"220 "] {
            let reply = Reply::parse(line).expect("well formed");
            assert_eq!((reply.code(), reply.is_last(), reply.text().0), (220, true, &b""[..]));
        }
        for bad in
            [&b""[..], b"22", b"2 0 x", b"22x", b"220x", b"220\tx", b"120 x", b"620 x", b" 220 x"]
        {
            assert_eq!(Reply::parse(bad), Err(Error::Syntax), "{bad:?}");
        }
    }

    #[test]
    fn enhanced_status_codes() {
        let reply = Reply::parse(b"550 5.1.1 No such user").expect("well formed");
        assert_eq!(reply.status().map(|status| status.detail()), Some(1));
        let reply = Reply::parse(b"550 2.1.5 of another class").expect("well formed");
        assert_eq!(reply.status(), None);
    }

    #[test]
    fn one_code_a_reply() {
        let mut code = FIRST;
        assert!(Reply::follow(b"250-a", &mut code).is_ok());
        assert_eq!(Reply::follow(b"220 b", &mut code), Err(Error::MixedCodes));
        let mut code = FIRST;
        assert!(Reply::follow(b"250 a", &mut code).is_ok());
        assert!(Reply::follow(b"220 b", &mut code).is_ok());
    }
}
