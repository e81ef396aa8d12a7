use core::str;

use nom::bytes::complete::tag_no_case;
use nom::sequence::preceded;
use nom::{IResult, Parser};

use crate::smtp::address;
use crate::smtp::limits::MAX_PATH;
use crate::smtp::reply::decimal;
use crate::wire::Octets;

/// A mailbox in a command, of the form of RFC 5321 §4.1.2; empty for the null path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Path<'i>(&'i str);

impl<'i> Path<'i> {
    /// The mailbox without angle brackets: printable ASCII.
    #[must_use]
    pub const fn as_str(&self) -> &'i str {
        self.0
    }

    /// Whether it is `<>`, the sender of reports about failures.
    #[must_use]
    pub const fn is_null(&self) -> bool {
        self.0.is_empty()
    }
}

/// Why a command's argument is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Path,
    Parameter,
    UnknownParameter,
    TooLarge,
}

/// The message is larger than it may be.
pub(super) const TOO_LARGE: &str = "552 5.3.4 Message too large";

impl Fault {
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Path => "501 5.1.7 Not a valid path",
            Self::Parameter => "501 5.5.4 Not a valid parameter",
            Self::UnknownParameter => "555 5.5.4 Unknown parameter",
            Self::TooLarge => TOO_LARGE,
        }
    }
}

/// `FROM:<reverse-path> [SP parameters]`, with the parameters of what we offer.
pub(super) fn mail(argument: &[u8], limit: Option<usize>) -> Result<Path<'_>, Fault> {
    let (path, parameters) = parse("FROM:", argument)?;
    for parameter in words(parameters) {
        let (name, value) = parameter.split_at_checked(5).unwrap_or((parameter, b""));
        if name.eq_ignore_ascii_case(b"BODY=") {
            if !value.eq_ignore_ascii_case(b"8BITMIME") && !value.eq_ignore_ascii_case(b"7BIT") {
                return Err(Fault::Parameter);
            }
        } else if let (true, Some(limit)) = (name.eq_ignore_ascii_case(b"SIZE="), limit) {
            size(value, limit)?;
        } else {
            return Err(Fault::UnknownParameter);
        }
    }
    Ok(path)
}

/// `size-value ::= 1*20DIGIT` (RFC 1870 §4).
fn size(value: &[u8], limit: usize) -> Result<(), Fault> {
    if value.is_empty() || value.len() > 20 || !value.iter().all(u8::is_ascii_digit) {
        return Err(Fault::Parameter);
    }
    match decimal(value) {
        Some(size) if size > limit => Err(Fault::TooLarge),
        // Too large for a number of ours, and so for the limit; or zero, for one that is not known.
        None if value.iter().any(|digit| *digit != b'0') => Err(Fault::TooLarge),
        _ => Ok(()),
    }
}

/// `TO:<forward-path>`, without parameters.
pub(super) fn recipient(argument: &[u8]) -> Result<Path<'_>, Fault> {
    let (path, parameters) = parse("TO:", argument)?;
    if path.is_null() {
        return Err(Fault::Path);
    }
    match words(parameters).next() {
        Some(_) => Err(Fault::UnknownParameter),
        None => Ok(path),
    }
}

fn parse<'i>(keyword: &'static str, argument: &'i [u8]) -> Result<(Path<'i>, &'i [u8]), Fault> {
    let parsed: IResult<Octets<'_>, Octets<'_>> =
        preceded(tag_no_case(keyword), address::path).parse(Octets(argument));
    match parsed {
        Ok((Octets(parameters @ ([] | [b' ', ..])), Octets(mailbox)))
            if mailbox.len() <= MAX_PATH - 2 && mailbox.is_ascii() =>
        {
            let mailbox = str::from_utf8(mailbox).map_err(|_| Fault::Path)?;
            Ok((Path(mailbox), parameters))
        }
        _ => Err(Fault::Path),
    }
}

fn words(parameters: &[u8]) -> impl Iterator<Item = &[u8]> {
    parameters.split(|octet| *octet == b' ').filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_parameters() {
        let mail = |argument| mail(argument, None);
        assert_eq!(mail(b"from:<a@b> BODY=8bitmime"), Ok(Path("a@b")));
        assert_eq!(mail(b"FROM:<>"), Ok(Path("")));
        assert_eq!(mail(b"FROM: <a@b>"), Err(Fault::Path));
        assert_eq!(mail(b"FROM:<a@b>BODY=7BIT"), Err(Fault::Path));
        assert_eq!(mail(b"FROM:<a@b> BODY=BINARYMIME"), Err(Fault::Parameter));
        assert_eq!(mail(b"FROM:<a@b> SIZE=1"), Err(Fault::UnknownParameter));
        assert_eq!(recipient(b"TO:<postmaster>"), Ok(Path("postmaster")));
        assert_eq!(recipient(b"TO:<>"), Err(Fault::Path));
        assert_eq!(recipient(b"TO:<a@b> NOTIFY=NEVER"), Err(Fault::UnknownParameter));
        assert_eq!(recipient(b"TO:<a@b>\x80"), Err(Fault::Path));
    }

    #[test]
    fn sizes() {
        let mail = |size: &[u8]| {
            let mut argument = heapless::Vec::<u8, 64>::from_slice(b"FROM:<> BODY=7BIT size=")
                .expect("64 octets are enough");
            argument.extend_from_slice(size).expect("64 octets are enough");
            mail(&argument, Some(1000)).map(|_| ())
        };
        for good in [&b"0"[..], b"1", b"1000", b"00000000000000001000"] {
            assert_eq!(mail(good), Ok(()), "{good:?}");
        }
        for large in [&b"1001"[..], b"99999999999999999999"] {
            assert_eq!(mail(large), Err(Fault::TooLarge), "{large:?}");
        }
        for bad in [&b""[..], b"-1", b"1k", b"000000000000000000001"] {
            assert_eq!(mail(bad), Err(Fault::Parameter), "{bad:?}");
        }
    }
}
