//! Two rails with a rung for each line of an exchange, for a terminal.

use anstyle::{AnsiColor, Style};

use crate::picture::Tone;

/// Between the two rails, in columns.
const WIDTH: usize = 66;

pub(crate) const CLIENT: Style = AnsiColor::Cyan.on_default();
pub(crate) const SERVER: Style = AnsiColor::Green.on_default();
pub(crate) const QUIET: Style = Style::new().dimmed();
pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(crate) const STRONG: Style = Style::new().bold();

/// The names over the rails.
pub(crate) fn names() -> String {
    let width = WIDTH - 8;
    format!("    {CLIENT}client{CLIENT:#}{:>width$}{SERVER}server{SERVER:#}", "")
}

/// The rails alone.
pub(crate) fn gap() -> String {
    format!("      │{:WIDTH$}│", "")
}

/// A bar across the rails.
pub(crate) fn rule(text: &str) -> String {
    let text = format!(" {text} ");
    format!("   ═══╪{STRONG}{text:═^WIDTH$}{STRONG:#}╪═══")
}

/// A fact between the rails.
pub(crate) fn fact(name: &str, value: &str, tone: Tone) -> String {
    let style = match tone {
        _ if name == "forgotten" => QUIET,
        Tone::Neutral => Style::new(),
        Tone::Good => GOOD,
        Tone::Bad => BAD,
    };
    format!("      {QUIET}{name:>11}{QUIET:#}  {style}{value}{style:#}")
}

/// What happened, between the rails.
pub(crate) fn note(text: &str) -> Vec<String> {
    let text: Vec<char> = text.chars().collect();
    let pieces = text.chunks(WIDTH - 2).map(|piece| piece.iter().collect::<String>());
    pieces.map(|piece| format!("      │{QUIET}{piece:^WIDTH$}{QUIET:#}│")).collect()
}

/// One rung: an arrow with text on it, drawn double if it is encrypted. Long text needs several lines.
pub(crate) fn rung(text: &str, from_client: bool, encrypted: bool) -> Vec<String> {
    let line = if encrypted { '═' } else { '─' };
    let room = WIDTH - 6;
    let mut rest: Vec<char> = text.chars().collect();
    let mut lines = Vec::new();
    loop {
        let cut = rest.split_off(rest.len().min(room));
        let part: String = rest.iter().collect();
        let fill: String = std::iter::repeat_n(line, room - rest.len()).collect();
        lines.push(if from_client {
            format!("      │ {CLIENT}{part}{CLIENT:#} {QUIET}{fill}{line}▶{QUIET:#}  │")
        } else {
            format!("      │  {QUIET}◀{line}{fill}{QUIET:#} {SERVER}{part}{SERVER:#} │")
        });
        if cut.is_empty() {
            return lines;
        }
        rest = cut;
    }
}
