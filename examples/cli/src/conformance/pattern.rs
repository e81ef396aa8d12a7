//! Patterns of names.

/// Whether the whole text matches: `*` stands for any text, `?` for any character.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // The last star, and the end of the text that it stands for so far. Only the last one needs another try.
    let mut star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => (p, t) = (p + 1, t + 1),
            _ => {
                let Some((at, end)) = star else { return false };
                star = Some((at, end + 1));
                (p, t) = (at + 1, end + 1);
            }
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("injection/*", "injection/same-segment", true),
            ("injection/*", "injection", false),
            ("*/same-*t", "injection/same-segment", true),
            ("*/same-*m", "injection/same-segment", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("a?", "\u{e4}\u{e4}", false),
            ("?\u{e4}", "\u{e4}\u{e4}", true),
            ("*ab*abc", "ababab-abcabc", true),
            ("*a*b*c*d", "aabbccd", true),
            ("*.", "a.b", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn many_stars_need_little_time() {
        assert!(!matches(&"a*".repeat(200), &format!("{}b", "a".repeat(199))));
        assert!(!matches(&format!("{}b", "*a".repeat(50)), &"a".repeat(5000)));
    }
}
