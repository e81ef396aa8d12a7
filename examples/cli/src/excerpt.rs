//! What is shown of what was said.

use starttls::Untrusted;

/// Lines of a message that are shown.
const SHOWN: usize = 6;

/// A message on its way: how it begins is shown, the rest is only counted.
#[derive(Debug, Default)]
pub(crate) struct Excerpt {
    octets: usize,
    lines: usize,
}

impl Excerpt {
    /// A piece of the message, with dots in front of dots and the final one.
    pub(crate) fn take(&mut self, octets: &[u8], mut show: impl FnMut(&[u8])) {
        for line in octets.split_inclusive(|octet| *octet == b'\n') {
            if self.lines < SHOWN {
                show(line);
            }
            self.lines += usize::from(line.ends_with(b"\n"));
        }
        self.octets += octets.len();
    }

    /// Shows how much was only counted, and the dot, if one ended it.
    pub(crate) fn end(&self, dot: bool, mut show: impl FnMut(&str)) {
        let more = self.lines.saturating_sub(SHOWN);
        let dot = dot && more > 0;
        let counted = more.saturating_sub(usize::from(dot));
        if counted > 0 {
            show(&format!("… {counted} more lines, {} octets in all …", self.octets));
        }
        if dot {
            show(".");
        }
    }
}

/// A line without its end, safe for a terminal; text beyond ASCII is escaped, too.
pub(crate) fn escaped(line: &[u8]) -> String {
    Untrusted::new(line.trim_ascii_end()).to_string()
}
