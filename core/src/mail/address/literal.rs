//! Network addresses in place of a domain.

/// Skips the rest of `address-literal = "[" ( IPv4-address-literal / IPv6-address-literal ) "]"` (RFC 5321
/// §4.1.3). `IPv6:` is the only registered tag.
pub(super) const fn address_literal(input: &[u8]) -> Option<&[u8]> {
    let end = match input {
        [b'I' | b'i', b'P' | b'p', b'v' | b'V', b'6', b':', rest @ ..] => ipv6(rest),
        _ => ipv4(input),
    };
    match end {
        Some([b']', rest @ ..]) => Some(rest),
        _ => None,
    }
}

/// Skips `Snum 3("." Snum)`, in which a `Snum` is one to three digits of at most 255. Returns the rest.
const fn ipv4(mut rest: &[u8]) -> Option<&[u8]> {
    let mut parts: u8 = 0;
    loop {
        let (mut value, before): (u16, _) = (0, rest.len());
        while let [digit @ b'0'..=b'9', tail @ ..] = rest
            && before.saturating_sub(rest.len()) < 3
        {
            value = value.wrapping_mul(10).wrapping_add((*digit & 0xf) as u16);
            rest = tail;
        }
        if before == rest.len() || value > 255 {
            return None;
        }
        parts = parts.wrapping_add(1);
        rest = match rest {
            _ if parts == 4 => return Some(rest),
            [b'.', tail @ ..] => tail,
            _ => return None,
        };
    }
}

/// Skips eight groups of one to four hexadecimal digits and returns the rest. `::` stands for one or more
/// groups, and the last two may be an IPv4 address.
const fn ipv6(mut rest: &[u8]) -> Option<&[u8]> {
    // The groups that `::` stands for count as one.
    let (mut groups, mut gap): (u8, bool) = (0, false);
    if let [b':', b':', tail @ ..] = rest {
        (groups, gap) = (1, true);
        rest = tail;
    }
    while let [digit, ..] = rest
        && digit.is_ascii_hexdigit()
        && groups < 8
    {
        if let Some(after) = ipv4(rest) {
            groups = groups.wrapping_add(2);
            rest = after;
            break;
        }
        let before = rest.len();
        while let [digit, tail @ ..] = rest
            && digit.is_ascii_hexdigit()
        {
            rest = tail;
        }
        if before.saturating_sub(rest.len()) > 4 {
            return None;
        }
        groups = groups.wrapping_add(1);
        rest = match rest {
            [b':', b':', tail @ ..] if !gap => {
                (groups, gap) = (groups.wrapping_add(1), true);
                tail
            }
            [b':', tail @ ..] if matches!(tail, [digit, ..] if digit.is_ascii_hexdigit()) => tail,
            _ => break,
        };
    }
    match groups {
        8 => Some(rest),
        1..8 if gap => Some(rest),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals() {
        for good in [
            "IPv6:2001:db8::1]",
            "255.0.01.001]",
            "ipv6:::]",
            "IPv6:::1]",
            "IPv6:1::]",
            "IPv6:1:2:3:4:5:6:7:8]",
            "IPv6:1:2:3:4:5:6:7::]",
            "IPv6:::ffff:192.0.2.1]",
            "IPv6:1:2:3:4:5:6:192.0.2.1]",
        ] {
            assert_eq!(address_literal(good.as_bytes()), Some(&b""[..]), "{good}");
        }
        for bad in [
            "]",
            "::.._]",
            "b]",
            "x:y]",
            "1.2.3]",
            "1.2.3.4",
            "1.2.3.4.5]",
            "1.2.3.256]",
            "1.2.3.0001]",
            "1..3.4]",
            "IPv6:]",
            "::1]",
            "IPv6:1]",
            "IPv6::1]",
            "IPv6:1:]",
            "IPv6:1:2:3:4:5:6:7]",
            "IPv6:1:2:3:4:5:6:7:8:9]",
            "IPv6:1:2:3:4:5:6:7:8::]",
            "IPv6:1::2::3]",
            "IPv6:::::]",
            "IPv6:12345::]",
            "IPv6:g::]",
            "IPv6:1:2:3:4:5:6:7:192.0.2.1]",
            "IPv6:192.0.2.1]",
            "IPv6:192.0.2.1::]",
            "IPv6:1::192.0.2.1:2]",
        ] {
            assert_eq!(address_literal(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(address_literal(b"192.0.2.1]> x"), Some(&b"> x"[..]));
    }
}
