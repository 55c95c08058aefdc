//! What the lab costs: events per CPU second and bytes per node of a scenario, at several sizes, without the rest of the program.
//!
//! `cargo run --release -p hexad-lab --example speed [SCENARIO] [NODES …] [NAME=VALUE …]`

use hexad_lab::{Silent, find, scenarios::SCENARIOS};

fn main() -> Result<(), String> {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    let is_size = |word: &&String| word.starts_with(|first: char| first.is_ascii_digit());
    let name = asked.iter().find(|word| !is_size(word) && !word.contains('=')).map_or("lab/hops", String::as_str);
    let mut sizes: Vec<&str> = asked.iter().filter(is_size).map(String::as_str).collect();
    if sizes.is_empty() {
        sizes = vec!["10k", "100k", "1M"];
    }
    let scenario = find(SCENARIOS, name)?;
    for nodes in sizes {
        let given = asked.iter().filter_map(|word| word.split_once('=')).chain([("nodes", nodes)]);
        let run = scenario.execute(&scenario.params(given)?, &mut Silent)?;
        println!("{}", run.line);
        for phase in &run.phases {
            println!(
                "  {:<8} {:>10} events {:>8.2} s {:>12.0} events per CPU second",
                phase.name,
                phase.events,
                phase.wall_s,
                phase.events_per_cpu_s()
            );
        }
        for row in run.outcome.tables.iter().flat_map(|table| &table.rows) {
            println!("  {row:?}");
        }
        println!("  peak {} MiB", run.peak_memory_bytes >> 20);
    }
    Ok(())
}
