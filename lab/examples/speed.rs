//! What the lab itself costs: events per CPU second and bytes per node of a toy network, at several sizes.
//!
//! `cargo run --release -p hexad-lab --example speed [NODES …]`

use hexad_lab::{Silent, scenarios::toy};

fn main() -> Result<(), String> {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    let sizes = if asked.is_empty() { vec!["10k".to_owned(), "100k".into(), "1M".into()] } else { asked };
    for nodes in sizes {
        let run = toy::HOPS.execute(&toy::HOPS.params([("nodes", nodes.as_str())])?, &mut Silent)?;
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
    }
    Ok(())
}
