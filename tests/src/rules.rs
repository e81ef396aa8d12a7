//! The list of rules, `RULES.md`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::weight::Weight;

/// A line of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The weight and the source that it gives a row; a property of every row has none.
    pub weight: Option<Weight>,
    /// The tests that show it.
    pub shown: String,
}

/// All rules, by their ids.
pub static RULES: LazyLock<BTreeMap<String, Rule>> =
    LazyLock::new(|| read(include_str!("../RULES.md")));

/// # Panics
/// If an id occurs twice, or a weight is none.
fn read(page: &str) -> BTreeMap<String, Rule> {
    let mut rules = BTreeMap::new();
    for line in page.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if let ["", id, level, clause, _, shown, ""] = cells[..]
            && id.ends_with(|end: char| end.is_ascii_digit())
        {
            let weight = (level != "–").then(|| {
                Weight::new(level, clause.trim_matches('`'))
                    .unwrap_or_else(|error| panic!("{id}: {error}"))
            });
            let rule = Rule { weight, shown: shown.to_owned() };
            assert!(rules.insert(id.to_owned(), rule).is_none(), "{id} twice");
        }
    }
    rules
}
