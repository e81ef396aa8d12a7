use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context as _, Result, ensure};

use crate::board::Board;

/// The markers around the table in the file.
const BEGIN: &str = "<!-- figures: written by `report --write` -->\n";
const END: &str = "<!-- end -->\n";

/// Stands for a figure that was not measured.
const NONE: &str = "–";

/// The tolerated growth of a figure, in percent.
const GROWTH: u64 = 5;

/// A row for each figure, a column for each board.
#[derive(Debug, Default)]
pub struct Table {
    boards: Vec<String>,
    rows: Vec<(String, Vec<Option<u64>>)>,
}

/// The text before the table, the table, and the text after it.
pub fn find(text: &str) -> Result<(&str, &str, &str)> {
    let begin = text.find(BEGIN).context("there is no place for the table")? + BEGIN.len();
    let (before, rest) = text.split_at(begin);
    let end = rest.find(END).context("the table has no end")?;
    let (table, after) = rest.split_at(end);
    Ok((before, table, after))
}

impl Table {
    pub fn of(boards: &[Board]) -> Self {
        let mut table = Self::default();
        for board in boards {
            table.boards.push(board.name.clone());
            for (n, (what, figure)) in board.rows().into_iter().enumerate() {
                match table.rows.get_mut(n) {
                    Some((_, figures)) => figures.push(figure),
                    None => table.rows.push((what, vec![figure])),
                }
            }
        }
        table
    }

    /// Parses a printed table.
    pub fn parse(text: &str) -> Result<Self> {
        let mut lines = text.lines().map(|line| line.split('|').map(str::trim));
        let mut cells =
            lines.next().into_iter().flatten().skip(2).map(|name| name.replace('`', ""));
        let mut table = Self::default();
        table.boards.extend(cells.by_ref().filter(|name| !name.is_empty()));
        for mut row in lines.skip(1) {
            let what = row.by_ref().nth(1).context("a row without a name")?;
            let figures = row.by_ref().take(table.boards.len()).map(|figure| match figure {
                NONE => Ok(None),
                _ => figure
                    .replace(',', "")
                    .parse()
                    .map(Some)
                    .with_context(|| format!("{what}: {figure}")),
            });
            table.rows.push((what.to_owned(), figures.collect::<Result<_>>()?));
        }
        ensure!(
            table.rows.iter().all(|(_, figures)| figures.len() == table.boards.len()),
            "a short row"
        );
        Ok(table)
    }

    /// Every figure that exceeds that of `kept` by more than the tolerance, or is not in it.
    pub fn grown(&self, kept: &Self) -> Vec<String> {
        let limits: BTreeMap<_, _> = kept.figures().collect();
        self.figures()
            .filter_map(|((board, what), figure)| match limits.get(&(board, what)) {
                Some(limit) if figure * 100 <= limit * (100 + GROWTH) => None,
                Some(limit) => {
                    Some(format!("{board}: {what}: {figure}, more than {GROWTH} % over {limit}"))
                }
                None => Some(format!("{board}: {what}: {figure}, and not in the table")),
            })
            .collect()
    }

    /// The measured ones.
    fn figures(&self) -> impl Iterator<Item = ((&str, &str), u64)> {
        self.rows.iter().flat_map(|(what, figures)| {
            let figures = self.boards.iter().zip(figures);
            figures.filter_map(move |(board, figure)| {
                Some(((board.as_str(), what.as_str()), (*figure)?))
            })
        })
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "| |")?;
        self.boards.iter().try_for_each(|board| write!(f, " `{board}` |"))?;
        writeln!(f, "\n|---|{}", "---:|".repeat(self.boards.len()))?;
        for (what, figures) in &self.rows {
            write!(f, "| {what} |")?;
            figures.iter().try_for_each(|figure| {
                write!(f, " {} |", figure.map_or(NONE.to_owned(), grouped))
            })?;
            writeln!(f)?;
        }
        Ok(())
    }
}

/// With commas between the thousands.
fn grouped(figure: u64) -> String {
    match figure {
        0..1000 => figure.to_string(),
        _ => format!("{},{:03}", grouped(figure / 1000), figure % 1000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(figures: [u64; 2]) -> Table {
        Table {
            boards: vec!["a".into(), "b".into()],
            rows: vec![
                ("flash".into(), figures.map(Some).into()),
                ("stack".into(), vec![Some(7), None]),
            ],
        }
    }

    #[test]
    fn parsing_reverses_printing() {
        let printed = table([1_234_567, 1000]).to_string();
        assert!(printed.contains("| flash | 1,234,567 | 1,000 |\n| stack | 7 | – |\n"));
        let text = format!("x\n{BEGIN}{printed}{END}y\n");
        let (before, kept, after) = find(&text).expect("there");
        assert_eq!((before, after), (&*format!("x\n{BEGIN}"), &*format!("{END}y\n")));
        assert_eq!(Table::parse(kept).expect("whole").to_string(), printed);
    }

    #[test]
    fn growth_is_reported() {
        let kept = table([1000, 1000]);
        assert!(table([1050, 10]).grown(&kept).is_empty());
        let grown = table([1000, 1051]).grown(&kept);
        assert_eq!(grown, ["b: flash: 1051, more than 5 % over 1000"]);
        assert_eq!(table([1, 1]).grown(&Table::default()).len(), 3);
    }
}
