//! Excerpts of an exchange, safe to display.

use starttls::Untrusted;

/// The number of displayed lines of a message.
const SHOWN: usize = 6;

/// A message in transit: its start is displayed, the rest only counted.
#[derive(Debug, Default)]
pub(crate) struct Excerpt {
    octets: usize,
    lines: usize,
}

impl Excerpt {
    /// A piece of the message, dot-stuffed and with the final dot.
    pub(crate) fn take(&mut self, octets: &[u8], mut show: impl FnMut(&[u8])) {
        for line in octets.split_inclusive(|octet| *octet == b'\n') {
            if self.lines < SHOWN {
                show(line);
            }
            self.lines += usize::from(line.ends_with(b"\n"));
        }
        self.octets += octets.len();
    }

    /// Displays the count of the rest, and the final dot, if there is one.
    pub(crate) fn end(&self, dot: bool, mut show: impl FnMut(&str)) {
        let more = self.lines.saturating_sub(SHOWN);
        let dot = dot && more > 0;
        let counted = more.saturating_sub(usize::from(dot));
        if counted > 0 {
            show(&format!("… {counted} more lines, {} bytes in all …", self.octets));
        }
        if dot {
            show(".");
        }
    }
}

/// A text that is safe on a terminal: characters that would control it, or hide or reorder the text beside them,
/// are escaped.
pub(crate) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' | '"' | '\'' | '\\' => shown.push(c),
            c => shown.extend(c.escape_debug()),
        }
    }
    shown
}

/// A line without its end, safe for a terminal; text beyond ASCII is escaped, too.
pub(crate) fn escaped(line: &[u8]) -> String {
    Untrusted::new(line.trim_ascii_end()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_controls_a_terminal() {
        assert_eq!(visible("Gr\u{fc}\u{df}e \"a\\b\"\t'c'"), "Gr\u{fc}\u{df}e \"a\\b\"\t'c'");
        assert_eq!(
            visible("\u{1b}]0;x\u{7}\r\u{9b}2J\u{202e}"),
            "\\u{1b}]0;x\\u{7}\\r\\u{9b}2J\\u{202e}"
        );
    }
}
