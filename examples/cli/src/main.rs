#![doc = include_str!("../README.md")]

mod args;
mod backend;
mod bulk;
mod certificate;
mod compose;
mod connect;
mod dial;
mod excerpt;
mod forward;
mod greeting;
mod identity;
mod ladder;
mod mailbox;
mod mx;
mod out;
mod outcome;
mod picture;
mod policy;
mod probe;
mod security;
mod send;
mod serve;
mod url;
mod watch;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Args, Command};
use outcome::Failure;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(usage) => {
            // Help and version are no mistakes.
            let mistake = usage.use_stderr();
            let _ = usage.print();
            return if mistake { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    let outcome = match args.command {
        Command::Send(args) => send::run(&args),
        Command::Probe(args) => probe::run(&args),
        Command::Connect(args) => connect::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Policy(args) => policy::run(&args),
    };
    // What failed comes before what could not be printed about it.
    match outcome.and_then(|()| out::result()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { message, code }) => {
            anstream::eprintln!("starttls: {message}");
            ExitCode::from(code)
        }
    }
}
