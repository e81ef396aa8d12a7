//! Plays the rows with a driver: `drive [OPTIONS] -- COMMAND [ARGUMENTS]`. `driver/README.md` describes both.

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

use starttls_tests::driver::report::Report;
use starttls_tests::driver::{Played, Process, Verdict, rows};
use starttls_tests::run::Cut;
use starttls_tests::table::names;
use starttls_tests::weight::Level;

const USAGE: &str = "\
Usage: drive [OPTIONS] -- COMMAND [ARGUMENTS]

Plays the rows of tests/vectors with COMMAND, which answers lines of JSON on its standard input with lines on its
standard output.

Options:
  --case PATTERN      only rows whose id matches, with * for any text; may be repeated
  --level LEVEL       only rows of this weight and heavier: must, should, hardening (default), ours
  --cut N             also in pieces of N bytes; may be repeated
  --every-offset      also with each turn cut in two at every offset
  --patience SECONDS  end the driver if an answer takes longer; default 10
  --strict            exit with 1 on any failure, not only on those of the weight must
  --json              print a document

Exit codes: 1 if a row of the weight must failed, with --strict if any did; 2 for a wrong call, a driver that cannot be
started or never answers, or if no row was decided; else 0.
";

struct Options {
    cases: Vec<String>,
    level: Level,
    cuts: Vec<usize>,
    every_offset: bool,
    patience: Duration,
    strict: bool,
    json: bool,
    command: Vec<String>,
}

fn options(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options {
        cases: Vec::new(),
        level: Level::Hardening,
        cuts: Vec::new(),
        every_offset: false,
        patience: Duration::from_secs(10),
        strict: false,
        json: false,
        command: Vec::new(),
    };
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
        let number = |text: String| {
            text.parse()
                .ok()
                .filter(|n| *n > 0)
                .ok_or_else(|| format!("{text} is no number above 0"))
        };
        match &argument[..] {
            "--case" => options.cases.push(value()?),
            "--level" => {
                let name = value()?;
                let level = Level::ALL.into_iter().find(|level| level.name() == name);
                options.level = level.ok_or_else(|| format!("no level: {name}"))?;
            }
            "--cut" => options.cuts.push(number(value()?)?),
            "--every-offset" => options.every_offset = true,
            "--patience" => {
                let seconds = number(value()?)?;
                options.patience = Duration::from_secs(u64::try_from(seconds).unwrap_or(u64::MAX));
            }
            "--strict" => options.strict = true,
            "--json" => options.json = true,
            "--" => options.command = arguments.by_ref().collect(),
            other => return Err(format!("unknown argument: {other}")),
        }
    }
    if options.command.is_empty() {
        return Err("no command of a driver".to_owned());
    }
    Ok(options)
}

/// Whether a text matches a pattern, in which `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(text) = text.strip_prefix(start) else { return false };
    (0..=text.len()).any(|at| text.is_char_boundary(at) && matches(rest, &text[at..]))
}

/// The ways to play a row, with their names; the first is whole, the second byte by byte.
fn cuts(options: &Options, played: &Played) -> Vec<(String, Cut)> {
    let mut cuts =
        vec![("whole".to_owned(), Cut::Whole), ("byte by byte".to_owned(), Cut::Every(1))];
    cuts.extend(options.cuts.iter().map(|n| (format!("in pieces of {n}"), Cut::Every(*n))));
    if options.every_offset {
        let mail = played.row.mail.iter().flat_map(|mail| &mail.turns);
        for (turn, octets) in played.row.turns.iter().chain(mail).enumerate() {
            let offsets = 1..octets.input.0.len();
            cuts.extend(
                offsets.map(|offset| (format!("cut at {offset}"), Cut::Before { turn, offset })),
            );
        }
    }
    cuts
}

fn main() -> ExitCode {
    let options = match options(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            eprint!("{error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let command = options.command.iter().map(Into::into).collect();
    let mut driver = Process::new(command, options.patience);
    let mut report = Report::default();
    let mut count = 0;
    let wanted = |played: &Played| {
        let id = &played.row.id;
        played.row.level >= options.level
            && (options.cases.is_empty() || options.cases.iter().any(|case| matches(case, id)))
    };
    for played in names().iter().flat_map(|table| rows(table)).filter(wanted) {
        let mut decided = ("whole".to_owned(), Verdict::Pass);
        for (name, cut) in cuts(&options, &played) {
            let verdict = played.play(&mut driver, cut);
            let goes_on = matches!(verdict, Verdict::Pass | Verdict::Accepted(_));
            if cut == Cut::Whole || !goes_on {
                decided = (name, verdict);
            }
            if !goes_on {
                break;
            }
        }
        if let Some(why) = driver.is_hopeless() {
            eprintln!("{why}");
            return ExitCode::from(2);
        }
        report.add(&played, &decided.0, decided.1);
        count += 1;
        if std::io::stderr().is_terminal() && count % 100 == 0 {
            eprint!("\r{count} rows");
        }
    }
    if std::io::stderr().is_terminal() && count >= 100 {
        eprintln!("\r{count} rows");
    }
    if count == 0 {
        eprintln!("no row matches; the tables in tests/vectors have the ids");
        return ExitCode::from(2);
    }
    if options.json {
        println!("{:#}", report.document(&options.command));
    } else {
        print!("{}", report.text());
    }
    ExitCode::from(report.exit_code(options.strict))
}
