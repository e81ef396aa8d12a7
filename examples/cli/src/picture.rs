//! An exchange as a picture: two rails, an arrow for each flight, and a bar where plaintext ends.

mod drawing;

use std::path::Path;

use crate::files;
use crate::outcome::Failure;
use drawing::Drawing;
pub(crate) use drawing::{STYLE, escaped};

/// The meaning of a line of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Neutral,
    Good,
    Bad,
}

impl Tone {
    const fn class(self) -> &'static str {
        match self {
            Self::Neutral => "",
            Self::Good => "good",
            Self::Bad => "bad",
        }
    }
}

#[derive(Debug)]
enum Part {
    /// The lines of one side until the other one sends.
    Flight { from_client: bool, lines: Vec<String> },
    /// The start of TLS, and its parameters.
    Tls { judged: bool, facts: Vec<(String, String, Tone)> },
    /// Another connection, with its description.
    Again(String),
    /// What happened, such as the end of the connection.
    Note(String),
}

/// Collects an exchange. All text is escaped when it is drawn, from either side.
#[derive(Debug, Default)]
pub(crate) struct Picture {
    title: String,
    parts: Vec<Part>,
    verdicts: Vec<(String, Tone)>,
}

impl Picture {
    pub(crate) fn title(&mut self, text: &str) {
        text.clone_into(&mut self.title);
    }

    pub(crate) fn line(&mut self, text: &str, by_client: bool) {
        match self.parts.last_mut() {
            Some(Part::Flight { from_client, lines }) if *from_client == by_client => {
                lines.push(text.to_owned());
            }
            _ => self
                .parts
                .push(Part::Flight { from_client: by_client, lines: vec![text.to_owned()] }),
        }
    }

    /// Begins TLS. Without a bad fact the peer is verified.
    pub(crate) fn tls(&mut self) {
        self.parts.push(Part::Tls { judged: true, facts: Vec::new() });
    }

    /// Begins TLS in which no side's certificate was judged.
    pub(crate) fn unjudged_tls(&mut self) {
        self.parts.push(Part::Tls { judged: false, facts: Vec::new() });
    }

    pub(crate) fn note(&mut self, text: &str) {
        self.parts.push(Part::Note(text.to_owned()));
    }

    pub(crate) fn again(&mut self, what: &str) {
        self.parts.push(Part::Again(what.to_owned()));
    }

    /// Adds a fact about the last TLS connection.
    pub(crate) fn fact(&mut self, name: &str, value: &str, tone: Tone) {
        if let Some(Part::Tls { facts, .. }) = self.parts.last_mut() {
            facts.push((name.to_owned(), value.to_owned(), tone));
        }
    }

    pub(crate) fn verdict(&mut self, text: &str, tone: Tone) {
        self.verdicts.push((text.to_owned(), tone));
    }

    /// Writes the picture as an SVG document.
    pub(crate) fn save(&self, file: &Path) -> Result<(), Failure> {
        std::fs::write(file, self.draw())
            .map_err(|error| files::unreadable("--ladder-svg", file, &error).into())
    }

    /// The picture as an SVG document.
    pub(crate) fn draw(&self) -> String {
        Drawing::default().document(self, &format!("<style>{STYLE}</style>\n"))
    }

    /// The picture as a part of a page, which contains [`STYLE`] once.
    pub(crate) fn draw_inline(&self) -> String {
        Drawing::default().document(self, "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_becomes_markup() {
        let mut picture = Picture::default();
        let nasty = "</text><script>&\"'\u{0}\u{1b}[0m]]>\u{ffff}é";
        picture.title(nasty);
        picture.line(nasty, true);
        picture.line(nasty, false);
        picture.tls();
        picture.fact(nasty, nasty, Tone::Bad);
        picture.note(nasty);
        picture.verdict(nasty, Tone::Good);
        let drawn = picture.draw();
        let safe = "&lt;/text&gt;&lt;script&gt;&amp;&quot;&#39;\u{fffd}\u{fffd}[0m]]&gt;\u{fffd}é";
        assert_eq!(drawn.matches(safe).count(), 8, "{drawn}");
        let document = roxmltree::Document::parse(&drawn).expect("XML");
        assert!(document.descendants().all(|node| !node.has_tag_name("script")));
    }

    #[test]
    fn a_flight_has_one_arrow() {
        let mut picture = Picture::default();
        for (line, by_client) in
            [("220 x", false), ("EHLO x", true), ("250-x", false), ("250 y", false)]
        {
            picture.line(line, by_client);
        }
        let drawn = picture.draw();
        assert_eq!(drawn.matches("clear-tip\" d").count(), 3, "{drawn}");
        assert!(!drawn.contains("class=\"bar\""));
        picture.tls();
        picture.line("EHLO x", true);
        let drawn = picture.draw();
        assert_eq!(drawn.matches("\"tls-tip\"").count(), 1, "{drawn}");
        assert_eq!(drawn.matches("class=\"bar\"").count(), 1, "{drawn}");
    }
}
