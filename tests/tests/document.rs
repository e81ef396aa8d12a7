//! The JSON document of all tables has what the tables have.

use std::collections::BTreeSet;

use serde_json::Value;
use starttls_tests::document::{SCHEMA, document};
use starttls_tests::table::{Row, Turn, names, rows};

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
