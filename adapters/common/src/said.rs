use std::fmt;

use starttls::Untrusted;

/// The limit of the peer's last words in an error, in bytes.
const QUOTE: usize = 2048;

/// The peer's last words, for errors.
#[derive(Default)]
pub(crate) struct Said {
    octets: Vec<u8>,
    /// A description, if the frame is binary.
    pub(crate) meaning: Option<String>,
}

impl Said {
    /// Takes a frame. The lines of one reply stay together: each but the last has a hyphen after its code
    /// (RFC 5321 §4.2, RFC 959 §4.2).
    pub(crate) fn hear(&mut self, frame: &[u8], is_cut: bool) {
        let goes_on = matches!(
            (self.last_line(), frame),
            ([a, b, c, b'-', ..], [x, y, z, b'-' | b' ' | b'\r', ..])
                if [a, b, c] == [x, y, z] && [a, b, c].iter().all(|octet| octet.is_ascii_digit())
        );
        if !goes_on {
            self.octets.clear();
        }
        let room = QUOTE.saturating_sub(self.octets.len());
        self.octets.extend_from_slice(&frame[..frame.len().min(room)]);
        if is_cut || frame.len() > room {
            self.octets.extend_from_slice(b"...\r\n");
        }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }

    fn last_line(&self) -> &[u8] {
        self.octets.trim_ascii_end().rsplit(|octet| *octet == b'\n').next().unwrap_or_default()
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(meaning) = &self.meaning {
            return f.write_str(meaning);
        }
        for (n, line) in self.octets.trim_ascii_end().split(|octet| *octet == b'\n').enumerate() {
            let between = if n > 0 { " " } else { "" };
            write!(f, "{between}{}", Untrusted::new(line.trim_ascii_end()))?;
        }
        Ok(())
    }
}
