//! The drawing of a picture as SVG.

use std::fmt::Write as _;

use super::{Part, Picture, Tone};

/// Everything is in pixels.
const WIDTH: usize = 760;
const LEFT: usize = 64;
const RIGHT: usize = WIDTH - LEFT;
const MARGIN: usize = 24;
const LINE: usize = 18;
const BAR: usize = 44;

/// The space between a rail and the text beside it.
const GAP: usize = 16;

/// The number of characters between the rails, and a hundred times the width of each in most fonts.
const COLUMNS: usize = 74;
const ADVANCE: usize = 783;

/// The style of all pictures.
pub(crate) const STYLE: &str = "\
text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;\
fill:#1f2328;white-space:pre}\
.card{fill:#fff;stroke:#d0d7de}.title{font-weight:700;font-size:15px}\
.clear{fill:#fff8e5}.tls{fill:#ecfaf0}\
.zone{font-size:11px;letter-spacing:1px}\
.clear-text{fill:#8a6100}.tls-text{fill:#18692e}\
.rail{stroke:#8c959f;stroke-width:2}\
.head{fill:#57606a}.head-text{fill:#fff;font-weight:700}\
.client{fill:#0a53b0}.server{fill:#7038c9}\
.arrow{fill:none;stroke-width:1.5}\
.clear-arrow{stroke:#bf8700;stroke-dasharray:6 4}.tls-arrow{stroke:#1f883d;stroke-width:2}\
.clear-tip{fill:#bf8700}.tls-tip{fill:#1f883d}\
.bar{fill:#1a7f37}.bar-bad{fill:#cf222e}.bar-text{fill:#fff;font-weight:700}\
.lock{fill:none;stroke:#fff;stroke-width:2}\
.lock-body{fill:#fff}\
.fact{fill:#57606a}.good{fill:#18692e;font-weight:700}.bad{fill:#cf222e;font-weight:700}\
@media(prefers-color-scheme:dark){\
text{fill:#e6edf3}.card{fill:#0d1117;stroke:#30363d}.clear{fill:#251d0a}.tls{fill:#0c2014}\
.clear-text{fill:#d29922}.tls-text{fill:#56d364}.rail{stroke:#6e7681}.head{fill:#6e7681}\
.head-text{fill:#fff}.client{fill:#79c0ff}.server{fill:#d2a8ff}.bar{fill:#238636}\
.bar-text{fill:#fff}.fact{fill:#8b949e}.good{fill:#56d364}.bad{fill:#ff7b72}}";

/// The drawing, from top to bottom, in two layers.
#[derive(Debug, Default)]
pub(super) struct Drawing {
    back: String,
    front: String,
    y: usize,
}

impl Drawing {
    /// An SVG document, with this element in front of the drawing.
    pub(super) fn document(mut self, picture: &Picture, style: &str) -> String {
        self.y = 40;
        for (n, line) in wrapped(&picture.title, COLUMNS).iter().enumerate() {
            self.y += if n > 0 { LINE } else { 0 };
            self.text(MARGIN, self.y, "title", line);
        }
        self.y += 34;
        let rails = self.y;
        for (x, name) in [(LEFT, "client"), (RIGHT, "server")] {
            let _ = writeln!(
                self.front,
                "<rect class=\"head\" x=\"{}\" y=\"{}\" width=\"80\" height=\"26\" rx=\"13\"/>\
                 <text class=\"head-text\" x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{name}</text>",
                x - 40,
                rails - 13,
                rails + 4,
            );
        }
        self.y += 24;
        let mut zone = self.y;
        let (mut encrypted, mut ground) = (false, "clear");
        let mut said = self.begin(picture.parts.first());
        for (n, part) in picture.parts.iter().enumerate() {
            match part {
                Part::Flight { from_client, lines } => {
                    self.flight(*from_client, lines, encrypted);
                }
                Part::Tls { judged, facts } => {
                    self.y += 12;
                    if said {
                        self.zone(ground, zone);
                    }
                    let stranger = facts.iter().any(|(_, _, tone)| *tone == Tone::Bad);
                    zone = self.bar(facts, stranger);
                    encrypted = true;
                    if stranger {
                        self.label("ENCRYPTED, PEER NOT VERIFIED", "bad");
                    } else {
                        ground = "tls";
                        let label = match judged {
                            true => "ENCRYPTED: ONLY THE VERIFIED PEER CAN READ IT",
                            false => "ENCRYPTED",
                        };
                        self.label(label, "tls-text");
                    }
                    said = true;
                }
                Part::Note(text) => {
                    for line in wrapped(text, COLUMNS) {
                        self.label(&escaped(&line), "fact");
                    }
                }
                Part::Again(what) => {
                    if said {
                        self.zone(ground, zone);
                    }
                    self.y += 24;
                    self.label(&escaped(&what.to_uppercase()), "fact");
                    zone = self.y;
                    (encrypted, ground) = (false, "clear");
                    said = self.begin(picture.parts.get(n + 1));
                }
            }
        }
        if said {
            self.zone(ground, zone);
        }
        for x in [LEFT, RIGHT] {
            let _ = writeln!(self.back, "<path class=\"rail\" d=\"M{x} {rails}V{}\"/>", self.y + 8);
        }
        self.y += 20;
        for (text, tone) in &picture.verdicts {
            for line in wrapped(text, COLUMNS + 10) {
                self.y += LINE;
                self.text(MARGIN, self.y, tone.class(), &line);
            }
        }
        let height = self.y + MARGIN;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
             width=\"{WIDTH}\" height=\"{height}\" role=\"img\">\n<title>{}</title>\n\
             {style}<rect class=\"card\" x=\".5\" y=\".5\" width=\"{}\" \
             height=\"{}\" rx=\"12\"/>\n{}{}</svg>\n",
            escaped(&picture.title),
            WIDTH - 1,
            height - 1,
            self.back,
            self.front,
        )
    }

    /// Begins a connection with `first`; returns whether it is in plaintext.
    fn begin(&mut self, first: Option<&Part>) -> bool {
        let clear = !matches!(first, Some(Part::Tls { .. } | Part::Again(_)));
        if clear {
            self.label("PLAINTEXT: AN ON-PATH ATTACKER CAN READ AND CHANGE IT", "clear-text");
        }
        clear
    }

    fn label(&mut self, text: &str, class: &str) {
        self.y += 20;
        let _ = writeln!(
            self.front,
            "<text class=\"zone {class}\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{text}</text>",
            WIDTH / 2,
            self.y
        );
        self.y += 10;
    }

    /// The ground on which everything since `top` stands.
    fn zone(&mut self, class: &str, top: usize) {
        let _ = writeln!(
            self.back,
            "<rect class=\"{class}\" x=\"{}\" y=\"{top}\" width=\"{}\" height=\"{}\"/>",
            MARGIN / 2,
            WIDTH - MARGIN,
            self.y + 8 - top
        );
    }

    /// Draws the text above its arrow.
    fn flight(&mut self, from_client: bool, lines: &[String], encrypted: bool) {
        let lines: Vec<String> = lines.iter().flat_map(|line| wrapped(line, COLUMNS)).collect();
        let widest = lines.iter().map(|line| line.chars().count()).max().unwrap_or_default();
        let x = if from_client {
            LEFT + GAP
        } else {
            (RIGHT - GAP).saturating_sub(widest * ADVANCE / 100)
        };
        let class = if from_client { "client" } else { "server" };
        for line in &lines {
            self.y += LINE;
            self.text(x, self.y, class, line);
        }
        self.y += 10;
        let (from, to, tip) =
            if from_client { (LEFT, RIGHT - 10, RIGHT) } else { (RIGHT, LEFT + 10, LEFT) };
        let (y, kind) = (self.y, if encrypted { "tls" } else { "clear" });
        let _ = writeln!(
            self.front,
            "<path class=\"arrow {kind}-arrow\" d=\"M{from} {y}H{to}\"/>\
             <path class=\"{kind}-tip\" d=\"M{tip} {y}L{to} {}V{}z\"/>",
            y - 5,
            y + 5
        );
        self.y += 8;
    }

    /// Draws the end of plaintext; returns the start of the next zone.
    fn bar(&mut self, facts: &[(String, String, Tone)], stranger: bool) -> usize {
        self.y += 8;
        let class = if stranger { "bar-bad" } else { "bar" };
        let top = self.y;
        let (middle, left) = (top + BAR / 2, WIDTH / 2 - 108);
        let _ = writeln!(
            self.front,
            "<rect class=\"{class}\" x=\"{}\" y=\"{top}\" width=\"{}\" height=\"{BAR}\"/>\
             <rect class=\"lock-body\" x=\"{left}\" y=\"{}\" width=\"18\" height=\"13\" rx=\"2\"/>\
             <path class=\"lock\" d=\"M{} {}v-4a5 5 0 0 1 10 0v4\"/>\
             <text class=\"bar-text\" x=\"{}\" y=\"{}\">plaintext ends here: TLS</text>",
            MARGIN / 2,
            WIDTH - MARGIN,
            middle - 2,
            left + 4,
            middle - 2,
            left + 32,
            middle + 5,
        );
        self.y += BAR;
        let zone = self.y;
        self.y += 8;
        for (name, value, tone) in facts {
            for (n, line) in wrapped(value, COLUMNS - 15).iter().enumerate() {
                self.y += LINE;
                if n == 0 {
                    self.text(LEFT + GAP, self.y, "fact", name);
                }
                self.text(LEFT + GAP + 100, self.y, tone.class(), line);
            }
        }
        self.y += 10;
        zone
    }

    fn text(&mut self, x: usize, y: usize, class: &str, text: &str) {
        let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
        let _ = writeln!(self.front, "<text{class} x=\"{x}\" y=\"{y}\">{}</text>", escaped(text));
    }
}

/// The text in pieces of at most this many columns; at least one piece.
fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let all: Vec<char> = text.chars().collect();
    if all.is_empty() {
        return vec![String::new()];
    }
    all.chunks(columns).map(|piece| piece.iter().collect()).collect()
}

/// Text for XML; characters that XML forbids become a replacement character.
pub(crate) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => {
                safe.push('\u{fffd}');
            }
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_wrapped_and_empty_ones_kept() {
        assert_eq!(wrapped("abcdé", 2), ["ab", "cd", "é"]);
        assert_eq!(wrapped("", 2), [""]);
    }
}
