//! Converts names in any script to A-labels, which every server and name service accepts (RFC 5890 §2.3.2.1).

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

/// A host or a domain: its A-labels, or the unchanged name or address if it is ASCII.
///
/// # Errors
/// The reason why the name is invalid, to follow "the name".
pub(crate) fn host(name: &str) -> Result<String, String> {
    if name.is_ascii() {
        return Ok(name.to_owned());
    }
    Uts46::new()
        .to_ascii(name.as_bytes(), AsciiDenyList::URL, Hyphens::Allow, DnsLength::Verify)
        .map(String::from)
        .map_err(|_| {
            format!("has the domain {name:?}, which is not an international domain name (RFC 5890)")
        })
}

/// Converts an address. If its local part is ASCII, the domain becomes A-labels, so any server accepts it. Otherwise
/// only a server with `SMTPUTF8` accepts it, and the domain stays unchanged.
///
/// # Errors
/// Those of [`host`].
pub(crate) fn address(address: &str) -> Result<String, String> {
    match address.rsplit_once('@') {
        Some((local, domain)) if local.is_ascii() && !domain.is_ascii() => {
            Ok(format!("{local}@{}", host(domain)?))
        }
        _ => Ok(address.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ascii_suits_any_server() {
        for (given, expected) in [
            ("b@b\u{fc}cher.example", "b@xn--bcher-kva.example"),
            ("b@B\u{dc}CHER.example", "b@xn--bcher-kva.example"),
            ("\"a b\"@\u{4f8b}\u{3048}.jp", "\"a b\"@xn--r8jz45g.jp"),
            ("j\u{fc}rgen@b\u{fc}cher.example", "j\u{fc}rgen@b\u{fc}cher.example"),
            ("a@under_score.example", "a@under_score.example"),
            ("a@[192.0.2.1]", "a@[192.0.2.1]"),
            ("a", "a"),
        ] {
            assert_eq!(address(given).as_deref(), Ok(expected), "{given}");
        }
        // Many parsers treat U+2024 as a dot, and U+2488 as a digit and a dot.
        for bad in
            ["a@\u{fc}..b", "a@\u{fc} b.example", "a@\u{fc}\r\nx.example", "a@b\u{2488}\u{760d}\0"]
        {
            assert!(address(bad).is_err(), "{bad:?}");
        }
    }
}
