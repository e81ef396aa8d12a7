//! The table of figures, and its place in README.md.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::figures::Figures;
use crate::row::Row;

const FILE: &str = "README.md";
const BEGIN: &str = "<!-- figures: written by tests/measure/run --write -->\n";
const END: &str = "<!-- end of figures -->\n";

/// The table of some rows, whose notes follow it.
pub(crate) fn of<'r>(rows: impl Iterator<Item = &'r Row> + Clone, figures: &Figures) -> String {
    let mut text = String::from(
        "| measure | unit | ours | others | floor | goal | bound |\n|---|---|---|---|---|---|---|\n",
    );
    let mut notes = String::new();
    for row in rows {
        let figure = |name: &str| figures.get(row, name).map_or("-".to_owned(), number);
        let others: Vec<String> = row
            .peers
            .iter()
            .map(|peer| format!("{} {}", peer.name(), figure(peer.name())))
            .collect();
        let floor = row.floor.as_ref().map(|run| format!("{} {}", run.name(), figure(run.name())));
        let sign = if row.higher { "≥" } else { "≤" };
        let goal = row.goal(figures).map_or(String::new(), |goal| {
            let met = row.ours(figures).is_some_and(|ours| row.meets(ours, goal));
            format!("{sign} {}{}", number(goal), if met { "" } else { ", missed" })
        });
        let bound =
            row.bound(figures).map_or(String::new(), |bound| format!("{sign} {}", number(bound)));
        let mark = if let Some(note) = &row.note {
            let _ = writeln!(notes, "- {}: {}", row.measure, note.trim());
            " *"
        } else {
            ""
        };
        let _ = writeln!(
            text,
            "| {}{mark} | {} | {} | {} | {} | {goal} | {bound} |",
            row.measure,
            row.unit,
            row.ours(figures).map_or("-".to_owned(), number),
            others.join("; "),
            floor.unwrap_or_default()
        );
    }
    if !notes.is_empty() {
        let _ = write!(text, "\nNotes (*):\n\n{notes}");
    }
    text
}

/// A figure with its thousands apart, and with decimals where it is small.
fn number(value: f64) -> String {
    if value.fract() != 0.0 && value.abs() < 100.0 {
        return format!("{value:.2}");
    }
    let digits = format!("{:.0}", value.abs());
    let mut text = String::from(if value < 0.0 { "-" } else { "" });
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// README.md with the table of the stored figures.
fn page(
    directory: &Path,
    rows: &[Row],
    figures: &Figures,
) -> Result<(String, String), Box<dyn Error>> {
    let page = fs::read_to_string(directory.join(FILE))?;
    let parts =
        page.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = parts.ok_or("README.md has no place for figures")?;
    let table = of(rows.iter(), figures);
    let new = format!("{before}{BEGIN}\n{table}\n{END}{after}");
    Ok((page, new))
}

pub(crate) fn write(
    directory: &Path,
    rows: &[Row],
    figures: &Figures,
) -> Result<(), Box<dyn Error>> {
    let (_, new) = page(directory, rows, figures)?;
    Ok(fs::write(directory.join(FILE), new)?)
}

/// What is wrong with the page.
pub(crate) fn check(
    directory: &Path,
    rows: &[Row],
    figures: &Figures,
) -> Result<Vec<String>, Box<dyn Error>> {
    let (old, new) = page(directory, rows, figures)?;
    let stale =
        "tests/measure/README.md differs from figures.toml: tests/measure/run --write GROUP";
    Ok(if old == new { Vec::new() } else { vec![stale.to_owned()] })
}
