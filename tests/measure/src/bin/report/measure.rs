//! Runs the programs of rows.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::thread;

use crate::figures::Figures;
use crate::row::{Row, Run};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// A command and, where callgrind counts it, the number of repetitions.
type Job<'r> = (&'r str, Option<u32>);

/// The figures of all rows. Counted programs run beside each other; the others, which may measure time or memory,
/// run alone.
pub(crate) fn all(directory: &Path, rows: &[Row]) -> Result<Figures, Box<dyn Error>> {
    let mut counted: Vec<Job<'_>> = Vec::new();
    let mut others: Vec<Job<'_>> = Vec::new();
    for row in rows {
        for (_, run) in row.runs() {
            let jobs = if row.counted { &mut counted } else { &mut others };
            for command in std::iter::once(run.command()).chain(run.less()) {
                let job = (command, row.counted.then_some(row.repetitions));
                if !jobs.contains(&job) {
                    jobs.push(job);
                }
            }
        }
    }
    let printed = Mutex::new(BTreeMap::new());
    let (sum, failed) = (counted.len() + others.len(), Mutex::new(Vec::new()));
    let work = |job: Job<'_>| match one(directory, job) {
        Ok(figures) => {
            let mut printed = printed.lock().unwrap_or_else(|e| e.into_inner());
            printed.insert((job.0.to_owned(), job.1), figures);
            eprintln!("{:3} of {sum}: {}", printed.len(), job.0);
        }
        Err(error) => {
            let mut failed = failed.lock().unwrap_or_else(|e| e.into_inner());
            failed.push(format!("{}: {error}", job.0));
        }
    };
    let queue = Mutex::new(counted);
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let job = queue.lock().unwrap_or_else(|e| e.into_inner()).pop();
                    let Some(job) = job else { return };
                    work(job);
                }
            });
        }
    });
    others.into_iter().for_each(work);
    let failed = failed.into_inner().unwrap_or_else(|e| e.into_inner());
    if !failed.is_empty() {
        return Err(failed.join("\n").into());
    }
    let printed = printed.into_inner().unwrap_or_else(|e| e.into_inner());
    let figure = |row: &Row, run: &Run| -> Option<f64> {
        let of = |command: &str, column: usize| {
            let key = (command.to_owned(), row.counted.then_some(row.repetitions));
            printed.get(&key)?.get(column).copied()
        };
        let less = run.less().map_or(Some(0.0), |command| of(command, 0))?;
        Some(of(run.command(), run.column())? - less)
    };
    let mut figures = Figures::default();
    for row in rows {
        for (name, run) in row.runs() {
            let Some(value) = figure(row, run) else {
                return Err(format!("{} prints no figure {}", run.command(), run.column()).into());
            };
            figures.insert(row, name, value);
        }
    }
    Ok(figures)
}

/// Runs one command and returns its figures.
fn one(directory: &Path, (command, repetitions): Job<'_>) -> Outcome<Vec<f64>> {
    let mut words = command.split_whitespace();
    let program = words.next().ok_or("an empty command")?;
    let arguments: Vec<&str> = words.collect();
    // A script beside the rows, or a program beside this one.
    let script = directory.join(program);
    let built = std::env::current_exe()?.with_file_name(program);
    let program = if script.is_file() { script } else { built };
    let Some(repetitions) = repetitions else {
        let output = Command::new(&program).args(arguments).output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            return Err(format!("{}{}", text, String::from_utf8_lossy(&output.stderr)).into());
        }
        return Ok(text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?);
    };
    // The difference of two runs excludes the program's start.
    let start = repetitions.div_ceil(10);
    let few = collected(&program, &arguments, start)?;
    let many = collected(&program, &arguments, start + repetitions)?;
    #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
    let each = many.saturating_sub(few) as f64 / f64::from(repetitions);
    Ok(vec![each.round()])
}

/// The instructions of a whole run, counted by callgrind.
fn collected(program: &Path, arguments: &[&str], repetitions: u32) -> Outcome<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args(arguments)
        .arg(repetitions.to_string())
        .output()
        .map_err(|e| format!("valgrind: {e}"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("failed: {text}").into());
    }
    let collected = text.lines().find_map(|line| line.split_once("Collected : "));
    Ok(collected.ok_or("callgrind counted nothing")?.1.trim().parse()?)
}
