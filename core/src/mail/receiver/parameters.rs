//! The arguments of `MAIL` and `RCPT`.

use core::str;

use super::Path;
use super::config::{Authentication, Config};
use super::event::{Mail, Recipient};
use super::reply::Reply;
use crate::mail::dsn::{Notify, OriginalRecipient, Return, Xtext};
use crate::wire::is_name;

/// The longest values of `ENVID` and `ORCPT`, in bytes (RFC 3461 §4.4 and §4.2).
const MAX_ENVID: usize = 100;
const MAX_ORCPT: usize = 500;

/// The longest value of `AUTH`, in bytes (RFC 4954 §3: 500 with its keyword and blank).
const MAX_SUBMITTER: usize = 495;

/// The maximum number of digits of a size (RFC 1870 §4).
const MAX_SIZE_DIGITS: usize = 20;

#[derive(Clone, Copy)]
enum Keyword {
    Auth,
    Body,
    Envid,
    Notify,
    Orcpt,
    RequireTls,
    Ret,
    Size,
    SmtpUtf8,
}

const KEYWORDS: [(&[u8], Keyword); 9] = [
    (b"AUTH", Keyword::Auth),
    (b"BODY", Keyword::Body),
    (b"ENVID", Keyword::Envid),
    (b"NOTIFY", Keyword::Notify),
    (b"ORCPT", Keyword::Orcpt),
    (b"REQUIRETLS", Keyword::RequireTls),
    (b"RET", Keyword::Ret),
    (b"SIZE", Keyword::Size),
    (b"SMTPUTF8", Keyword::SmtpUtf8),
];

/// Parses `FROM:<reverse-path> [SP parameters]`, with the parameters of the offered extensions.
pub(super) fn mail<'i>(argument: &'i [u8], offer: &Config) -> Result<Mail<'i>, Reply> {
    // A bare postmaster has no domain to report to. Only a recipient may be one (RFC 5321 §4.1.1.3).
    let is_sender = |(path, _): &(Path<'_>, _)| !path.as_str().eq_ignore_ascii_case("postmaster");
    let (path, rest) = split(b"FROM:", argument).filter(is_sender).ok_or(Reply::BadSender)?;
    let mut mail = Mail {
        path,
        parameters: str::from_utf8(rest).map_err(|_| Reply::BadParameter)?,
        size: None,
        eight_bit: false,
        international: false,
        require_tls: false,
        returns: None,
        envelope_id: None,
    };
    read(rest, |keyword, value| {
        match (keyword, offer.limits.size) {
            (Keyword::Size, Some(limit)) => mail.size = Some(size(value, limit)?),
            (Keyword::Body, _) if value.eq_ignore_ascii_case(b"8BITMIME") => mail.eight_bit = true,
            (Keyword::Body, _) if value.eq_ignore_ascii_case(b"7BIT") => {}
            (Keyword::Body, _) => return Err(Reply::BadParameter),
            (Keyword::Ret, _) if offer.dsn => mail.returns = Some(returns(value)?),
            (Keyword::Envid, _) if offer.dsn => {
                mail.envelope_id = Some(xtext(value, MAX_ENVID, false)?);
            }
            // The identity that the client vouches for is checked and then ignored, as for an untrusted
            // client (RFC 4954 §5).
            (Keyword::Auth, _) if offer.authentication != Authentication::None => {
                xtext(value, MAX_SUBMITTER, false)?;
            }
            (Keyword::SmtpUtf8, _) if offer.smtp_utf8 => mail.international = flag(value)?,
            (Keyword::RequireTls, _) if offer.require_tls => mail.require_tls = flag(value)?,
            _ => return Err(Reply::UnknownParameter),
        }
        Ok(())
    })?;
    if !mail.international && path.is_international() {
        return Err(Reply::SenderNotAscii);
    }
    Ok(mail)
}

/// Parses `TO:<forward-path> [SP parameters]`, with the parameters of the offered extensions.
pub(super) fn recipient<'i>(
    argument: &'i [u8],
    offer: &Config,
    international: bool,
) -> Result<Recipient<'i>, Reply> {
    let (path, rest) =
        split(b"TO:", argument).filter(|(path, _)| !path.is_null()).ok_or(Reply::BadRecipient)?;
    let mut recipient = Recipient {
        path,
        parameters: str::from_utf8(rest).map_err(|_| Reply::BadParameter)?,
        notify: None,
        original: None,
    };
    read(rest, |keyword, value| {
        match keyword {
            Keyword::Notify if offer.dsn => recipient.notify = Some(notify(value)?),
            Keyword::Orcpt if offer.dsn => recipient.original = Some(orcpt(value, international)?),
            _ => return Err(Reply::UnknownParameter),
        }
        Ok(())
    })?;
    if !international && path.is_international() {
        return Err(Reply::RecipientNotAscii);
    }
    Ok(recipient)
}

/// Parses a decimal number. A larger one saturates.
pub(super) fn number(digits: &[u8]) -> Option<usize> {
    let mut number: usize = 0;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        number = number.saturating_mul(10).saturating_add(usize::from(digit & 0xf));
    }
    (!digits.is_empty()).then_some(number)
}

/// Splits an argument into the path after its keyword and the parameters. A blank separates them.
fn split<'i>(keyword: &[u8], argument: &'i [u8]) -> Option<(Path<'i>, &'i [u8])> {
    let (word, rest) = argument.split_at_checked(keyword.len())?;
    if !is_name(word, keyword) {
        return None;
    }
    let (path, rest) = Path::parse(rest)?;
    matches!(rest, [] | [b' ', ..]).then_some((path, rest.trim_ascii()))
}

/// Parses `esmtp-keyword ["=" esmtp-value] *( SP … )`, in which each keyword may occur once. `take` gets an
/// empty value for a keyword without one; `=` without a value is refused.
fn read<'i>(
    parameters: &'i [u8],
    mut take: impl FnMut(Keyword, &'i [u8]) -> Result<(), Reply>,
) -> Result<(), Reply> {
    let mut seen: u16 = 0;
    if parameters.is_empty() {
        return Ok(());
    }
    for word in parameters.split(|octet| *octet == b' ').filter(|word| !word.is_empty()) {
        let mut parts = word.splitn(2, |octet| *octet == b'=');
        let name = parts.next().unwrap_or_default();
        let (_, keyword) = KEYWORDS
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .ok_or(Reply::UnknownParameter)?;
        take(
            *keyword,
            match parts.next() {
                Some([]) => return Err(Reply::BadParameter),
                value => value.unwrap_or_default(),
            },
        )?;
        let bit = 1_u16.wrapping_shl(*keyword as u32);
        if seen & bit != 0 {
            return Err(Reply::BadParameter);
        }
        seen |= bit;
    }
    Ok(())
}

/// Parses `size-value ::= 1*20DIGIT` (RFC 1870 §4).
fn size(value: &[u8], limit: usize) -> Result<usize, Reply> {
    match number(value) {
        Some(_) if value.len() > MAX_SIZE_DIGITS => Err(Reply::BadParameter),
        Some(size) if size > limit => Err(Reply::TooLarge),
        size => size.ok_or(Reply::BadParameter),
    }
}

/// Parses a keyword without a value.
const fn flag(value: &[u8]) -> Result<bool, Reply> {
    if value.is_empty() { Ok(true) } else { Err(Reply::BadParameter) }
}

/// Parses `"FULL" / "HDRS"` (RFC 3461 §4.3).
fn returns(value: &[u8]) -> Result<Return, Reply> {
    if value.eq_ignore_ascii_case(b"FULL") {
        Ok(Return::Full)
    } else if value.eq_ignore_ascii_case(b"HDRS") {
        Ok(Return::Headers)
    } else {
        Err(Reply::BadParameter)
    }
}

/// Parses `"NEVER" / 1#( "SUCCESS" / "FAILURE" / "DELAY" )` (RFC 3461 §4.1).
fn notify(value: &[u8]) -> Result<Notify, Reply> {
    if value.eq_ignore_ascii_case(b"NEVER") {
        return Ok(Notify::NEVER);
    }
    let mut all = Notify::NEVER;
    for word in value.split(|octet| *octet == b',') {
        all = all.and(match word {
            _ if word.eq_ignore_ascii_case(b"SUCCESS") => Notify::SUCCESS,
            _ if word.eq_ignore_ascii_case(b"FAILURE") => Notify::FAILURE,
            _ if word.eq_ignore_ascii_case(b"DELAY") => Notify::DELAY,
            _ => return Err(Reply::BadParameter),
        });
    }
    Ok(all)
}

/// Parses `addr-type ";" xtext` (RFC 3461 §4.2). In an international mail the text of type `utf-8` may be
/// UTF-8 (RFC 6533 §3).
fn orcpt(value: &[u8], international: bool) -> Result<OriginalRecipient<'_>, Reply> {
    let mut parts = value.splitn(2, |octet| *octet == b';');
    let (Some(address_type), Some(address), true) =
        (parts.next(), parts.next(), value.len() <= MAX_ORCPT)
    else {
        return Err(Reply::BadParameter);
    };
    let international = international && address_type.eq_ignore_ascii_case(b"utf-8");
    let address = xtext(address, MAX_ORCPT, international)?;
    str::from_utf8(address_type)
        .ok()
        .and_then(|address_type| OriginalRecipient::new(address_type, address).ok())
        .ok_or(Reply::BadParameter)
}

fn xtext(value: &[u8], limit: usize, international: bool) -> Result<Xtext<'_>, Reply> {
    str::from_utf8(value)
        .ok()
        .filter(|value| value.len() <= limit)
        .and_then(|value| {
            if international { Xtext::international(value) } else { Xtext::new(value) }.ok()
        })
        .ok_or(Reply::BadParameter)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    fn everything() -> Config {
        let mut offer = Config::default();
        offer.limits.size = Some(1000);
        offer.authentication = Authentication::Offered;
        (offer.dsn, offer.smtp_utf8, offer.require_tls) = (true, true, true);
        offer
    }

    #[test]
    fn paths() {
        let nothing = Config::default();
        let path = |argument| mail(argument, &nothing).map(|mail| mail.path.as_str());
        assert_eq!(path(b"from:<a@b> BODY=8bitmime"), Ok("a@b"));
        assert_eq!(path(b"FROM:<>"), Ok(""));
        for bad in [
            &b""[..],
            b"FROM",
            b"FROM: <a@b>",
            b"FROM:<a@b>BODY=7BIT",
            b"TO:<a@b>",
            b"FROM:<postmaster>",
            b"FROM:<@\xff\xfe:a@b>",
        ] {
            assert_eq!(path(bad), Err(Reply::BadSender), "{bad:?}");
        }
        let path = |argument, international| {
            recipient(argument, &nothing, international).map(|recipient| recipient.path.as_str())
        };
        assert_eq!(path(b"TO:<postmaster>", false), Ok("postmaster"));
        assert_eq!(path(b"TO:<>", false), Err(Reply::BadRecipient));
        assert_eq!(path(b"TO:<a@b>\x80", false), Err(Reply::BadRecipient));
        assert_eq!(path("TO:<ä@b>".as_bytes(), false), Err(Reply::RecipientNotAscii));
        assert_eq!(path("TO:<ä@b>".as_bytes(), true), Ok("ä@b"));
    }

    #[test]
    fn only_offered_parameters_are_accepted() {
        let nothing = Config::default();
        for parameter in
            ["SIZE=1", "RET=FULL", "ENVID=a", "AUTH=<>", "SMTPUTF8", "REQUIRETLS", "NOTIFY=NEVER"]
        {
            let argument = std::format!("FROM:<> {parameter}");
            let refused = mail(argument.as_bytes(), &nothing).err();
            assert_eq!(refused, Some(Reply::UnknownParameter), "{parameter}");
            let taken = mail(argument.as_bytes(), &everything()).is_ok();
            assert_eq!(taken, !parameter.starts_with("NOTIFY"), "{parameter}");
        }
        let argument = b"TO:<a@b> NOTIFY=NEVER";
        assert_eq!(recipient(argument, &nothing, false).err(), Some(Reply::UnknownParameter));
    }

    #[test]
    fn all_parameters_together() {
        let argument = "FROM:<ä@b> REQUIRETLS size=12 SMTPUTF8  ENVID=QQ+2B1 BODY=8BITMIME \
                        RET=hdrs AUTH=a@b";
        let mail = mail(argument.as_bytes(), &everything()).expect("valid");
        assert_eq!((mail.size, mail.returns), (Some(12), Some(Return::Headers)));
        assert!(mail.require_tls && mail.international && mail.eight_bit);
        assert!(mail.envelope_id.expect("there").octets().eq(*b"QQ+1"));
        assert_eq!(mail.parameters, &argument["FROM:<ä@b> ".len()..]);

        let argument = b"TO:<c@d> ORCPT=rfc822;C+2B@d NOTIFY=Delay,SUCCESS";
        let recipient = recipient(argument, &everything(), false).expect("valid");
        assert_eq!(recipient.notify, Some(Notify::SUCCESS.and(Notify::DELAY)));
        let original = recipient.original.expect("there");
        assert_eq!((original.address_type(), original.address().as_str()), ("rfc822", "C+2B@d"));
    }

    #[test]
    fn bad_values() {
        let (ok, bad) = (None, Some(Reply::BadParameter));
        let long = |n| "a".repeat(n);
        for (parameter, expected) in [
            ("SIZE=0", ok),
            ("SIZE=1000", ok),
            ("SIZE=00000000000000001000", ok),
            ("SIZE=1001", Some(Reply::TooLarge)),
            ("SIZE=99999999999999999999", Some(Reply::TooLarge)),
            ("SIZE=000000000000000000001", bad),
            ("SIZE=", bad),
            ("SIZE", bad),
            ("SIZE=-1", bad),
            ("SIZE=1k", bad),
            ("BODY=BINARYMIME", bad),
            ("RET=BOTH", bad),
            ("ENVID=", bad),
            ("ENVID=a=b", bad),
            ("ENVID=+0D+0A", bad),
            ("ENVID=ä", bad),
            (&std::format!("ENVID={}", long(100)), ok),
            (&std::format!("ENVID={}", long(101)), bad),
            ("AUTH=<>", ok),
            ("AUTH=+", bad),
            (&std::format!("AUTH={}", long(495)), ok),
            (&std::format!("AUTH={}", long(496)), bad),
            ("SMTPUTF8=1", bad),
            ("REQUIRETLS=", bad),
            ("RET=FULL RET=FULL", bad),
            ("SIZE=1 BODY=7BIT SIZE=1", bad),
            ("=", Some(Reply::UnknownParameter)),
            ("X=1", Some(Reply::UnknownParameter)),
        ] {
            let argument = std::format!("FROM:<> {parameter}");
            assert_eq!(mail(argument.as_bytes(), &everything()).err(), expected, "{parameter}");
        }
        for (parameter, international, expected) in [
            ("NOTIFY=NEVER,SUCCESS", false, bad),
            ("NOTIFY=SUCCESS,NEVER", false, bad),
            ("NOTIFY=SUCCESS,", false, bad),
            ("NOTIFY=ALWAYS", false, bad),
            ("NOTIFY", false, bad),
            ("NOTIFY=NEVER NOTIFY=NEVER", false, bad),
            ("ORCPT=rfc822", false, bad),
            ("ORCPT=;a", false, bad),
            ("ORCPT=rfc822;", false, bad),
            ("ORCPT=utf-8;a\\x{FC}", false, ok),
            ("ORCPT=utf-8;ü", false, bad),
            ("ORCPT=UTF-8;ü", true, ok),
            ("ORCPT=rfc822;ü", true, bad),
            (&std::format!("ORCPT=rfc822;{}", long(493)), false, ok),
            (&std::format!("ORCPT=rfc822;{}", long(494)), false, bad),
            ("SIZE=1", false, Some(Reply::UnknownParameter)),
        ] {
            let argument = std::format!("TO:<a@b> {parameter}");
            let refused = recipient(argument.as_bytes(), &everything(), international).err();
            assert_eq!(refused, expected, "{parameter}");
        }
    }
}
