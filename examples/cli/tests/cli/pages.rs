//! The pages about the command match its behaviour. `UPDATE_PAGES=1` writes them.

use std::fmt::Write as _;
use std::{env, fs};

use crate::common::{starttls, text};
use crate::generated::assert_section;

const COMMANDS: [&str; 6] = ["send", "probe", "connect", "serve", "policy", "queue run"];

fn page(name: &str) -> String {
    format!("{}/../../core/manual/{name}.md", env!("CARGO_MANIFEST_DIR"))
}

fn help(arguments: &[&str]) -> String {
    let output = starttls(&[arguments, &["--help"]].concat(), b"");
    assert!(output.status.success(), "{arguments:?}");
    text(&output.stdout)
}

#[test]
fn exit_codes() {
    let help = help(&[]);
    let (_, codes) = help.split_once("Exit codes:\n").expect("the exit codes");
    let mut table = String::from("| exit code | meaning |\n|---|---|\n");
    for line in codes.lines() {
        let (code, meaning) = line.trim().split_once("  ").expect("a code and its meaning");
        let _: u8 = code.parse().expect("a number");
        writeln!(table, "| {code} | {meaning} |").expect("a row");
    }
    assert_section(&page("errors"), "exit codes", &table);
}

/// Each option with a default, from `--help`.
#[test]
fn options() {
    let mut table = String::from("| command | option | default |\n|---|---|---|\n");
    let mut rows = 0;
    for command in COMMANDS {
        let mut option = String::new();
        for line in help(&command.split(' ').collect::<Vec<_>>()).lines().map(str::trim) {
            // `-h, --help`, or the option alone; in the narrow layout its text follows on the same line.
            if let Some(at) = line.find("--").filter(|at| matches!(at, 0 | 4)) {
                option = line[at..].split("  ").next().unwrap_or_default().to_owned();
            }
            let default = line.split_once("[default: ").and_then(|(_, rest)| rest.split_once(']'));
            if let Some((default, _)) = default {
                writeln!(table, "| `{command}` | `{option}` | {default} |").expect("a row");
                rows += 1;
            }
        }
    }
    assert!(rows > 10, "{rows} defaults");
    assert_section(&page("defaults"), "options", &table);
}

/// The picture on the front page matches the command's drawing, except for parts that vary.
#[test]
fn the_picture_of_the_front_page() {
    let place = tempfile::tempdir().expect("a directory");
    let drawn = place.path().join("ladder.svg");
    let output = starttls(&["send", "--ladder-svg", drawn.to_str().expect("UTF-8")], b"");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let drawn = fs::read_to_string(drawn).expect("a picture");
    let shown = format!("{}/ladder.svg", env!("CARGO_MANIFEST_DIR"));
    let found = fs::read_to_string(&shown).expect("the picture of the front page");
    if env::var_os("UPDATE_PAGES").is_some() {
        fs::write(shown, drawn).expect("the picture can be written");
    } else {
        assert_eq!(words(&found), words(&drawn), "run this test with UPDATE_PAGES=1");
    }
}

/// The texts of a picture without digits and dates: ports, times and ids differ.
fn words(picture: &str) -> Vec<String> {
    let picture = roxmltree::Document::parse(picture).expect("XML");
    let texts = picture.descendants().filter(|node| node.has_tag_name("text"));
    let texts: Vec<String> = texts
        .map(|node| node.descendants().filter_map(|part| part.text()).collect::<String>())
        .map(|words| if words.starts_with("Date:") { "Date:".to_owned() } else { words })
        .map(|words| words.chars().filter(|c| !c.is_ascii_digit()).collect())
        .collect();
    assert!(texts.len() > 20, "{texts:?}");
    texts
}
