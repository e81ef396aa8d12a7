//! A report as one page: no scripts, and nothing that a browser loads.
//!
//! The page is XML, too. Its filters are boxes that a style rule reads; a browser without `:has()` shows every case.

use std::fmt::Write as _;

use starttls_check::{Exchange, Outcome, Verdict};

use super::markup::inline;
use super::{Judged, drawing, source, text};
use crate::picture;

const STYLE: &str = include_str!("html.css");

/// The class of expected findings, beside the verdicts' names.
const EXPECTED: &str = "expected";

/// The page.
pub(super) fn render(judged: &Judged<'_>) -> String {
    let report = judged.report;
    let classes: Vec<_> =
        Verdict::ALL.iter().map(|verdict| verdict.name()).chain([EXPECTED]).collect();
    let outcomes = || report.outcomes.iter();
    let present = |name: &&str| outcomes().any(|one| class(judged, one) == *name);
    let classes: Vec<&str> = classes.into_iter().filter(present).collect();
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\" xmlns=\"http://www.w3.org/1999/xhtml\">\n<head>\n\
         <meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <title>{title}</title>\n<style>\n{STYLE}{filters}{}\n</style>\n</head>\n<body>\n\
         <h1>STARTTLS conformance</h1>\n<p class=\"subject\">{title}</p>\n\
         <p class=\"totals\">{totals}</p>\n",
        picture::STYLE,
        title = inline(&text::title(report)),
        totals = judged.totals(),
        filters = classes.iter().map(|name| rule(name)).collect::<String>(),
    );
    page += "<div class=\"filters\">\n";
    for name in classes {
        let count = outcomes().filter(|one| class(judged, one) == name).count();
        let _ = writeln!(
            page,
            "<label><input type=\"checkbox\" id=\"show-{name}\" checked=\"checked\"/> {name} ({count})</label>"
        );
    }
    page += "</div>\n";
    for (name, outcomes) in judged.groups() {
        let _ = writeln!(
            page,
            "<details class=\"group\" open=\"open\">\n<summary><h2>{}</h2></summary>",
            inline(name)
        );
        for outcome in outcomes {
            page += &case(judged, outcome);
        }
        page += "</details>\n";
    }
    if !report.control.is_empty() {
        page += "<details class=\"group\">\n<summary><h2>control</h2></summary>\n\
                 <p>The same dialogue without an attack.</p>\n";
        page += &ladder("control", &report.control);
        page += "</details>\n";
    }
    page + "</body>\n</html>\n"
}

/// The rule that hides the cases of a class whose box is empty.
fn rule(name: &str) -> String {
    format!("body:has(#show-{name}:not(:checked)) .of-{name}{{display:none}}\n")
}

fn class(judged: &Judged<'_>, outcome: &Outcome) -> &'static str {
    if judged.is_expected(outcome) { EXPECTED } else { outcome.verdict.name() }
}

fn case(judged: &Judged<'_>, outcome: &Outcome) -> String {
    let (case, class) = (&outcome.case, class(judged, outcome));
    let verdict = match class {
        EXPECTED => format!("{}, expected", outcome.verdict.name()),
        verdict => verdict.to_owned(),
    };
    // What counts is open.
    let open = if judged.counts(outcome) { " open=\"open\"" } else { "" };
    let cited = inline(&source::citation(case.clause));
    let cited = match source::address(case.clause) {
        Some(address) => format!("<a href=\"{}\" rel=\"noreferrer\">{cited}</a>", inline(&address)),
        None => cited,
    };
    let mut part = format!(
        "<details class=\"case of-{class}\"{open}>\n\
         <summary><span class=\"verdict\">{verdict}</span>{} <code>{}</code></summary>\n<dl>\n",
        inline(case.title),
        inline(case.id)
    );
    for (name, value) in [
        ("Seen", inline(&outcome.reason)),
        ("Demand", format!("{} ({cited})", inline(case.demand))),
        ("Remedy", inline(case.remedy)),
        ("Weight", case.level.name().to_owned()),
        ("Time", format!("{:.3} s", outcome.took.as_secs_f64())),
    ] {
        let _ = writeln!(part, "<dt>{name}</dt><dd>{value}</dd>");
    }
    part += "</dl>\n";
    part += &ladder(case.id, &outcome.exchanges);
    part + "</details>\n"
}

/// A picture that a narrow screen scrolls.
fn ladder(title: &str, exchanges: &[Exchange]) -> String {
    if exchanges.is_empty() {
        return String::new();
    }
    let picture = drawing::picture(title, exchanges).draw_inline();
    format!("<div class=\"ladder\">\n{picture}</div>\n")
}

#[cfg(test)]
mod tests {
    use roxmltree::{Document, ParsingOptions};

    use super::*;
    use crate::conformance::{Baseline, sample};
    use crate::excerpt::visible;

    fn check(baseline: &Baseline, then: impl Fn(&Document<'_>, &str)) {
        let report = sample::report();
        let page = render(&Judged { report: &report, baseline, strict: false });
        let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
        let document = Document::parse_with_options(&page, options);
        then(&document.unwrap_or_else(|error| panic!("{error}: {page}")), &page);
    }

    #[test]
    fn nothing_is_loaded_or_run() {
        check(&Baseline::default(), |document, page| {
            for node in document.descendants().filter(|node| node.is_element()) {
                let name = node.tag_name().name();
                let loads = ["script", "link", "img", "image", "iframe", "object", "embed", "use"];
                assert!(!loads.contains(&name), "{name}");
                for attribute in node.attributes() {
                    let key = attribute.name();
                    let bad = key.starts_with("on") || key == "src" || key == "style";
                    assert!(!bad, "{name} {key}");
                    // A link is followed only by the reader.
                    assert!(key != "href" || name == "a", "{name} {key}");
                }
            }
            assert!(!page.contains("@import") && !page.contains("url("));
        });
    }

    #[test]
    fn each_case_has_its_text_and_its_ladder() {
        check(&Baseline::default(), |document, page| {
            let cases: Vec<_> = document
                .descendants()
                .filter(|node| {
                    node.attribute("class").is_some_and(|class| class.starts_with("case"))
                })
                .collect();
            let report = sample::report();
            assert_eq!(cases.len(), report.outcomes.len());
            for (node, outcome) in cases.iter().zip(&report.outcomes) {
                let texts = node.descendants().filter(|node| node.is_text());
                let text: String = texts.filter_map(|node| node.text()).collect();
                for part in [outcome.case.title, outcome.case.id, &visible(&outcome.reason)] {
                    assert!(text.contains(part), "{part}: {text}");
                }
                let drawn = node.descendants().any(|node| node.has_tag_name("svg"));
                let drawn = drawn || node.descendants().any(|node| node.tag_name().name() == "svg");
                assert_eq!(drawn, !outcome.exchanges.is_empty(), "{}", outcome.case.id);
                assert_eq!(node.attribute("open").is_some(), outcome.verdict == Verdict::Fail);
            }
            // The style of the pictures stands in the page once.
            assert_eq!(page.matches(picture::STYLE).count(), 1);
            assert!(page.contains("The same dialogue without an attack."));
        });
    }

    #[test]
    fn each_present_verdict_has_a_filter() {
        check(&sample::baseline("smtp injection/same-segment\n"), |document, page| {
            let boxes: Vec<_> =
                document.descendants().filter_map(|node| node.attribute("id")).collect();
            let shown = ["warning", "inconclusive", "skipped", "pass", "expected"];
            assert_eq!(boxes, shown.map(|name| format!("show-{name}")));
            for name in shown {
                assert!(page.contains(&rule(name)), "{name}");
                assert!(page.contains(&format!("class=\"case of-{name}\"")), "{name}");
                // A class without a colour would look like a mistake.
                assert!(STYLE.contains(&format!(".of-{name}{{")), "{name}");
            }
        });
    }
}
