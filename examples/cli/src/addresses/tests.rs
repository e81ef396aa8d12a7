use std::collections::BTreeSet;

use mail_parser::MessageParser;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::json;

use super::*;

fn usable(field: &str) -> Vec<String> {
    let found = Addresses::read(field);
    assert_eq!(found.unusable, [], "{field:?}");
    found.usable
}

#[test]
fn every_form_of_the_standard() {
    for (field, expected) in [
        ("", &[][..]),
        (" , ,(nobody)", &[]),
        ("a@b", &["a@b"]),
        ("b@example.org, c@[IPv6:2001:db8::1]", &["b@example.org", "c@[IPv6:2001:db8::1]"]),
        ("a@[ 192.0.2.1 ]", &["a@[192.0.2.1]"]),
        ("\"a b\"@example.org", &["\"a b\"@example.org"]),
        ("\"a\"@b, \"a.\".b@c, a . \"b\" . c @ d . e", &["a@b", "\"a..b\"@c", "a.b.c@d.e"]),
        (r#""a\"\\,<b>"@c"#, &[r#""a\"\\,<b>"@c"#]),
        ("<@x,@y:b@z>", &["b@z"]),
        ("A (c) <(c) @x , , @y (:) : b (c) @ z>(c)", &["b@z"]),
        ("A. B. \"C, D\" <a@b>,,<c@d>", &["a@b", "c@d"]),
        ("list: a@b, C <c@d>; , e@f, nobody:;, more: g@h", &["a@b", "c@d", "e@f", "g@h"]),
        ("=?utf-8?q?a=2Cb=40c?= <a@b>", &["a@b"]),
        ("a@b (c@d, e@f (g@h) \\) i@j)", &["a@b"]),
        ("\"c@d\" <a@b>, a@b <a@b>", &["a@b", "a@b"]),
        ("J\u{fc}rgen <j\u{fc}rgen@b\u{fc}cher.example>", &["j\u{fc}rgen@b\u{fc}cher.example"]),
        ("a@b\u{fc}cher.example", &["a@xn--bcher-kva.example"]),
    ] {
        assert_eq!(usable(field), expected, "{field:?}");
    }
}

#[test]
fn unusable_entries_are_named() {
    for (field, named, also) in [
        ("root, b@example.org", &["root"][..], &["b@example.org"][..]),
        ("a@b c@d, e@f", &["a@b c@d"], &["e@f"]),
        ("=?utf-8?q?a=40b?=, c@d", &["=?utf-8?q?a=40b?="], &["c@d"]),
        ("=?utf-8?q?a?=@b", &["=?utf-8?q?a?=@b"], &[]),
        ("a@b <c@d>", &["a@b <c@d>"], &[]),
        ("a@b; c@d", &["a@b"], &["c@d"]),
        ("x: y: a@b;", &["y"], &["a@b"]),
        ("<a@b>: c@d", &["<a@b>"], &["c@d"]),
        ("<>", &["<>"], &[]),
        ("a@b <", &["a@b <"], &[]),
        ("\"a@b, c@d", &["\"a@b, c@d"], &[]),
        ("(a@b, c@d", &["(a@b, c@d"], &[]),
        ("a@b)", &["a@b)"], &[]),
        ("a@b.", &["a@b."], &[]),
        ("a..b@c", &["a..b@c"], &[]),
        ("a@[b\\]c]", &["a@[b\\]c]"], &[]),
        ("\"a\r\"@b", &["\"a\r\"@b"], &[]),
        ("a@b\rBcc: c@d", &["a@b\rBcc"], &["c@d"]),
        ("a\u{760d}b@c", &[], &["a\u{760d}b@c"]),
        ("a\u{fffd}@b, \u{fffd} <c@d>", &["a\u{fffd}@b"], &["c@d"]),
        ("a@b\u{fc}..c", &["a@b\u{fc}..c"], &[]),
    ] {
        let found = Addresses::read(field);
        let texts: Vec<_> = found.unusable.iter().map(|unusable| &unusable.text[..]).collect();
        assert_eq!(texts, named, "{field:?}");
        assert_eq!(found.usable, also, "{field:?}");
    }
}

#[test]
fn endless_parentheses_use_no_stack() {
    let deep = format!("{}a@b", "(".repeat(1 << 20));
    assert_eq!(Addresses::read(&deep).unusable.len(), 1);
}

/// An address in the form of a header, and in the form of an envelope.
fn address() -> impl Strategy<Value = (String, String)> {
    let local = prop_oneof![
        "[a-z!#$%&'*+/=?^_`{|}~-]{1,5}(\\.[a-z]{1,3}){0,2}",
        "\"[a-z ,:;<>@()\\[\\].]{0,6}[ ,]\"",
    ];
    let domain = prop_oneof![
        "[a-z]{1,5}(\\.[a-z]{1,3}){0,2}",
        Just("[192.0.2.1]".to_owned()),
        Just("[IPv6:2001:db8::1]".to_owned()),
    ];
    (local, domain).prop_filter_map("no encoded word", |(local, domain)| {
        let address = format!("{local}@{domain}");
        (!local.contains("=?")).then(|| (address.clone(), address))
    })
}

/// A mailbox, with a name, a comment or a route.
fn written() -> impl Strategy<Value = (String, String)> {
    (address(), 0..7).prop_map(|((text, address), form)| {
        let text = match form {
            0 => text,
            1 => format!("<{text}>"),
            2 => format!("Some One <{text}>"),
            3 => format!("\"One, \\\"Some\\\"\" <{text}>"),
            4 => format!("=?utf-8?q?J=C3=BCrgen=2C?= <{text}>"),
            5 => format!("{text} (a comment)"),
            _ => format!("J. R. <{text}> (one)"),
        };
        (text, address)
    })
}

/// A field in the form of the standard, and its addresses.
fn field() -> impl Strategy<Value = (String, Vec<String>)> {
    let group = (prop::collection::vec(written(), 0..3), any::<bool>());
    prop::collection::vec(group, 0..4).prop_map(|groups| {
        let mut named = Vec::new();
        let elements = groups.into_iter().filter(|(list, named)| *named || !list.is_empty());
        let texts = elements.map(|(list, in_group)| {
            let (texts, addresses): (Vec<_>, Vec<_>) = list.into_iter().unzip();
            named.extend(addresses);
            let list = texts.join(", ");
            if in_group { format!("Some people: {list};") } else { list }
        });
        let text = texts.collect::<Vec<_>>().join(",\r\n ");
        (text, named)
    })
}

/// Arbitrary text of significant tokens.
fn anything() -> impl Strategy<Value = String> {
    let token = prop::sample::select(vec![
        "a",
        "b@c",
        "d@e.f",
        "@",
        ",",
        ":",
        ";",
        "<",
        ">",
        "\"",
        "\\",
        "(",
        ")",
        "[",
        "]",
        ".",
        " ",
        "\t",
        "=?utf-8?q?a=40b?=",
        "\r\n ",
        "[192.0.2.1]",
        "\"g h\"",
        "<i@j>",
    ]);
    prop::collection::vec(token, 0..12).prop_map(|tokens| tokens.concat())
}

fn unfolded(field: &str) -> String {
    field.replace("\r\n", "")
}

/// The valid addresses that mail-parser finds.
fn by_mail_parser(field: &str) -> BTreeSet<String> {
    let message = format!("To: {field}\r\n\r\n");
    let parsed = MessageParser::new().with_address_headers().parse_headers(&message);
    let list = parsed.as_ref().and_then(|message| message.to());
    let addresses = list.into_iter().flat_map(|list| list.iter());
    addresses.filter_map(|one| grammar::mailbox(one.address()?).ok()).collect()
}

proptest! {
    #[test]
    fn what_was_written_is_read((field, named) in field()) {
        prop_assert_eq!(usable(&unfolded(&field)), named);
    }

    /// If our parser refuses nothing, it finds everything that mail-parser finds.
    #[test]
    fn nothing_is_missed_that_mail_parser_finds(field in anything()) {
        let ours = Addresses::read(&unfolded(&field));
        if ours.unusable.is_empty() {
            let ours: BTreeSet<_> = ours.usable.into_iter().collect();
            let theirs = by_mail_parser(&unfolded(&field));
            prop_assert!(theirs.is_subset(&ours), "{theirs:?} {ours:?}");
        }
    }
}

/// Python's `email.utils.getaddresses`, a second independent parser.
#[test]
#[ignore = "needs Python; `tests/interop/run` runs it"]
fn every_address_that_python_finds_is_found() {
    let mut runner = TestRunner::deterministic();
    let mut cases = Vec::new();
    for _ in 0..5000 {
        let (text, named) = field().new_tree(&mut runner).expect("a field").current();
        let text = unfolded(&text);
        cases.push(json!({ "field": text, "usable": named, "unusable": [], "valid": true }));
        let text = unfolded(&anything().new_tree(&mut runner).expect("a field").current());
        let found = Addresses::read(&text);
        let unusable: Vec<_> = found.unusable.iter().map(|unusable| &unusable.text).collect();
        cases.push(
            json!({ "field": text, "usable": found.usable, "unusable": unusable, "valid": false }),
        );
    }
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("cases.json");
    serde_json::to_writer(std::fs::File::create(&path).expect("a file"), &cases).expect("written");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/interop/addresses.py");
    let output =
        std::process::Command::new("python3").arg(script).arg(&path).output().expect("python3");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "10000 compared");
}
