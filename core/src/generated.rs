//! Sections of pages that are generated from the code. A test fails where the page is out of date, or writes the
//! section if `UPDATE_PAGES` is set. The tests of other crates use this file by its path.

use std::sync::{Mutex, PoisonError};
use std::{env, format, fs};

/// Checks that the page has a section of this name with this text.
///
/// # Panics
///
/// If it has not.
pub(crate) fn assert_section(page: &str, section: &str, text: &str) {
    // Tests of one process write to one page.
    static PAGE: Mutex<()> = Mutex::new(());
    let _only = PAGE.lock().unwrap_or_else(PoisonError::into_inner);
    let whole = fs::read_to_string(page).expect("the page");
    let marker = format!("<!-- {section}: generated, see CONTRIBUTING.md -->\n");
    let (before, rest) = whole.split_once(&marker).expect("the section's first line");
    let (found, after) = rest.split_once("<!-- end -->").expect("the section's last line");
    if env::var_os("UPDATE_PAGES").is_some() {
        let updated = format!("{before}{marker}{text}<!-- end -->{after}");
        fs::write(page, updated).expect("the page can be written");
    } else {
        assert_eq!(found, text, "{page} is out of date: run this test with UPDATE_PAGES=1");
    }
}
