//! All tables in one JSON document, for runners in any language.

use serde::Deserialize as _;
use serde_json::{Map, Value, json};
use toml::Value as Toml;

use crate::octets::Octets;
use crate::table::{expanded, names};

/// The version of the format. A version may get more keys; any other change increments it.
pub const SCHEMA: u32 = 1;

/// The keys whose values are bytes.
const BYTES: [&str; 9] =
    ["in", "out", "farewell", "early", "message", "nonce", "exporter", "end_point", "salt"];

/// The document: `schema`, the `version` of this project, and `rows` with templates expanded. Bytes are a string with one character, from
/// U+0000 to U+00FF, for each.
#[must_use]
pub fn document() -> Value {
    let rows = names().into_iter().flat_map(|name| expanded(&name));
    let rows: Vec<_> = rows.map(row).collect();
    json!({ "schema": SCHEMA, "version": env!("CARGO_PKG_VERSION"), "rows": rows })
}

/// An expanded row, as in the document.
#[must_use]
pub fn row(row: toml::Table) -> Value {
    value("row", Toml::Table(row))
}

fn value(key: &str, toml: Toml) -> Value {
    match toml {
        bytes if BYTES.contains(&key) => {
            let octets = Octets::deserialize(bytes).expect("bytes in the notation of the tables");
            octets.0.into_iter().map(char::from).collect::<String>().into()
        }
        Toml::Table(table) => {
            let member = |(key, toml): (String, Toml)| {
                let read = value(&key, toml);
                (key, read)
            };
            Value::Object(table.into_iter().map(member).collect::<Map<_, _>>())
        }
        Toml::Array(array) => array.into_iter().map(|element| value("", element)).collect(),
        Toml::String(text) => text.into(),
        Toml::Integer(number) => number.into(),
        Toml::Boolean(flag) => flag.into(),
        other => panic!("{key}: the format has no {}", other.type_str()),
    }
}
