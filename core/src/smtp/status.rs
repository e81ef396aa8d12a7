use core::fmt;

/// An enhanced status code, `class "." subject "." detail` (RFC 3463 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Status {
    class: u8,
    subject: u16,
    detail: u16,
}

impl Status {
    /// Reads the code at the front of the text of a reply with this code. `None` if there is none of the
    /// reply's own class (RFC 2034 §4).
    ///
    /// ```
    /// use starttls::smtp::Status;
    ///
    /// let status = Status::of(452, "4.5.3 Too many recipients").expect("a status");
    /// assert_eq!((status.subject(), status.detail()), (5, 3));
    /// assert_eq!(Status::of(452, "5.5.3 Too many recipients"), None);
    /// ```
    #[must_use]
    pub fn of(code: u16, text: &str) -> Option<Self> {
        Self::read(code / 100, text.as_bytes())
    }

    pub(super) fn read(class: u16, text: &[u8]) -> Option<Self> {
        let [first @ (b'2' | b'4' | b'5'), b'.', rest @ ..] = text else { return None };
        let own = *first & 0xf;
        if u16::from(own) != class {
            return None;
        }
        let (subject, rest) = number(rest)?;
        let [b'.', rest @ ..] = rest else { return None };
        let (detail, rest) = number(rest)?;
        matches!(rest, [] | [b' ', ..]).then_some(Self { class: own, subject, detail })
    }

    /// 2 for success, 4 for a temporary failure, 5 for a permanent one.
    #[must_use]
    pub const fn class(self) -> u8 {
        self.class
    }

    /// The subject, at most 999: 1 the address, 2 the mailbox, 3 the mail system, 4 the network, 5 the
    /// protocol, 6 the message, 7 security or policy.
    #[must_use]
    pub const fn subject(self) -> u16 {
        self.subject
    }

    /// The detail within the subject, at most 999.
    #[must_use]
    pub const fn detail(self) -> u16 {
        self.detail
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

/// Parses `1*3digit` without leading zeros (RFC 3463 §2).
fn number(text: &[u8]) -> Option<(u16, &[u8])> {
    let digits = text.iter().take_while(|octet| octet.is_ascii_digit()).count();
    match text.split_at_checked(digits)? {
        ([] | [b'0', _, ..] | [_, _, _, _, ..], _) => None,
        (digits, rest) => {
            let number = digits.iter().fold(0, |number: u16, digit| {
                number.wrapping_mul(10).wrapping_add(u16::from(digit & 0xf))
            });
            Some((number, rest))
        }
    }
}

#[cfg(test)]
mod tests {
    use core::fmt::Write as _;

    use super::*;

    #[test]
    fn codes() {
        for (text, expected) in [
            ("2.1.5 Ok", Some("2.1.5")),
            ("2.0.0", Some("2.0.0")),
            ("2.999.10 x", Some("2.999.10")),
            ("5.1.1 another class", None),
            ("3.1.1 no class", None),
            ("2.1.5Ok", None),
            ("2.1 Ok", None),
            ("2.1. Ok", None),
            ("2..1 Ok", None),
            ("2.01.1 Ok", None),
            ("2.1.1000 Ok", None),
            ("Ok 2.1.5", None),
            ("", None),
        ] {
            let mut shown = heapless::String::<16>::new();
            let status = Status::read(2, text.as_bytes());
            if let Some(status) = status {
                write!(shown, "{status}").expect("16 bytes are enough");
            }
            assert_eq!(status.map(|_| shown.as_str()), expected, "{text:?}");
        }
        let status = Status::read(5, b"5.7.8 Wrong password").expect("a code");
        assert_eq!((status.class(), status.subject(), status.detail()), (5, 7, 8));
    }
}
