//! Rows that are products: each state with each form of the request, as `vectors/README.md` describes.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::{Table, Value};

/// A table as written, or a template.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Source {
    /// The template that the table adds to.
    pub(super) template: Option<String>,
    /// The states and forms of the template to omit.
    #[serde(default)]
    without: Vec<String>,
    /// The values for `${name}` in the template's strings.
    #[serde(default)]
    with: BTreeMap<String, String>,
    /// The common part of all rows.
    #[serde(default)]
    every: Table,
    #[serde(default)]
    state: Vec<State>,
    #[serde(default)]
    form: Vec<Form>,
    #[serde(default)]
    row: Vec<Table>,
}

#[derive(Clone, Debug, Deserialize)]
struct State {
    id: String,
    source: Option<String>,
    /// The kind of forms that it combines with.
    #[serde(default)]
    forms: String,
    #[serde(default)]
    without: Vec<String>,
    #[serde(flatten)]
    row: Table,
}

#[derive(Clone, Debug, Deserialize)]
struct Form {
    id: String,
    source: Option<String>,
    #[serde(default)]
    kind: String,
    #[serde(flatten)]
    row: Table,
}

impl Source {
    /// The table merged with its template.
    pub(super) fn over(self, mut template: Self) -> Self {
        merge(&mut template.every, self.every);
        template.state.extend(self.state);
        template.form.extend(self.form);
        template.row.extend(self.row);
        Self { without: self.without, with: self.with, ..template }
    }

    /// The rows of the table of this name.
    pub(super) fn rows(mut self, name: &str) -> Result<Vec<Table>, String> {
        let mut rows = Vec::new();
        let lacks = |list: &[String], id: &str| list.iter().any(|lacking| lacking == id);
        for id in &self.without {
            let known = self.state.iter().map(|state| &state.id);
            if !known.chain(self.form.iter().map(|form| &form.id)).any(|known| known == id) {
                return Err(format!("without {id}, but no state or form has this name"));
            }
        }
        for state in self.state.iter().filter(|state| !lacks(&self.without, &state.id)) {
            let of_state = self.form.iter().filter(|form| {
                form.kind == state.forms
                    && !lacks(&self.without, &form.id)
                    && !lacks(&state.without, &form.id)
            });
            let before = rows.len();
            rows.extend(of_state.map(|form| product(name, state, form)));
            if rows.len() == before {
                return Err(format!("{}: no form of the kind {:?}", state.id, state.forms));
            }
        }
        rows.append(&mut self.row);
        self.with.insert("table".to_owned(), name.to_owned());
        for row in &mut rows {
            let mut whole = self.every.clone();
            merge(&mut whole, std::mem::take(row));
            let mut value = Value::Table(whole);
            complete(&mut value, &self.with)?;
            let Value::Table(whole) = value else { unreachable!("it was one") };
            *row = whole;
            drop_empty_turns(row);
        }
        Ok(rows)
    }
}

fn product(table: &str, state: &State, form: &Form) -> Table {
    let (mut row, mut last) = (state.row.clone(), form.row.clone());
    speak_first(&mut row, &mut last);
    if let (Some(Value::Table(mail)), Some(Value::Table(last))) =
        (row.get_mut("mail"), last.get_mut("mail"))
    {
        speak_first(mail, last);
    }
    merge(&mut row, last);
    let sources: Vec<&str> = state.source.iter().chain(&form.source).map(String::as_str).collect();
    row.insert("id".to_owned(), format!("{table}-{}-{}", state.id, form.id).into());
    row.insert("source".to_owned(), format!("{}.", sources.join(": ")).into());
    row
}

/// Puts the state's `said` before the `out` of the form's first turn.
fn speak_first(state: &mut Table, form: &mut Table) {
    let Some(Value::String(mut said)) = state.remove("said") else { return };
    let turns = form.get_mut("turns").and_then(Value::as_array_mut);
    let turn = turns.and_then(|turns| turns.first_mut()).and_then(Value::as_table_mut);
    let turn = turn.expect("a form with a turn");
    said.push_str(turn.get("out").map_or("", |out| out.as_str().expect("a string")));
    turn.insert("out".to_owned(), said.into());
}

/// Appends arrays and merges tables; of any other value the second wins.
fn merge(first: &mut Table, second: Table) {
    for (key, value) in second {
        match (first.get_mut(&key), value) {
            (Some(Value::Array(all)), Value::Array(more)) => all.extend(more),
            (Some(Value::Table(all)), Value::Table(more)) => merge(all, more),
            (_, value) => drop(first.insert(key, value)),
        }
    }
}

/// Replaces `${name}` in each string.
fn complete(value: &mut Value, with: &BTreeMap<String, String>) -> Result<(), String> {
    match value {
        Value::Array(values) => values.iter_mut().try_for_each(|value| complete(value, with)),
        Value::Table(table) => table.iter_mut().try_for_each(|(_, value)| complete(value, with)),
        Value::String(text) => {
            let mut whole = String::new();
            let mut rest = text.as_str();
            while let Some((before, name, after)) =
                rest.split_once("${").and_then(|(before, rest)| {
                    rest.split_once('}').map(|(name, after)| (before, name, after))
                })
            {
                let value =
                    with.get(name).ok_or_else(|| format!("no {name} to put into {text:?}"))?;
                whole.push_str(before);
                whole.push_str(value);
                rest = after;
            }
            whole.push_str(rest);
            *text = whole;
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Whether a turn of a template is empty for a protocol, such as the greeting of a protocol without one.
fn drop_empty_turns(row: &mut Table) {
    let says = |value: &Value| value.as_str() != Some("");
    if let Some(Value::Array(turns)) = row.get_mut("turns") {
        turns.retain(|turn| turn.as_table().is_none_or(|turn| turn.values().any(says)));
    }
}
