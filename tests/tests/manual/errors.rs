//! Tables of all errors.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use starttls::{ArgumentError, Error, Kind};
use starttls_std::{Advice, Error as AdapterError};

use starttls_tests::ERRORS;

use crate::generated::assert_section;
use crate::page;
use crate::source::variants;

const COMMON: &str = "adapters/common/src";

/// The name of a variant.
fn name(value: &impl std::fmt::Debug) -> String {
    let text = format!("{value:?}");
    text.split([' ', '(']).next().expect("a name").to_owned()
}

/// The documentation of a variant.
fn meaning(of: &[(String, String)], variant: &str) -> String {
    let found = of.iter().find(|(name, _)| name == variant);
    found.unwrap_or_else(|| panic!("no {variant}")).1.clone()
}

#[test]
fn each_error_of_a_machine() {
    let documented = variants("core/src/error.rs", "Error");
    let listed: BTreeSet<String> = ERRORS.iter().map(name).collect();
    let expected: BTreeSet<String> = documented.iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(listed, expected, "the list of this test and the enum");
    let kinds = variants("core/src/error.rs", "Kind");
    let advice = variants(&format!("{COMMON}/advice.rs"), "Advice");
    let mut table = String::from(
        "| error | what happened | whose decision or fault | what to do | rule |\n|---|---|---|---|---|\n",
    );
    for (variant, doc) in &documented {
        let error = ERRORS.iter().find(|error| name(*error) == *variant).expect("listed");
        let kind = meaning(&kinds, &name(&error.kind()));
        let help = meaning(&advice, &name(&AdapterError::from(*error).advice()));
        writeln!(table, "| `{variant}` | {doc} | {kind} | {help} | {} |", error.rule())
            .expect("a row");
    }
    assert_section(&page("errors"), "errors of machines", &table);
    assert_eq!(Error::NotOffered.kind(), Kind::NotOffered);
}

/// The enums with documentation only: heading, file, name.
const PLAIN: [(&str, &str, &str); 17] = [
    ("`starttls::ArgumentError`: a value cannot be used", "core/src/error.rs", "ArgumentError"),
    (
        "`Error` of `starttls-std`, `starttls-tokio`, `starttls-futures`",
        "adapters/common/src/error.rs",
        "Error",
    ),
    ("`Doing`: the operation that an `Error::Io` names", "adapters/common/src/error.rs", "Doing"),
    ("`Advice`: what to do", "adapters/common/src/advice.rs", "Advice"),
    ("`starttls_rustls::Error`", "adapters/rustls/src/error.rs", "Error"),
    ("`starttls_embedded::Error`", "adapters/embedded/src/error.rs", "Error"),
    (
        "`starttls_embedded::TimedError`: a wait that ended",
        "adapters/embedded/src/clock.rs",
        "TimedError",
    ),
    ("`starttls_embedded::embedded_tls::Error`", "adapters/embedded/src/embedded_tls.rs", "Error"),
    (
        "`starttls_embedded::embedded_tls::Breach`: a record that may not be there",
        "adapters/embedded/src/guard.rs",
        "Breach",
    ),
    (
        "`starttls_embedded::verify::Problem`: a certificate that is not accepted",
        "adapters/embedded/src/verify.rs",
        "Problem",
    ),
    ("`starttls_embedded::rustls::Error`", "adapters/embedded/src/rustls.rs", "Error"),
    ("`starttls_embedded::smoltcp::Error`", "adapters/embedded/src/smoltcp.rs", "Error"),
    (
        "`starttls::mx::Undeliverable`: a domain without a host for mail",
        "core/src/mx/options.rs",
        "Undeliverable",
    ),
    (
        "`starttls_tokio::mx::Problem`: why a host did not accept a mail, in `starttls_tokio::mx::Undelivered`",
        "adapters/tokio/src/mx/outcome.rs",
        "Problem",
    ),
    ("`starttls::postgres::ParameterError`", "core/src/postgres/mode.rs", "ParameterError"),
    (
        "`starttls::mx::sts::Invalid`: an MTA-STS policy that cannot be used",
        "core/src/mx/sts/mod.rs",
        "Invalid",
    ),
    (
        "`starttls::mx::sts::Flaw`: a TXT record that announces no policy",
        "core/src/mx/sts/record.rs",
        "Flaw",
    ),
];

#[test]
fn each_error_of_an_adapter() {
    let mut tables = String::new();
    for (heading, file, name) in PLAIN {
        writeln!(tables, "### {heading}\n\n| | meaning |\n|---|---|").expect("a heading");
        for (variant, doc) in variants(file, name) {
            writeln!(tables, "| `{variant}` | {doc} |").expect("a row");
        }
        tables.push('\n');
    }
    assert_section(&page("errors"), "errors of adapters", &tables);
    assert_eq!(name(&Advice::Encode), "Encode");
    assert_eq!(name(&ArgumentError::Empty), "Empty");
}

/// Every public error of the API listings is on the page.
#[test]
fn every_public_error_is_on_the_page() {
    let text = fs::read_to_string(page("errors")).expect("the page");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("api");
    let mut errors = BTreeSet::new();
    for listing in fs::read_dir(folder).expect("the listings") {
        let listing = fs::read_to_string(listing.expect("a listing").path()).expect("a listing");
        let of = listing.lines().filter(|line| line.starts_with("impl"));
        errors.extend(of.filter_map(|line| {
            let (_, path) = line.split_once(" core::error::Error for ")?;
            Some(path.split(['<', ' ']).next().expect("a path").to_owned())
        }));
    }
    assert!(errors.len() > 10, "{errors:?}");
    for path in errors {
        // The adapters for operating systems export one shared error.
        let shown =
            if path == "starttls_common::Error" { "`Error` of `starttls-std`" } else { &path };
        assert!(text.contains(shown), "errors.md: no {path}");
    }
}
