//! Measures the rows of `rows/*.toml`, prints them as one Markdown table, and holds them against their bounds and
//! against the figures that are stored in `figures.toml`.
//!
//! usage: report DIRECTORY [--write | --gates] GROUP...
//!        report DIRECTORY --check
//!        report DIRECTORY --programs GROUP...
//!
//! DIRECTORY is `tests/measure`. A group is a file of rows. `--write` stores the figures and writes the table into
//! README.md; `--gates` measures only the rows that can fail, without the references that are for readers; `--check` only tests that README.md has the table of the stored figures; `--programs` only prints the
//! programs that the rows of the groups run.

mod figures;
mod measure;
mod row;
mod table;

use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use figures::Figures;
use row::Row;

fn run(arguments: &[String]) -> Result<Vec<String>, Box<dyn Error>> {
    let (options, words): (Vec<&String>, Vec<&String>) =
        arguments.iter().partition(|argument| argument.starts_with("--"));
    let [directory, groups @ ..] = &words[..] else { return Err("a directory is missing".into()) };
    let directory = Path::new(directory);
    let groups: Vec<&str> = groups.iter().map(|group| group.as_str()).collect();
    let all = row::read(directory)?;
    let mut figures = Figures::read(directory)?;
    if let Some(unknown) = groups.iter().find(|group| all.iter().all(|row| row.group != **group)) {
        return Err(format!("{unknown} is no group: there is no rows/{unknown}.toml").into());
    }
    let options: Vec<&str> = options.iter().map(|option| option.as_str()).collect();
    let (gates, options) = match &options[..] {
        ["--gates", rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let chosen = all.iter().filter(|row| groups.contains(&row.group.as_str()));
    let chosen: Vec<Row> = match gates {
        true => chosen.filter_map(Row::gate).collect(),
        false => chosen.cloned().collect(),
    };
    match options {
        ["--check"] => return table::check(directory, &all, &figures),
        ["--programs"] => {
            let is_program = |word: &&&str| directory.join(format!("src/bin/{word}.rs")).exists();
            let programs: BTreeSet<&str> = chosen.iter().flat_map(|row| row.words()).collect();
            programs.iter().filter(is_program).for_each(|program| println!("{program}"));
            return Ok(Vec::new());
        }
        [] => {}
        ["--write"] if !gates => {}
        _ => return Err("the options are --write, --gates, --check and --programs".into()),
    }
    let measured = measure::all(directory, &chosen)?;
    print!("{}", table::of(chosen.iter(), &measured));
    let mut faults: Vec<String> = chosen.iter().flat_map(|row| row.faults(&measured)).collect();
    if options.is_empty() {
        faults.extend(chosen.iter().filter_map(|row| figures.rise(row, &measured)));
    } else if faults.is_empty() {
        figures.take(measured);
        figures.keep_only(&all);
        figures.write(directory)?;
        table::write(directory, &all, &figures)?;
    }
    Ok(faults)
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(faults) if faults.is_empty() => ExitCode::SUCCESS,
        Ok(faults) => {
            eprintln!();
            faults.iter().for_each(|fault| eprintln!("{fault}"));
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("report: {error}");
            ExitCode::FAILURE
        }
    }
}
