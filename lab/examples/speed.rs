//! What a scenario costs at several sizes: events per CPU second of each phase, memory, and its tables.
//!
//! `cargo run --release -p hexad-lab --example speed [SCENARIO [NODES …]]`

use hexad_lab::{Silent, find, scenarios::SCENARIOS};

fn main() -> Result<(), String> {
    let mut asked = std::env::args().skip(1);
    let scenario = find(SCENARIOS, &asked.next().unwrap_or_else(|| "lab/hops".into()))?;
    let sizes: Vec<String> = asked.collect();
    let sizes = if sizes.is_empty() { vec!["10k".to_owned(), "100k".into(), "1M".into()] } else { sizes };
    for nodes in sizes {
        let run = scenario.execute(&scenario.params([("nodes", nodes.as_str())])?, &mut Silent)?;
        println!("{}", run.line);
        for phase in &run.phases {
            println!(
                "  {:<24} {:>10} events {:>8.2} s {:>8.2} CPU s {:>12.0} events per CPU second",
                phase.name,
                phase.events,
                phase.wall_s,
                phase.cpu_s,
                phase.events_per_cpu_s()
            );
        }
        println!("  {} MiB at most, {} before", run.peak_memory_bytes >> 20, run.memory_before_bytes >> 20);
        for row in run.outcome.tables.iter().flat_map(|table| &table.rows) {
            println!("  {row:?}");
        }
    }
    Ok(())
}
