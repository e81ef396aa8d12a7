//! `starttls serve --ladder-svg`: each connection as a picture.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use starttls_std::{Error, Observer};

use crate::excerpt::{Excerpt, escaped};
use crate::outcome::Failure;
use crate::picture::{Picture, Tone};
use crate::security::Security;

/// The files of the pictures: the first connection's, and those of the others beside it.
#[derive(Debug)]
pub(crate) struct Pictures {
    file: PathBuf,
    connections: AtomicUsize,
}

impl Pictures {
    pub(crate) const fn new(file: PathBuf) -> Self {
        Self { file, connections: AtomicUsize::new(0) }
    }

    /// Watches one connection.
    pub(crate) fn watch(&self, title: &str) -> Watch {
        let number = self.connections.fetch_add(1, Ordering::Relaxed) + 1;
        let mut picture = Picture::default();
        picture.title(title);
        let file = numbered(&self.file, number);
        Watch { file, picture, lines: 0, next: Next::Command, after_credential: None }
    }
}

/// `ladder.svg`, `ladder-2.svg`, `ladder-3.svg`.
fn numbered(file: &Path, number: usize) -> PathBuf {
    if number == 1 {
        return file.to_owned();
    }
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let extension = file.extension().unwrap_or_default().to_string_lossy();
    let dot = if extension.is_empty() { "" } else { "." };
    file.with_file_name(format!("{stem}-{number}{dot}{extension}"))
}

/// The client's next input.
#[derive(Debug)]
enum Next {
    Command,
    /// A response to a challenge.
    Secret,
    Message(Excerpt),
    /// This many bytes of a message.
    Chunk(usize, Excerpt),
}

/// Watches a connection of a client.
#[derive(Debug)]
pub(crate) struct Watch {
    file: PathBuf,
    picture: Picture,
    lines: usize,
    next: Next,
    /// The number of lines after a plaintext credential, which may be its continuation.
    after_credential: Option<usize>,
}

impl Watch {
    /// Adds how the connection ended, and writes the picture.
    pub(crate) fn save(mut self, outcome: &Result<(), Error>) -> Result<(), Failure> {
        match outcome {
            Ok(()) => self.picture.verdict("the connection ended cleanly", Tone::Good),
            Err(error) => self.picture.verdict(&error.to_string(), Tone::Bad),
        }
        self.picture.save(&self.file)
    }

    fn command(&mut self, line: &[u8]) {
        self.lines += 1;
        let words: Vec<&[u8]> = line.trim_ascii().splitn(3, |octet| *octet == b' ').collect();
        match words[..] {
            [verb, mechanism, _] if verb.eq_ignore_ascii_case(b"AUTH") => {
                self.picture.line(&format!("AUTH {} ●●●●●●", escaped(mechanism)), true);
            }
            [verb, length, ..] if verb.eq_ignore_ascii_case(b"BDAT") => {
                self.picture.line(&escaped(line), true);
                let length =
                    std::str::from_utf8(length).ok().and_then(|length| length.parse().ok());
                if let Some(length @ 1..) = length {
                    self.next = Next::Chunk(length, Excerpt::default());
                }
            }
            _ => self.picture.line(&escaped(line), true),
        }
    }
}

impl Observer for Watch {
    fn credential(&mut self, octets: usize) {
        self.lines += 1;
        self.after_credential = Some(0);
        self.picture.line(&format!("●●●●●●  (may be a credential, {octets} bytes)"), true);
    }

    fn received(&mut self, octets: &[u8]) {
        if let Some(lines) = &mut self.after_credential {
            (*lines, self.lines) = (*lines + 1, self.lines + 1);
            let octets = octets.len();
            let text = format!("●●●●●●  ({octets} bytes after a credential)");
            return self.picture.line(&text, true);
        }
        let picture = &mut self.picture;
        match &mut self.next {
            Next::Command => self.command(octets),
            Next::Secret => {
                picture.line("●●●●●●  (a credential)", true);
                self.next = Next::Command;
            }
            Next::Message(message) => {
                message.take(octets, |line| picture.line(&escaped(line), true));
            }
            Next::Chunk(left, message) => {
                message.take(octets, |line| picture.line(&escaped(line), true));
                *left = left.saturating_sub(octets.len());
                if *left == 0 {
                    message.end(false, |line| picture.line(line, true));
                    self.next = Next::Command;
                }
            }
        }
    }

    fn sent(&mut self, octets: &[u8]) {
        if matches!(self.after_credential, Some(1..)) {
            let octets = octets.len();
            let text = format!("●●●●●●  ({octets} bytes that may repeat some of it)");
            return self.picture.line(&text, false);
        }
        if let Next::Message(message) = &self.next {
            message.end(true, |line| self.picture.line(line, true));
        }
        let mut last = &b""[..];
        for line in octets.split_inclusive(|octet| *octet == b'\n') {
            self.picture.line(&escaped(line), false);
            last = line;
        }
        self.next = match last.get(..3) {
            Some(b"334") => Next::Secret,
            Some(b"354") => Next::Message(Excerpt::default()),
            _ => match std::mem::replace(&mut self.next, Next::Command) {
                chunk @ Next::Chunk(..) => chunk,
                _ => Next::Command,
            },
        };
    }

    fn secured(&mut self, tls: &rustls::CommonState, _: Option<&rustls::Error>) {
        self.after_credential = None;
        self.picture.tls();
        let forgotten = match self.lines {
            0 => "nothing: there was no plaintext".to_owned(),
            n => format!("all {n} lines of the client"),
        };
        self.picture.fact("forgotten", &forgotten, Tone::Neutral);
        self.picture.fact("TLS", &Security::of(tls).to_string(), Tone::Neutral);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_connection_has_a_file() {
        for (file, number, expected) in [
            ("a/ladder.svg", 1, "a/ladder.svg"),
            ("a/ladder.svg", 2, "a/ladder-2.svg"),
            ("ladder", 10, "ladder-10"),
        ] {
            assert_eq!(numbered(Path::new(file), number), Path::new(expected));
        }
    }

    fn drawn(exchange: &[(bool, &str)]) -> String {
        let mut watch = Pictures::new(PathBuf::new()).watch("a client");
        for (from_client, octets) in exchange {
            if *from_client {
                watch.received(octets.as_bytes());
            } else {
                watch.sent(octets.as_bytes());
            }
        }
        watch.picture.draw()
    }

    #[test]
    fn credentials_are_not_drawn() {
        let picture = drawn(&[
            (true, "auth plain AGEAYg==\r\n"),
            (false, "535 5.7.8 no\r\n"),
            (true, "AUTH LOGIN\r\n"),
            (false, "334 VXNlcm5hbWU6\r\n"),
            (true, "c29tZWJvZHk=\r\n"),
            (false, "334 UGFzc3dvcmQ6\r\n"),
            (true, "c2VjcmV0\r\n"),
            (false, "235 2.7.0 yes\r\n"),
            (true, "QUIT\r\n"),
        ]);
        for seen in ["AUTH plain ●●", "AUTH LOGIN<", "334 UGFzc3dvcmQ6", "QUIT"] {
            assert!(picture.contains(seen), "{seen}: {picture}");
        }
        for secret in ["AGEAYg", "c29tZWJvZHk", "c2VjcmV0"] {
            assert!(!picture.contains(secret), "{secret}: {picture}");
        }
    }

    #[test]
    fn a_message_is_an_excerpt() {
        let mut exchange = vec![(true, "DATA\r\n"), (false, "250 x\r\n354 go\r\n")];
        exchange.extend([(true, "a line\r\n"); 20]);
        exchange.extend([(true, ".\r\n"), (false, "250 ok\r\n")]);
        exchange.extend([(true, "BDAT 10\r\n"), (true, "AUTH A B\r\n"), (false, "250 ok\r\n")]);
        exchange.push((true, "RSET\r\n"));
        let picture = drawn(&exchange);
        assert_eq!(picture.matches("a line").count(), 6, "{picture}");
        for seen in ["more lines, 163 bytes in all", "AUTH A B", "RSET"] {
            assert!(picture.contains(seen), "{seen}: {picture}");
        }
    }
}
