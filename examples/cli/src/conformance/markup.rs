//! Text for XML and HTML.

use crate::excerpt::visible;
use crate::picture::escaped;

/// Text for an attribute, or for an element on one line. Characters that XML 1.0 forbids, and those that hide or reorder
/// the text beside them, are shown as escapes.
pub(super) fn inline(text: &str) -> String {
    escaped(&visible(text).replace('\t', "\\t"))
}

/// The same for an element in which line breaks stay.
pub(super) fn block(text: &str) -> String {
    text.split('\n').map(inline).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost() {
        assert_eq!(
            inline("<a b='\"'>\t\u{0}\r\n\u{ffff}&\u{e9}│"),
            concat!("&lt;a b=&#39;&quot;&#39;&gt;\\t\\0\\r\\n\\u{ffff}&amp;", "\u{e9}│")
        );
        assert_eq!(block("a\n<\u{1b}\n"), "a\n&lt;\\u{1b}\n");
    }
}
