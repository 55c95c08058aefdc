//! Development tasks: `cargo xtask test | web | tour | ci | bench | claims | mission`. What CI runs and what a developer runs are the same words; `.ci/run`
//! calls `cargo xtask ci`.

mod bench;
mod ci;
mod claims;
mod foreign;
mod mission;
mod shell;
mod test;
mod tour;
mod web;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Development tasks of Hexad")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run every test, with foreign programs to test against (installs them with apt where it may).
    Test(test::Arguments),
    /// Checks, tests and builds the page in web/, and tries it in Chromium (installs that with apt where it may).
    Web(web::Arguments),
    /// Starts two real nodes and does with their pages in Chromium what people do (installs that with apt where it may).
    Tour(tour::Arguments),
    /// All that CI runs: fmt, clippy with warnings as errors, cargo-deny, web, test.
    Ci(ci::Arguments),
    /// Times the release build beside the programs that people run.
    Bench(bench::Arguments),
    /// Tests what is claimed about networks, in the lab.
    Claims(claims::Arguments),
    /// Prints where each point of the mission's document is in the code, and what shows it; fails where nothing does.
    Mission,
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().task {
        Task::Test(arguments) => test::run(&arguments),
        Task::Web(arguments) => web::run_all(&arguments),
        Task::Tour(arguments) => tour::take(&arguments),
        Task::Ci(arguments) => ci::run_all(&arguments),
        Task::Bench(arguments) => bench::run_bench(&arguments),
        Task::Claims(arguments) => claims::run_claims(&arguments),
        Task::Mission => mission::run(),
    }
}
