//! Prints the rows of one table of vectors with templates expanded (`rows smtp-state`), or of all tables; as one JSON
//! document with `--json`.

use starttls_tests::document::document;
use starttls_tests::table::{expanded, names};
use toml::{Table, Value};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments == ["--json"] {
        println!("{:#}", document());
        return;
    }
    let mut tables: Vec<String> = arguments.into_iter().map(|name| name + ".toml").collect();
    if tables.is_empty() {
        tables = names();
    }
    let rows = tables.iter().flat_map(|name| expanded(name)).map(Value::Table).collect();
    let all = Table::from_iter([("row".to_owned(), Value::Array(rows))]);
    print!("{}", toml::to_string(&all).expect("TOML"));
}
