//! Every row of every table.

use starttls::Roles as _;
use starttls_tests::check::check_table;
use starttls_tests::table::names;

include!(concat!(env!("OUT_DIR"), "/tables.rs"));

macro_rules! modules {
    ([] $($module:ident::$Type:ident,)*) => {
        [$((stringify!($module), starttls::$module::$Type::PROTOCOL.name)),*]
    };
}

#[test]
fn every_protocol_has_its_tables() {
    for (module, protocol) in starttls::for_each_protocol!(modules []) {
        for part in ["client", "server", "state"] {
            let table = format!("{module}-{part}.toml");
            assert!(names().contains(&table), "{protocol}: no {table}");
        }
    }
}
