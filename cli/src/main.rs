//! `hexad`: the command line.
//!
//! Data goes to stdout, everything else to stderr. An error is one sentence, then a hint.

mod args;
mod fetch;
mod publish;
mod render;
mod serve;
mod signals;
mod torrent;

use std::process::ExitCode;

use clap::Parser as _;
use hexad_api::Problem;

use args::{Arguments, Command};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    start_logging(arguments.verbose);
    let outcome = match arguments.command {
        Command::Fetch(given) => fetch::run(given),
        Command::Publish(given) => publish::run(given),
        Command::Torrent(given) => torrent::run(given.command),
        Command::Serve(given) => serve::run(given.command),
        Command::Demo(given) => hexad_daemon::demo(given.size_mib, &mut std::io::stdout()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            report(&problem);
            ExitCode::FAILURE
        }
    }
}

fn report(problem: &Problem) {
    eprintln!("error: {}", problem.message);
    if let Some(hint) = &problem.hint {
        eprintln!("hint: {hint}");
    }
}

fn start_logging(verbose: u8) {
    let filter = match verbose {
        0 => "error",
        1 => "hexad=info",
        2 => "hexad=debug",
        _ => "hexad=trace",
    };
    // Targets are crate names (`hexad_driver`, `hexad_daemon`); `RUST_LOG` says it more finely.
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| {
        let level = filter.trim_start_matches("hexad=");
        tracing_subscriber::EnvFilter::new(format!("error,hexad_driver={level},hexad_daemon={level},hexad_cli={level}"))
    });
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}
