//! Every link of a page has a target, on a forge as well as in rustdoc.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use crate::source::{read, root};

/// The allowed link targets outside this repository: standards, and the documentation of tools and crates. None of these
/// addresses is the project's.
const PLACES: [&str; 6] = [
    "https://docs.rs/",
    "https://github.com/esp-rs/",
    "https://github.com/rustls/rustls",
    "https://keepachangelog.com/",
    "https://probe.rs",
    "https://semver.org/",
];

/// The Markdown files under version control.
fn pages() -> Vec<String> {
    let listed =
        Command::new("git").args(["ls-files", "*.md"]).current_dir(root()).output().expect("git");
    assert!(listed.status.success(), "not a clone");
    let pages: Vec<String> = String::from_utf8(listed.stdout)
        .expect("names in UTF-8")
        .lines()
        .map(str::to_owned)
        .collect();
    assert!(pages.len() > 10, "{pages:?}");
    pages
}

/// A page without its code.
fn prose(text: &str) -> String {
    let mut is_code = false;
    let mut prose = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        } else if !is_code {
            // Text between backticks is not a link.
            let outside = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
            prose += &outside;
            prose.push('\n');
        }
    }
    assert!(!is_code, "code without an end");
    prose
}

/// The targets of the links of a page.
fn targets(prose: &str) -> Vec<String> {
    let inline = prose.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    let inline = inline.map(|(target, _)| target.to_owned());
    let defined = prose.lines().filter_map(|line| {
        let (_, target) = line.strip_prefix('[')?.split_once("]: ")?;
        Some(target.trim().to_owned())
    });
    let images = prose.split("src=\"").skip(1).filter_map(|rest| rest.split_once('"'));
    inline.chain(defined).chain(images.map(|(target, _)| target.to_owned())).collect()
}

/// The anchors of a page's headings, by the rules of forges.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter_map(|line| {
        let heading = line.trim_start_matches('#');
        (line.len() - heading.len() > 0).then(|| heading.trim().to_lowercase())
    });
    headings
        .map(|heading| {
            let kept =
                heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

#[test]
fn every_link_has_a_target() {
    let mut checked = 0;
    let mut dead = Vec::new();
    for page in pages() {
        let text = read(&page);
        let folder = root().join(&page).parent().expect("a folder").to_owned();
        for target in targets(&prose(&text)) {
            checked += 1;
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let is_there = if file.contains("://") {
                // The project's own crates are not there before their first release.
                PLACES.iter().any(|place| file.starts_with(place))
                    && !file.starts_with("https://docs.rs/starttls")
            } else if file.is_empty() {
                anchors(&text).contains(anchor)
            } else if anchor.is_empty() {
                folder.join(file).exists()
            } else {
                let mut path = folder.join(file);
                if path.is_dir() {
                    path = path.join("README.md");
                }
                fs::read_to_string(path).is_ok_and(|text| anchors(&text).contains(anchor))
            };
            if !is_there {
                dead.push(format!("{page}: {target}"));
            }
        }
    }
    assert!(checked > 50, "{checked} links");
    assert!(dead.is_empty(), "dead links: {dead:#?}");
}

/// A label in brackets without a target is a link only in rustdoc; a forge shows the brackets.
#[test]
fn no_link_works_only_in_rustdoc() {
    let mut labels = Vec::new();
    for page in pages() {
        let text = read(&page);
        let defined: BTreeSet<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix('[')?.split_once("]: ").map(|(label, _)| label))
            .collect();
        let mut rest = &prose_with_code_spans(&text)[..];
        while let Some((_, after)) = rest.split_once('[') {
            let Some((label, after)) = after.split_once(']') else { break };
            let has_target = after.starts_with(['(', '[', ':']);
            let is_link = label.starts_with('`') && label.ends_with('`');
            if is_link && !has_target && !defined.contains(label) {
                labels.push(format!("{page}: {label}"));
            }
            if after.starts_with('(')
                && after[1..].split(')').next().is_some_and(|target| target.contains("::"))
            {
                labels.push(format!("{page}: {label}, a path of Rust"));
            }
            rest = after;
        }
    }
    assert!(labels.is_empty(), "{labels:#?}");
}

fn prose_with_code_spans(text: &str) -> String {
    let mut is_code = false;
    let lines = text.lines().filter(|line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A forge shows the lines that rustdoc hides.
#[test]
fn no_code_has_hidden_lines() {
    let mut hidden = Vec::new();
    for page in pages() {
        let text = read(&page);
        let mut language = None;
        for (number, line) in text.lines().enumerate() {
            if let Some(fence) = line.trim_start().strip_prefix("```") {
                language = if language.is_some() { None } else { Some(fence.to_owned()) };
            } else if language.as_deref().is_some_and(|language| !language.starts_with("sh"))
                && (line.starts_with("# ") || line == "#")
            {
                hidden.push(format!("{page}:{}: {line}", number + 1));
            }
        }
    }
    assert!(hidden.is_empty(), "{hidden:#?}");
}

/// What docs.rs shows has no other files beside it. The core's index page has a module for each of its links.
#[test]
fn a_crate_s_page_has_no_links_into_the_repository() {
    let crates = pages().into_iter().filter(|page| {
        let is_crate = page.starts_with("adapters/") && page.ends_with("/README.md");
        is_crate || page == "core/README.md" || page == "core/GRAMMAR.md"
    });
    let mut relative = Vec::new();
    for page in crates {
        for target in targets(&prose(&read(&page))) {
            if !target.contains("://") && !target.starts_with('#') && target != "manual/README.md" {
                relative.push(format!("{page}: {target}"));
            }
        }
    }
    assert!(relative.is_empty(), "{relative:#?}");
}
