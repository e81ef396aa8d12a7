//! Selects the memory layout.

use std::path::Path;

fn main() {
    let variable = |name| std::env::var(name).expect("cargo sets it");
    let name = format!("{}.x", variable("CARGO_CFG_TARGET_ARCH"));
    println!("cargo:rerun-if-changed={name}");
    let directory = variable("OUT_DIR");
    std::fs::copy(&name, Path::new(&directory).join("memory.x")).expect("memory.x can be written");
    println!("cargo:rustc-link-search={directory}");
}
