//! `hexad`: the command line.
//!
//! Data goes to stdout, everything else to stderr. An error is one sentence, then a hint.

mod args;
mod bittorrent;
mod by_node;
mod chord;
mod config;
mod demo;
mod downloads;
mod fetch;
mod follow;
mod freenet;
mod how;
mod join;
mod lab;
mod library;
mod napster;
mod networks;
mod node;
mod out;
mod player;
mod publish;
mod render;
mod search;
mod serve;
mod shell;
mod signals;
mod status;
mod stream;
mod top;
mod torrent;
mod up;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::Parser as _;
use hexad_api::Problem;
use tracing_subscriber::EnvFilter;

use args::{Arguments, Command};

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(wrong) => return misread(&wrong),
    };
    let logs = start_logging(arguments.verbose);
    let outcome = match arguments.command {
        Command::Up(given) => up::run(given),
        Command::Status(given) => status::status(&given),
        Command::Networks(given) => status::networks(&given),
        Command::Library(given) => library::run(&given),
        Command::Downloads(given) => downloads::run(&given),
        Command::Top(given) => top::run(&given),
        Command::Config(given) => config::run(given.command),
        Command::Completions(given) => shell::completions(&given),
        Command::Man(given) => shell::man(&given),
        Command::Join(given) => join::run(given.command, logs),
        Command::Publish(given) => publish::run(given, logs),
        Command::Search(given) => search::run(given, logs),
        Command::Fetch(given) => fetch::run(given, logs),
        Command::Stream(given) => stream::run(given, logs),
        Command::Torrent(given) => torrent::run(given.command),
        Command::Bittorrent(given) => bittorrent::run(given.command, logs),
        Command::Chord(given) => chord::run(given.command, logs),
        Command::Napster(given) => napster::run(given.command, logs),
        Command::Freenet(given) => freenet::run(given.command),
        Command::Serve(given) => serve::run(given.command, logs),
        Command::Lab(given) => lab::run(given.command),
        Command::Demo(given) => demo::run(&given),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            report(&problem);
            ExitCode::FAILURE
        }
    }
}

/// What was typed cannot be read, or asks for help.
fn misread(wrong: &clap::Error) -> ExitCode {
    if !wrong.use_stderr() {
        // Somebody who closes stdout wants no help.
        let _ = wrong.print();
        return ExitCode::SUCCESS;
    }
    if wrong.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = wrong.print();
    } else {
        report(&args::problem_of(wrong));
    }
    ExitCode::from(2)
}

fn report(problem: &Problem) {
    eprintln!("error: {}", out::tame(&problem.message));
    if let Some(hint) = &problem.hint {
        eprintln!("hint: {}", out::tame(hint));
    }
}

/// Lets log lines run over stderr: errors, and what `-v` or `RUST_LOG` ask for. Returns whether more than errors may come.
fn start_logging(verbose: u8) -> bool {
    let named = EnvFilter::try_from_default_env();
    let talkative = verbose > 0 || named.is_ok();
    let level = match verbose {
        0 => "error",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    // Other crates are heard through RUST_LOG only.
    let ours = ["hexad", "hexad_daemon", "hexad_driver", "hexad_library", "hexad_transfer"].map(|crate_| format!(",{crate_}={level}"));
    let filter = named.unwrap_or_else(|_| EnvFilter::new(format!("error{}", ours.concat())));
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|off| off.is_empty());
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr).init();
    talkative
}
