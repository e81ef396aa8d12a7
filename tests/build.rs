//! A test for each table of vectors.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=vectors");
    let tables = fs::read_dir("vectors").expect("the folder of the tables");
    let names = tables.map(|table| table.expect("a table").file_name().into_string());
    let mut names: Vec<String> = names
        .filter_map(|name| name.expect("a name").strip_suffix(".toml").map(str::to_owned))
        .collect();
    names.sort();
    let mut tests = String::new();
    for name in names {
        let test = name.replace('-', "_");
        writeln!(tests, "#[test] fn {test}() {{ check_table(\"{name}.toml\"); }}").expect("a test");
    }
    let folder = env::var_os("OUT_DIR").expect("cargo's output folder");
    fs::write(Path::new(&folder).join("tables.rs"), tests).expect("written");
}
