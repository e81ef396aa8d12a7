#![doc = include_str!("../README.md")]
// Standard output and standard error may fail: only `out` writes there.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod addresses;
mod advice;
mod args;
mod backend;
mod backend_offer;
mod bulk;
mod certificate;
mod check;
mod compose;
// The commands that use it are not here yet.
mod conformance;
mod connect;
mod delivery;
mod dial;
mod examples;
mod excerpt;
mod files;
mod forward;
mod greeting;
mod header;
mod hostname;
mod identity;
mod international;
mod ladder;
mod letter;
mod lines;
mod listen;
mod literal;
mod login;
mod mailbox;
mod mbox;
mod message;
mod misfit;
mod mx;
mod out;
mod outcome;
mod picture;
mod policy;
mod probe;
mod queue;
mod rails;
mod record;
mod report;
mod security;
mod send;
mod serve;
mod service;
mod spool;
mod stop;
mod tally;
mod url;
mod values;
mod watch;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Args, Command};
use outcome::Failure;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(usage) => {
            // Help and version are not errors.
            let mistake = usage.use_stderr();
            let _ = usage.print();
            if mistake {
                send::usage(&usage);
                let command = std::env::args_os().nth(1);
                return ExitCode::from(outcome::of_usage(command.as_deref()));
            }
            return ExitCode::SUCCESS;
        }
    };
    advice::running(args.command.name());
    let outcome = match args.command {
        Command::Send(args) => send::run(&args),
        Command::Probe(args) => probe::run(&args),
        Command::Connect(args) => connect::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Policy(args) => policy::run(&args),
        Command::Queue(args) => queue::run(&args),
        Command::Check(args) => check::server(&args),
        Command::TestClient(args) => check::client(&args),
    };
    // The failure counts more than a failure to print it.
    match outcome.and_then(|()| out::result()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { message, code }) => {
            out::tell!("{message}");
            ExitCode::from(code)
        }
    }
}
