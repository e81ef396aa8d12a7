//! The JSON document of all tables has what the tables have.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use starttls_tests::accept::Alternative;
use starttls_tests::document::{SCHEMA, document};
use starttls_tests::table::{Row, Turn, names, rows};
use starttls_tests::weight::Level;

fn bytes(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap_or_default();
    text.chars().map(|one| u8::try_from(u32::from(one)).expect("a byte")).collect()
}

fn same_turns(turns: &[Turn], document: &Value, id: &str) {
    let document = document["turns"].as_array().map_or(&[][..], Vec::as_slice);
    assert_eq!(turns.len(), document.len(), "{id}");
    for (turn, read) in turns.iter().zip(document) {
        assert_eq!(
            (&turn.input.0, &turn.out.0),
            (&bytes(&read["in"]), &bytes(&read["out"])),
            "{id}"
        );
    }
}

#[test]
fn the_document_has_all_rows_and_bytes() {
    let document: Value = document().to_string().parse().expect("JSON");
    assert_eq!(document["schema"], SCHEMA);
    let read = document["rows"].as_array().expect("rows");
    let all: Vec<Row> = names().iter().flat_map(|name| rows(name)).collect();
    assert_eq!(read.len(), all.len());
    assert!(all.len() > 6000, "{}", all.len());
    let mut keys = BTreeSet::new();
    for (row, read) in all.iter().zip(read) {
        assert_eq!(read["id"], *row.id);
        assert_eq!(read["level"], row.level.name(), "{}", row.id);
        assert_eq!(read["clause"], *row.clause, "{}", row.id);
        let words: Vec<&str> = row.accept.iter().map(|word| word.name()).collect();
        assert_eq!(read["accept"], json!(words), "{}", row.id);
        assert_eq!(bytes(&read["farewell"]), row.farewell.0, "{}", row.id);
        assert_eq!(bytes(&read["early"]), row.early.0, "{}", row.id);
        assert_eq!(read["end"].as_str(), row.end.as_deref(), "{}", row.id);
        same_turns(&row.turns, read, &row.id);
        if let Some(mail) = &row.mail {
            same_turns(&mail.turns, &read["mail"], &row.id);
        }
        keys.extend(read.as_object().expect("a row").keys());
    }
    // The format page explains each key.
    let page = include_str!("../vectors/README.md");
    for key in keys {
        assert!(page.contains(&format!("`{key}`")), "{key}");
    }
}

fn schema() -> Value {
    serde_json::from_str(include_str!("../vectors/vectors.schema.json")).expect("JSON")
}

#[test]
fn the_document_matches_its_schema() {
    let validator = jsonschema::validator_for(&schema()).expect("a schema");
    let document = document();
    let faults: Vec<String> = validator
        .iter_errors(&document)
        .take(5)
        .map(|fault| format!("{} {fault}", fault.instance_path()))
        .collect();
    assert!(faults.is_empty(), "{faults:#?}");
    // Each fault is found in a document of a single row.
    let mut one = document.clone();
    one["rows"].as_array_mut().expect("rows").truncate(1);
    assert!(validator.is_valid(&one));
    for (place, value) in [
        ("/schema", json!(SCHEMA + 1)),
        ("/rows/0/id", json!("A")),
        ("/rows/0/rules", json!([])),
        ("/rows/0/level", json!("may")),
        ("/rows/0/clause", json!("somebody")),
        ("/rows/0/accept", json!(["close", "close"])),
        ("/rows/0/accept", json!(["upgrade"])),
        ("/rows/0/role", Value::Null),
        ("/rows/0/turns/0/in", json!("\u{100}")),
        ("/rows/0/turns/0", json!({ "put": "" })),
    ] {
        let mut bad = one.clone();
        *bad.pointer_mut(place).expect(place) = value;
        assert!(!validator.is_valid(&bad), "{place}");
    }
}

#[test]
fn the_schema_knows_every_word() {
    let schema = schema();
    let words = |place: &str| schema.pointer(place).expect(place).clone();
    let levels = Level::ALL.iter().rev().map(|level| level.name()).collect::<Vec<_>>();
    assert_eq!(words("/$defs/row/properties/level/enum"), json!(levels));
    let accept = Alternative::ALL.map(Alternative::name);
    assert_eq!(words("/$defs/row/properties/accept/items/enum"), json!(accept));
}
