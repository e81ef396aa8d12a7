//! Connections as ladders: for a terminal, as plain text, and as a picture.

use starttls_check::{Exchange, Mark, Moment};

use crate::excerpt::escaped;
use crate::picture::{Picture, Tone};
use crate::rails;

/// The number of displayed bytes of one step: the answer to a flood need not fill the screen.
const SHOWN: usize = 1024;

/// What the ladder's bar says.
const BOUNDARY: &str = "plaintext ends here";

/// The lines of a step, without the CRLF at the end of each. Every other control character is shown.
fn lines(moment: &Moment) -> Vec<String> {
    let (shown, rest) = moment.bytes.split_at(moment.bytes.len().min(SHOWN));
    let mut lines: Vec<String> = shown.split_inclusive(|byte| *byte == b'\n').map(line).collect();
    let hidden = rest.len() + moment.omitted;
    if hidden > 0 {
        lines.push(format!("… {hidden} more bytes …"));
    }
    lines
}

fn line(bytes: &[u8]) -> String {
    match bytes.strip_suffix(b"\r\n") {
        // An arrow without text would look like no data.
        Some([]) | None => starttls::Untrusted::new(bytes).to_string(),
        Some(line) => starttls::Untrusted::new(line).to_string(),
    }
}

/// The name of a connection, if there are several.
fn name(n: usize, exchanges: &[Exchange]) -> Option<String> {
    (exchanges.len() > 1).then(|| format!("connection {}", n + 1))
}

/// The connections for a terminal, with colours.
pub(super) fn styled(exchanges: &[Exchange]) -> Vec<String> {
    let mut ladder = Vec::new();
    for (n, exchange) in exchanges.iter().enumerate() {
        if let Some(name) = name(n, exchanges) {
            ladder.push(format!("    {name}"));
        }
        ladder.extend([rails::names(), rails::gap()]);
        for moment in exchange.moments() {
            match moment.mark {
                Mark::Client | Mark::Server => {
                    let from_client = moment.mark == Mark::Client;
                    for line in lines(moment) {
                        ladder.extend(rails::rung(&line, from_client, moment.inside));
                    }
                }
                Mark::Tls => {
                    ladder.push(rails::rule(BOUNDARY));
                    ladder.push(rails::fact("version", &escaped(&moment.bytes), Tone::Neutral));
                }
                _ => ladder.extend(rails::note(&escaped(&moment.bytes))),
            }
        }
        ladder.extend([rails::gap(), String::new()]);
    }
    ladder
}

/// The connections as text without colours.
pub(super) fn plain(exchanges: &[Exchange]) -> String {
    let lines = styled(exchanges);
    let lines = lines.iter().map(|line| anstream::adapter::strip_str(line).to_string());
    lines.collect::<Vec<_>>().join("\n")
}

/// The connections as a picture.
pub(super) fn picture(title: &str, exchanges: &[Exchange]) -> Picture {
    let mut picture = Picture::default();
    picture.title(title);
    for (n, exchange) in exchanges.iter().enumerate() {
        if let Some(name) = name(n, exchanges) {
            picture.again(&name);
        }
        for moment in exchange.moments() {
            match moment.mark {
                Mark::Client | Mark::Server => {
                    for line in lines(moment) {
                        picture.line(&line, moment.mark == Mark::Client);
                    }
                }
                Mark::Tls => {
                    picture.unjudged_tls();
                    picture.fact("version", &escaped(&moment.bytes), Tone::Neutral);
                }
                _ => picture.note(&escaped(&moment.bytes)),
            }
        }
    }
    picture
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::sample;

    #[test]
    fn line_ends_that_are_not_crlf_are_shown() {
        for (bytes, shown) in [
            (&b"STARTTLS\r\nNOOP\r\n"[..], &["STARTTLS", "NOOP"][..]),
            (b"STARTTLS\nNOOP\r\n", &["STARTTLS\\n", "NOOP"]),
            (b"a\r\r\n\r\n", &["a\\r", "\\r\\n"]),
            (b"a \r\nb ", &["a ", "b "]),
            (b"\x16\x03\x01\0", &["\\x16\\x03\\x01\\x00"]),
            (b"", &[]),
        ] {
            let mut exchange = Exchange::default();
            exchange.push(Mark::Client, false, bytes);
            assert_eq!(lines(&exchange.moments()[0]), shown, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_ladder_shows_both_sides_and_the_boundary() {
        let ladder = plain(&[sample::exchange()]);
        assert!(ladder.lines().all(|line| line.chars().count() <= 80), "{ladder}");
        assert!(!ladder.contains("connection 1") && !ladder.contains('\u{1b}'), "{ladder}");
        let at = |text: &str| ladder.find(text).unwrap_or_else(|| panic!("{text}: {ladder}"));
        assert!(at("│ STARTTLS ──") < at("│ NOOP\\n ──"), "{ladder}");
        assert!(at(" plaintext ends here ") < at("│ EHLO x ══"), "{ladder}");
        assert!(at("… 7976 more bytes …") < at(" the server closed the connection "), "{ladder}");
        assert!(plain(&[sample::exchange(), sample::exchange()]).contains("connection 2"));
    }

    #[test]
    fn a_picture_claims_no_verification() {
        let drawn = picture("x", &[sample::exchange(), sample::exchange()]).draw();
        assert!(drawn.contains(">ENCRYPTED<") && !drawn.contains("VERIFIED"), "{drawn}");
        assert_eq!(drawn.matches("the server closed the connection").count(), 2, "{drawn}");
        assert!(drawn.contains("CONNECTION 2"), "{drawn}");
    }
}
