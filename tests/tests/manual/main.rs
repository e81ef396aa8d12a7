//! The manual: generated parts are up to date, and every page and link exists.

#[path = "../../../core/src/generated.rs"]
mod generated;

mod defaults;
mod errors;
mod links;
mod pages;
mod source;

/// The path of a page of the manual.
fn page(name: &str) -> String {
    format!("{}/../core/manual/{name}.md", env!("CARGO_MANIFEST_DIR"))
}
