//! The options of the reports, and the choice of cases.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{Args as Group, ValueHint};
use serde::Serialize;
use starttls_check::{Case, Level};

use super::{Baseline, Judged, badge, baseline, html, json, junit, pattern, sarif, unable};
use crate::files;
use crate::out::{out, tell};
use crate::outcome::{self, Failure};

const CASES: &str = "Cases";
const REPORTS: &str = "Reports";

/// What is run, and how it is reported.
#[derive(Clone, Debug, Group)]
pub(crate) struct Reports {
    /// Run only the cases whose id matches this pattern, repeatable: * stands for any text, ? for any character
    #[arg(long = "case", value_name = "GLOB", help_heading = CASES)]
    cases: Vec<String>,
    /// Run only the cases of at least this weight
    #[arg(long, value_name = "LEVEL", value_parser = level(), help_heading = CASES)]
    level: Option<Level>,
    /// Print the cases instead of running them
    #[arg(long, help_heading = CASES)]
    pub(crate) list: bool,
    /// Expect the findings that this file lists, one on each line: PROTOCOL CASE; # begins a comment
    #[arg(long, value_name = "FILE", help_heading = CASES)]
    baseline: Option<PathBuf>,
    /// Write the findings of this run to this file for --baseline, and exit with 0
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = CASES, conflicts_with = "list")]
    write_baseline: Option<PathBuf>,
    /// Let warnings fail, too
    #[arg(long, help_heading = CASES)]
    pub(super) strict: bool,
    /// Print one JSON document instead of text
    #[arg(long, help_heading = REPORTS)]
    pub(crate) json: bool,
    /// Write a report in the format of JUnit, for CI servers
    #[arg(long, value_name = "FILE", help_heading = REPORTS)]
    junit: Option<PathBuf>,
    /// Write a report in the format SARIF 2.1.0, for code scanning
    #[arg(long, value_name = "FILE", help_heading = REPORTS)]
    sarif: Option<PathBuf>,
    /// Write a report as a page for a browser
    #[arg(long, value_name = "FILE", help_heading = REPORTS)]
    html: Option<PathBuf>,
    /// Write the data of a badge, as shields.io reads them from an endpoint
    #[arg(long, value_name = "FILE", help_heading = REPORTS)]
    badge: Option<PathBuf>,
}

fn level() -> impl clap::builder::TypedValueParser<Value = Level> {
    PossibleValuesParser::new(Level::ALL.map(Level::name)).map(|name| {
        let mut levels = Level::ALL.into_iter();
        // Other names do not get here.
        levels.find(|level| level.name() == name).unwrap_or(Level::Hardening)
    })
}

impl Reports {
    /// The wanted cases among all, in the same order.
    ///
    /// # Errors
    /// If there are none, or a pattern matches none: a run without a test must not pass.
    pub(crate) fn choose(&self, all: &[Case]) -> Result<Vec<Case>, Failure> {
        let none = |what: &str| {
            unable(Failure::local(format!("{what}. --list without --case prints the cases.")))
        };
        for glob in &self.cases {
            if !all.iter().any(|case| pattern::matches(glob, case.id)) {
                return Err(none(&format!("--case {glob}: no case matches")));
            }
        }
        let named = |case: &Case| {
            self.cases.is_empty() || self.cases.iter().any(|glob| pattern::matches(glob, case.id))
        };
        let heavy = |case: &Case| self.level.is_none_or(|level| case.level >= level);
        let chosen: Vec<_> =
            all.iter().filter(|case| named(case) && heavy(case)).copied().collect();
        if chosen.is_empty() {
            return Err(none("no case matches --case and --level"));
        }
        Ok(chosen)
    }

    /// The expected findings. `known` are the cases of both roles.
    ///
    /// # Errors
    /// Those of [`Baseline::read`].
    pub(crate) fn baseline(&self, known: &[Case]) -> Result<Baseline, Failure> {
        let read = |path: &PathBuf| Baseline::read(path, known);
        self.baseline.as_ref().map_or_else(|| Ok(Baseline::default()), read)
    }

    /// Prints the cases.
    pub(crate) fn show(&self, cases: &[Case]) {
        if self.json {
            outcome::print(&Listed { schema: json::SCHEMA, version: json::VERSION, cases });
            return;
        }
        let width = cases.iter().map(|case| case.id.len()).max().unwrap_or_default();
        for case in cases {
            out!("{:width$}  {:9}  {}", case.id, case.level.name(), case.title);
        }
    }

    /// Writes all wanted files; returns the first failure.
    pub(super) fn write(&self, judged: &Judged<'_>) -> Result<(), Failure> {
        type Render = fn(&Judged<'_>) -> String;
        let files: [(_, _, Render); 4] = [
            ("--junit", &self.junit, junit::render),
            ("--sarif", &self.sarif, sarif::render),
            ("--html", &self.html, html::render),
            ("--badge", &self.badge, badge::render),
        ];
        let mut result = Ok(());
        for (option, path, render) in files {
            if let Some(path) = path {
                let written = files::replace(option, path, render(judged).as_bytes());
                result = result.and(written.map_err(|error| unable(error.into())));
            }
        }
        result
    }

    /// Writes the wanted baseline; returns whether there was one to write.
    ///
    /// # Errors
    /// Those of [`baseline::text`], and if the file cannot be written.
    pub(super) fn write_baseline(&self, judged: &Judged<'_>) -> Result<bool, Failure> {
        const OPTION: &str = "--write-baseline";
        let Some(path) = &self.write_baseline else { return Ok(false) };
        let text = baseline::text(judged)
            .map_err(|why| unable(files::unusable(OPTION, path, why, "").into()))?;
        files::replace(OPTION, path, text.as_bytes()).map_err(|error| unable(error.into()))?;
        tell!("wrote {}; --baseline {0} expects these findings", path.display());
        Ok(true)
    }
}

/// The output of `--list --json`.
#[derive(Debug, Serialize)]
struct Listed<'a> {
    schema: &'a str,
    version: u32,
    cases: &'a [Case],
}

#[cfg(test)]
pub(super) mod tests {
    use clap::Parser;

    use super::*;
    use crate::conformance::sample;
    use crate::outcome::NO_RESULT;

    #[derive(Debug, Parser)]
    pub(in crate::conformance) struct Options {
        #[command(flatten)]
        pub(in crate::conformance) reports: Reports,
    }

    fn chosen(arguments: &[&str]) -> Result<Vec<&'static str>, Failure> {
        let options = Options::try_parse_from([&["x"], arguments].concat()).expect("options");
        let chosen = options.reports.choose(&sample::CASES)?;
        Ok(chosen.iter().map(|case| case.id).collect())
    }

    #[test]
    fn patterns_and_levels_choose() {
        let all: Vec<_> = sample::CASES.iter().map(|case| case.id).collect();
        assert_eq!(chosen(&[]).expect("cases"), all);
        assert_eq!(chosen(&["--level", "hardening"]).expect("cases"), all);
        assert_eq!(chosen(&["--level", "should"]).expect("cases"), all[..4]);
        let two = chosen(&["--case", "boundary/*", "--case", "*/split"]).expect("cases");
        assert_eq!(two, ["injection/split", "boundary/forgets", "boundary/plain"]);
        let one = chosen(&["--case", "boundary/*", "--level", "must"]).expect("cases");
        assert_eq!(one, ["boundary/forgets"]);
        for none in [
            &["--case", "injection/*", "--case", "none/*"][..],
            &["--case", "boundary/plain", "--level", "must"],
        ] {
            let failure = chosen(none).expect_err("no case");
            assert_eq!(failure.code, NO_RESULT);
            assert!(failure.message.contains("--list"), "{}", failure.message);
        }
        assert!(Options::try_parse_from(["x", "--level", "may"]).is_err());
    }

    #[test]
    fn every_format_is_written() {
        let place = tempfile::tempdir().expect("a directory");
        let formats = ["junit", "sarif", "html", "badge"];
        let paths = formats.map(|name| place.path().join(name));
        let mut arguments = vec!["x".to_owned()];
        for (format, path) in formats.iter().zip(&paths) {
            arguments.extend([format!("--{format}"), path.to_str().expect("UTF-8").to_owned()]);
        }
        let options = Options::try_parse_from(arguments).expect("options").reports;
        let (report, baseline) = (sample::report(), Baseline::default());
        let judged = Judged { report: &report, baseline: &baseline, strict: false };
        options.write(&judged).expect("written");
        let starts = ["<?xml", "{", "<!DOCTYPE html>", "{\"schemaVersion\""];
        for (path, start) in paths.iter().zip(starts) {
            let text = std::fs::read_to_string(path).expect("a report");
            assert!(text.starts_with(start), "{}: {text}", path.display());
        }
    }
}
