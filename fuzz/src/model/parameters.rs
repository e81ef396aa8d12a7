//! Paths, parameters and logins, parsed as plainly as possible.

use core::net::Ipv6Addr;

/// The parameters that a receiver supports.
#[derive(Clone, Copy, Debug, Default)]
pub struct Offer {
    /// The largest message, where `SIZE` is offered.
    pub size: Option<usize>,
    /// Whether `AUTH` is offered, over TLS.
    pub auth: bool,
    /// Whether `DSN` is offered.
    pub dsn: bool,
    /// Whether `SMTPUTF8` is offered.
    pub utf8: bool,
    /// Whether `REQUIRETLS` is offered, over TLS.
    pub require_tls: bool,
}

/// Parses digits only; a number out of range becomes the largest one.
#[must_use]
pub fn number(digits: &[u8]) -> Option<u128> {
    let text = core::str::from_utf8(digits).ok()?;
    let clean = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    clean.then(|| text.parse().unwrap_or(u128::MAX))
}

/// A path, and the bytes after it.
fn path(text: &[u8]) -> Option<(String, &[u8])> {
    let text = text.strip_prefix(b"<")?;
    if let Some(rest) = text.strip_prefix(b">") {
        return Some((String::new(), rest));
    }
    if let Some((word, rest)) = text.split_at_checked(10)
        && word.eq_ignore_ascii_case(b"postmaster")
        && let Some(rest) = rest.strip_prefix(b">")
    {
        return Some((String::from_utf8(word.to_vec()).ok()?, rest));
    }
    let mut start = text;
    if text.starts_with(b"@") {
        loop {
            let hop = start.strip_prefix(b"@")?;
            let length = domain(hop).filter(|length| hop[..*length].is_ascii())?;
            start = &hop[length..];
            match start {
                [b':', rest @ ..] => {
                    start = rest;
                    break;
                }
                [b',', rest @ ..] => start = rest,
                _ => return None,
            }
        }
    }
    let local = local(start)?;
    let host = start[local..].strip_prefix(b"@")?;
    let length = match host {
        [b'[', inside @ ..] => {
            let end = inside.iter().position(|octet| *octet == b']')?;
            is_literal(core::str::from_utf8(&inside[..end]).ok()?).then_some(end + 2)?
        }
        _ => domain(host)?,
    };
    let mailbox = &start[..local + 1 + length];
    let rest = host[length..].strip_prefix(b">")?;
    let fits = mailbox.len() <= 254;
    Some((String::from_utf8(mailbox.to_vec()).ok().filter(|_| fits)?, rest))
}

fn is_literal(text: &str) -> bool {
    let is_ipv4 = |text: &str| {
        let number = |part: &str| {
            part.len() <= 3
                && part.bytes().all(|octet| octet.is_ascii_digit())
                && part.parse::<u16>().is_ok_and(|number| number <= 255)
        };
        text.split('.').count() == 4 && text.split('.').all(number)
    };
    let Some((tag, address)) = text.split_at_checked(5) else { return false };
    if !tag.eq_ignore_ascii_case("IPv6:") {
        return is_ipv4(text);
    }
    match address.rsplit_once(':') {
        Some((front, last)) if is_ipv4(last) => format!("{front}:0:0").parse::<Ipv6Addr>().is_ok(),
        _ => address.parse::<Ipv6Addr>().is_ok(),
    }
}

fn is_label(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || octet >= 0x80 || b"-_".contains(&octet)
}

/// The length of the words and dots at the front.
fn dotted(text: &[u8], has: impl Fn(u8) -> bool) -> Option<usize> {
    let end = text.iter().position(|o| *o != b'.' && !has(*o)).unwrap_or(text.len());
    let words = text[..end].split(|octet| *octet == b'.');
    words.into_iter().all(|word| !word.is_empty()).then_some(end)
}

fn domain(text: &[u8]) -> Option<usize> {
    let length = dotted(text, is_label).filter(|length| *length <= 255)?;
    let mut labels = text[..length].split(|octet| *octet == b'.');
    labels.all(|label| !label.starts_with(b"-") && !label.ends_with(b"-")).then_some(length)
}

fn local(text: &[u8]) -> Option<usize> {
    if !text.starts_with(b"\"") {
        let atext = b"!#$%&'*+-/=?^_`{|}~";
        return dotted(text, |o| o.is_ascii_alphanumeric() || o >= 0x80 || atext.contains(&o));
    }
    let mut at = 1;
    loop {
        match (text.get(at)?, text.get(at + 1)) {
            (b'"', _) => return Some(at + 1),
            (b'\\', Some(32..=126)) => at += 2,
            (b'\\', _) | (0..=31 | 127, _) => return None,
            _ => at += 1,
        }
    }
}

/// `NAME[=value]` in order, names in upper case.
fn pairs(text: &[u8]) -> impl Iterator<Item = (String, Option<&[u8]>)> {
    text.split(|octet| *octet == b' ').filter(|word| !word.is_empty()).map(|word| {
        let end = word.iter().position(|octet| *octet == b'=');
        let name = String::from_utf8_lossy(&word[..end.unwrap_or(word.len())]);
        (name.to_ascii_uppercase(), end.map(|end| &word[end + 1..]))
    })
}

fn head<'i>(keyword: &str, argument: &'i [u8]) -> Option<(String, &'i [u8])> {
    let (word, rest) = argument.split_at_checked(keyword.len())?;
    let (path, rest) = path(rest).filter(|_| word.eq_ignore_ascii_case(keyword.as_bytes()))?;
    (rest.is_empty() || rest.starts_with(b" ")).then_some((path, rest.trim_ascii()))
}

const NAMES: [&str; 9] =
    ["AUTH", "BODY", "ENVID", "NOTIFY", "ORCPT", "REQUIRETLS", "RET", "SIZE", "SMTPUTF8"];

/// Checks all pairs, each by `check`: 555 for unknown names, otherwise 501 or the code of `check`.
fn each(
    rest: &[u8],
    mut check: impl FnMut(&str, Option<&[u8]>) -> Result<(), u16>,
) -> Result<String, u16> {
    let text = String::from_utf8(rest.to_vec()).map_err(|_| 501_u16)?;
    let mut seen = Vec::new();
    for (name, value) in pairs(rest) {
        if !NAMES.contains(&&name[..]) {
            return Err(555);
        }
        if value == Some(b"") {
            return Err(501);
        }
        check(&name, value)?;
        if seen.contains(&name) {
            return Err(501);
        }
        seen.push(name);
    }
    Ok(text)
}

fn told(what: &str, path: &str, text: &str) -> String {
    format!("{what} <{path}> {text}")
}

/// The event for MAIL, and whether the mail is international; or the code of the refusal.
///
/// # Errors
/// The code.
pub fn mail(argument: &[u8], offer: &Offer) -> Result<(String, bool), u16> {
    let is_sender = |(path, _): &(String, _)| path.is_empty() || path.contains('@');
    let (path, rest) = head("FROM:", argument).filter(is_sender).ok_or(501_u16)?;
    let mut international = false;
    let text = each(rest, |name, value| {
        let ok = match (name, value) {
            ("SIZE", value) if offer.size.is_some() => {
                let digits = value.unwrap_or_default();
                let size = number(digits).filter(|_| digits.len() <= 20).ok_or(501_u16)?;
                if offer.size.is_some_and(|limit| size > limit as u128) {
                    return Err(552);
                }
                true
            }
            ("BODY", value) => {
                let value = value.unwrap_or_default().to_ascii_uppercase();
                value == b"7BIT" || value == b"8BITMIME"
            }
            ("RET", value) if offer.dsn => {
                let value = value.unwrap_or_default().to_ascii_uppercase();
                value == b"FULL" || value == b"HDRS"
            }
            ("ENVID", value) if offer.dsn => {
                value.is_some_and(|value| value.len() <= 100 && is_xtext(value, false))
            }
            ("AUTH", value) if offer.auth => {
                value.is_some_and(|value| value.len() <= 495 && is_xtext(value, false))
            }
            ("SMTPUTF8", value) if offer.utf8 => {
                international = true;
                value.is_none()
            }
            ("REQUIRETLS", value) if offer.require_tls => value.is_none(),
            _ => return Err(555),
        };
        ok.then_some(()).ok_or(501)
    })?;
    if !path.is_ascii() && !international {
        return Err(550);
    }
    Ok((told("mail", &path, &text), international))
}

/// The event for RCPT, or the code of the refusal.
///
/// # Errors
/// The code.
pub fn recipient(argument: &[u8], offer: &Offer, international: bool) -> Result<String, u16> {
    let (path, rest) = head("TO:", argument).filter(|(path, _)| !path.is_empty()).ok_or(501_u16)?;
    let text = each(rest, |name, value| {
        let value = value.unwrap_or_default();
        let ok = match name {
            "NOTIFY" if offer.dsn => {
                let value = String::from_utf8_lossy(value).to_ascii_uppercase();
                value == "NEVER"
                    || value.split(',').all(|word| ["SUCCESS", "FAILURE", "DELAY"].contains(&word))
            }
            "ORCPT" if offer.dsn => {
                let end = value.iter().position(|octet| *octet == b';').unwrap_or(value.len());
                let (kind, address) = value.split_at(end);
                let atext = b"!#$%&'*+-/=?^_`{|}~";
                let atom = |octet: &u8| octet.is_ascii_alphanumeric() || atext.contains(octet);
                let wide = international && kind.eq_ignore_ascii_case(b"utf-8");
                !kind.is_empty()
                    && kind.iter().all(atom)
                    && value.len() <= 500
                    && address.get(1..).is_some_and(|address| is_xtext(address, wide))
            }
            _ => return Err(555),
        };
        ok.then_some(()).ok_or(501)
    })?;
    if !path.is_ascii() && !international {
        return Err(553);
    }
    Ok(told("recipient", &path, &text))
}

fn is_xtext(text: &[u8], wide: bool) -> bool {
    let mut at = 0;
    while let Some(octet) = text.get(at) {
        at += 1;
        match octet {
            b'+' => {
                let Some([high, low]) = text.get(at..at + 2) else { return false };
                let upper = |o: &u8| o.is_ascii_digit() || (b'A'..=b'F').contains(o);
                let code = format!("{}{}", char::from(*high), char::from(*low));
                let code = u8::from_str_radix(&code, 16).unwrap_or_default();
                if !upper(high) || !upper(low) || !matches!(code, b'\t' | b' '..=b'~') {
                    return false;
                }
                at += 2;
            }
            b'=' | 0..=b' ' | 127 => return false,
            0x80.. if !wide => return false,
            _ => {}
        }
    }
    !text.is_empty()
}

/// Bytes in base64, padded and canonical.
#[must_use]
pub fn base64(text: &[u8]) -> Option<Vec<u8>> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bare = text.strip_suffix(b"==").or(text.strip_suffix(b"=")).unwrap_or(text);
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let (mut octets, mut bits, mut number) = (Vec::new(), 0, 0_u32);
    for letter in bare {
        number = number << 6 | LETTERS.iter().position(|known| known == letter)? as u32;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            octets.push((number >> bits) as u8);
            number &= (1 << bits) - 1;
        }
    }
    (number == 0 && bits < 6).then_some(octets)
}

/// A name or password.
#[must_use]
pub fn secret(octets: &[u8]) -> Option<String> {
    let text = String::from_utf8(octets.to_vec()).ok()?;
    (!text.is_empty() && text.len() <= 255 && !text.contains('\0')).then_some(text)
}

/// The message of PLAIN.
#[must_use]
pub fn plain(octets: &[u8]) -> Option<String> {
    let parts: Vec<_> = octets.split(|octet| *octet == 0).collect();
    let [authorization, user, password] = parts[..] else { return None };
    let authorization =
        if authorization.is_empty() { String::new() } else { secret(authorization)? };
    Some(format!("<{authorization}> <{}> <{}>", secret(user)?, secret(password)?))
}

/// A client's first message of SCRAM, after its flag.
#[must_use]
pub fn scram(octets: &[u8]) -> Option<String> {
    let fields: Vec<_> = octets.split(|octet| *octet == b',').collect();
    let [_, authorization, user, nonce, ..] = fields[..] else { return None };
    let authorization = match authorization {
        b"" | b"a=" => String::new(),
        other => name(other.strip_prefix(b"a=")?)?,
    };
    let nonce = nonce.strip_prefix(b"r=")?;
    let is_nonce = (1..=128).contains(&nonce.len()) && nonce.iter().all(u8::is_ascii_graphic);
    let user = name(user.strip_prefix(b"n=")?)?;
    is_nonce.then(|| format!("<{authorization}> <{user}>"))
}

/// A name in SCRAM.
fn name(encoded: &[u8]) -> Option<String> {
    let mut parts = encoded.split(|octet| *octet == b'=');
    let mut octets = parts.next()?.to_vec();
    for part in parts {
        let (octet, rest) = match part {
            [b'2', b'C', rest @ ..] => (b',', rest),
            [b'3', b'D', rest @ ..] => (b'=', rest),
            _ => return None,
        };
        octets.push(octet);
        octets.extend(rest);
    }
    secret(&octets)
}
