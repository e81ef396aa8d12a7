use core::fmt;

use super::Status;
use crate::wire::is_name;
use crate::{Error, Untrusted};

/// One line of a reply: `Reply-code [ ("-" / SP) textstring ]` (RFC 5321 §4.2).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Reply<'i> {
    code: u16,
    last: bool,
    cut: bool,
    text: &'i [u8],
}

impl<'i> Reply<'i> {
    pub(crate) fn parse(line: Untrusted<'i>) -> Result<Self, Error> {
        let [first @ b'2'..=b'5', second @ b'0'..=b'9', third @ b'0'..=b'9', rest @ ..] =
            line.octets
        else {
            return Err(Error::Syntax);
        };
        let code = [first, second, third]
            .into_iter()
            .fold(0_u16, |code, digit| code.wrapping_mul(10).wrapping_add(u16::from(digit & 0xf)));
        let (last, text) = match rest {
            [] => (true, rest),
            [b' ', text @ ..] => (true, text),
            [b'-', text @ ..] => (false, text),
            _ => return Err(Error::Syntax),
        };
        Ok(Self { code, last, cut: line.is_cut(), text })
    }

    /// Checks the line against the earlier ones: all lines of a reply have one code, else one of them may
    /// be forged.
    pub(crate) const fn follow(&self, code: &mut u16) -> Result<(), Error> {
        if *code != FIRST && *code != self.code {
            return Err(Error::MixedCodes);
        }
        *code = if self.last { FIRST } else { self.code };
        Ok(())
    }

    /// The three-digit code, 200 to 599.
    #[must_use]
    pub const fn code(&self) -> u16 {
        self.code
    }

    /// Whether this line ends the reply.
    #[must_use]
    pub const fn is_last(&self) -> bool {
        self.last
    }

    /// The peer's text, which usually starts with an enhanced status code (RFC 3463).
    #[must_use]
    pub const fn text(&self) -> Untrusted<'i> {
        Untrusted::new(self.text).with_cut(self.cut)
    }

    /// The enhanced status code at the front of the text, if the server sends one (RFC 2034).
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        Status::read(self.code / 100, self.text)
    }

    /// Whether the code is 4yz: trying again later may succeed.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self.code, 400..=499)
    }
}

/// Escapes the text, which is the peer's.
impl fmt::Debug for Reply<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, last, .. } = self;
        f.debug_struct("Reply")
            .field("code", code)
            .field("last", last)
            .field("text", &self.text())
            .finish()
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Reply<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        let Self { code, last, .. } = *self;
        defmt::write!(f, "Reply {{ code: {}, last: {}, text: {} }}", code, last, self.text());
    }
}

/// The bit of the word's position in the table; 0 if the table does not have it.
pub(crate) fn bit(table: &[&str], word: &[u8]) -> u16 {
    let mut bit = 1;
    for name in table {
        if is_name(word, name.as_bytes()) {
            return bit;
        }
        bit <<= 1;
    }
    0
}

/// A nonzero decimal number; `None` if it does not fit.
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

/// The code before the first line of a reply.
pub(crate) const FIRST: u16 = 0;

#[cfg(test)]
mod tests {
    use core::fmt::Write as _;

    use super::*;

    fn parse(line: &[u8]) -> Result<Reply<'_>, Error> {
        Reply::parse(Untrusted::new(line))
    }

    fn follow(line: &[u8], code: &mut u16) -> Result<(), Error> {
        parse(line)?.follow(code)
    }

    #[test]
    fn lines_of_a_reply() {
        let reply = parse(b"250-first").expect("well formed");
        assert_eq!(
            (reply.code(), reply.is_last(), reply.text().octets),
            (250, false, &b"first"[..])
        );
        for line in [&b"220"[..], b"220 "] {
            let reply = parse(line).expect("well formed");
            assert_eq!((reply.code(), reply.is_last(), reply.text().octets), (220, true, &b""[..]));
        }
        for bad in
            [&b""[..], b"22", b"2 0 x", b"22x", b"220x", b"220\tx", b"120 x", b"620 x", b" 220 x"]
        {
            assert_eq!(parse(bad), Err(Error::Syntax), "{bad:?}");
        }
    }

    #[test]
    fn debug_escapes_the_text() {
        let reply = parse(b"550 \x1b[2J").expect("well formed");
        let mut shown = heapless::String::<64>::new();
        write!(shown, "{reply:?}").expect("room");
        assert_eq!(shown, r#"Reply { code: 550, last: true, text: "\x1b[2J" }"#);
    }

    #[test]
    fn enhanced_status_codes() {
        let reply = parse(b"550 5.1.1 No such user").expect("well formed");
        assert_eq!(reply.status().map(|status| status.detail()), Some(1));
        let reply = parse(b"550 2.1.5 of another class").expect("well formed");
        assert_eq!(reply.status(), None);
    }

    #[test]
    fn a_reply_has_one_code() {
        let mut code = FIRST;
        assert!(follow(b"250-a", &mut code).is_ok());
        assert_eq!(follow(b"220 b", &mut code), Err(Error::MixedCodes));
        let mut code = FIRST;
        assert!(follow(b"250 a", &mut code).is_ok());
        assert!(follow(b"220 b", &mut code).is_ok());
    }
}
