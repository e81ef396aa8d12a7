//! The cost of the firmware, for `report`: a table of the boards, stored in the README and compared
//! with it.

mod board;
mod image;
mod part;
mod table;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use board::Board;
use clap::Parser;
use table::Table;

#[derive(Parser)]
#[command(about)]
struct Args {
    /// The project's root.
    #[arg(long)]
    root: PathBuf,
    /// The file with the table.
    #[arg(long)]
    readme: PathBuf,
    /// Write the figures into the table.
    #[arg(long)]
    write: bool,
    /// Fail if a figure is more than 5 % over the table, or exceeds a limit.
    #[arg(long, conflicts_with = "write")]
    check: bool,
    /// Print flash by crate, too.
    #[arg(long)]
    crates: bool,
    /// An image and the log of its runs, as `ELF=LOG`, for each board; only `ELF` for one that does not run.
    #[arg(required = true)]
    boards: Vec<String>,
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    let root = args.root.canonicalize()?;
    let boards = args.boards.iter().map(|board| {
        let (elf, log) =
            board.split_once('=').map_or((&board[..], None), |(elf, log)| (elf, Some(log)));
        Board::read(elf.as_ref(), log.map(str::as_ref), &root)
    });
    let boards = boards.collect::<Result<Vec<_>>>()?;
    if args.crates {
        for board in &boards {
            for ((part, name), octets) in &board.image.crates {
                println!("{:12} {octets:8}  {:40} {name}", board.name, part.name());
            }
        }
    }
    let table = Table::of(&boards);
    print!("{table}");
    let readme =
        fs::read_to_string(&args.readme).with_context(|| args.readme.display().to_string())?;
    let (before, kept, after) = table::find(&readme)?;
    if args.write {
        fs::write(&args.readme, format!("{before}{table}{after}"))?;
    }
    if !args.check {
        return Ok(ExitCode::SUCCESS);
    }
    let mut complaints = table.grown(&Table::parse(kept)?);
    complaints.extend(boards.iter().flat_map(Board::exceeded));
    for complaint in &complaints {
        eprintln!("{complaint}");
    }
    Ok(if complaints.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
