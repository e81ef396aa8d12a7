//! The table of figures, and its place in README.md.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

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

/// The project's front page, which mentions single figures.
const FRONT: &str = "../../README.md";

/// What stands before a figure in a text: the row's measure and unit.
const MENTION: &str = "<!-- figure: ";
const MENTION_END: &str = "<!-- -->";

/// A text in which the stored figures stand after each mention.
fn mentions(text: &str, rows: &[Row], figures: &Figures) -> Result<String, Box<dyn Error>> {
    let mut parts = text.split(MENTION);
    let mut new = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let split = part
            .split_once(" -->")
            .and_then(|(key, rest)| Some((key, rest.split_once(MENTION_END)?.1)));
        let (key, rest) = split.ok_or("a mention of a figure has no end")?;
        let figure = rows.iter().find(|row| row.key() == key).and_then(|row| row.ours(figures));
        let figure = number(figure.ok_or_else(|| format!("no figure is called {key:?}"))?);
        let _ = write!(new, "{MENTION}{key} -->{figure}{MENTION_END}{rest}");
    }
    Ok(new)
}

/// A page as it is, and with the stored figures.
struct Page {
    path: PathBuf,
    old: String,
    new: String,
}

fn pages(directory: &Path, rows: &[Row], figures: &Figures) -> Result<[Page; 2], Box<dyn Error>> {
    let path = directory.join(FILE);
    let old = fs::read_to_string(&path)?;
    let parts =
        old.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = parts.ok_or("README.md has no place for figures")?;
    let table = of(rows.iter(), figures);
    let new = format!("{before}{BEGIN}\n{table}\n{END}{after}");
    let front = directory.join(FRONT);
    let text = fs::read_to_string(&front)?;
    let with_figures = mentions(&text, rows, figures)?;
    Ok([Page { path, old, new }, Page { path: front, old: text, new: with_figures }])
}

pub(crate) fn write(
    directory: &Path,
    rows: &[Row],
    figures: &Figures,
) -> Result<(), Box<dyn Error>> {
    pages(directory, rows, figures)?
        .iter()
        .try_for_each(|page| fs::write(&page.path, &page.new))?;
    Ok(())
}

/// What is wrong with the pages.
pub(crate) fn check(
    directory: &Path,
    rows: &[Row],
    figures: &Figures,
) -> Result<Vec<String>, Box<dyn Error>> {
    let stale = pages(directory, rows, figures)?.into_iter().filter(|page| page.old != page.new);
    let fault = |page: Page| {
        format!(
            "{} differs from figures.toml: tests/measure/run --write GROUP",
            page.path.display()
        )
    };
    Ok(stale.map(fault).collect())
}
