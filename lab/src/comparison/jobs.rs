//! Which runs a comparison is made of.

use crate::scenario::Scenario;
use crate::sweep::{Job, in_order};

use super::PREFIX;

/// What is to be compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Names of networks; all when empty.
    pub networks: Vec<String>,
    /// The largest number of users; the scenario's own when not given.
    pub nodes: Option<String>,
    /// Numbers of users; a ladder up to `nodes` when empty. Only the largest lives through churn, failures and attacks.
    pub sizes: Vec<String>,
    /// Seeds `1..=seeds`.
    pub seeds: u32,
    /// The first seed in place of 1.
    pub first_seed: u64,
    /// What is set for all of them.
    pub set: Vec<(String, String)>,
}

/// The least number of users of a ladder.
const LEAST: u32 = 100;

impl Plan {
    /// All runs, the costly ones first. The order is the same wherever it is asked for, so that shards fit together.
    ///
    /// # Errors
    /// When a network is not known or a parameter cannot be set.
    pub fn jobs(&self) -> Result<Vec<Job>, String> {
        let all = &crate::scenarios::compare::ALL;
        let short = |scenario: &Scenario| scenario.name.trim_start_matches(PREFIX);
        let mut scenarios: Vec<&'static Scenario> = Vec::new();
        for name in &self.networks {
            let known: Vec<&str> = all.iter().map(|scenario| short(scenario)).collect();
            let found = all.iter().find(|scenario| short(scenario) == name);
            scenarios.push(found.ok_or_else(|| format!("there is no network '{name}'; there is {}", known.join(", ")))?);
        }
        if scenarios.is_empty() {
            scenarios.extend(all);
        }
        let mut jobs = Vec::new();
        for scenario in scenarios {
            let common = self.set.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            let nodes = self.nodes.as_deref().map(|nodes| ("nodes", nodes));
            let base = scenario.params(common.chain(nodes))?;
            let mut sizes = Vec::new();
            for size in &self.sizes {
                sizes.push(scenario.params([("nodes", size.as_str())])?.nodes());
            }
            if sizes.is_empty() {
                sizes = ladder(base.nodes());
            }
            let largest = sizes.iter().copied().max().unwrap_or(0);
            for size in sizes {
                for seed in (self.first_seed.max(1)..).take(self.seeds.max(1) as usize) {
                    let (size_text, seed_text) = (size.to_string(), seed.to_string());
                    let whole = (size < largest).then_some(("whole", "off"));
                    let own = [("nodes", size_text.as_str()), ("seed", seed_text.as_str())];
                    let common = self.set.iter().map(|(name, value)| (name.as_str(), value.as_str()));
                    let params = scenario.params(common.chain(whole).chain(own))?;
                    let name = format!("{}-n{size}-s{seed}", scenario.name.replace('/', "-"));
                    let weight = f64::from(size) * if size < largest { 1.0 } else { 5.0 } * cost(short(scenario));
                    jobs.push(Job { scenario, params, name, weight });
                }
            }
        }
        Ok(in_order(jobs))
    }
}

/// Time that a network takes for each user, compared with others: measured at a hundred thousand users. In this order, two at a time, the two that need most
/// memory, BitTorrent and Freenet, do not meet.
fn cost(network: &str) -> f64 {
    match network {
        "napster" => 0.2,
        "freenet" => 1.5,
        "gnutella" => 1.9,
        "kazaa" => 2.0,
        "chord" => 2.6,
        _ => 3.5,
    }
}

/// Numbers of users, two to a decade, up to the largest.
fn ladder(largest: u32) -> Vec<u32> {
    let mut sizes = vec![largest];
    let mut power = LEAST;
    while power < largest {
        for size in [power, power.saturating_mul(3)] {
            // What is nearly as large as the largest tells nothing more.
            if size <= largest / 2 {
                sizes.push(size);
            }
        }
        power = power.saturating_mul(10);
    }
    sizes.sort_unstable();
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_lead_up_to_the_largest() {
        assert_eq!(ladder(1000), [100, 300, 1000]);
        assert_eq!(ladder(100_000), [100, 300, 1000, 3000, 10_000, 30_000, 100_000]);
        assert_eq!(ladder(50), [50]);
    }

    #[test]
    fn only_the_largest_lives_through_everything() {
        let plan = Plan { networks: vec!["chord".into()], nodes: Some("1000".into()), seeds: 2, ..Plan::default() };
        let jobs = plan.jobs().unwrap();
        assert_eq!(jobs.len(), 6);
        assert!(jobs[0].line().contains("nodes=1000") && jobs[0].line().contains("whole=on"), "{}", jobs[0].line());
        assert!(jobs[5].line().contains("whole=off"));
        assert!(Plan { networks: vec!["zebra".into()], ..plan }.jobs().err().is_some_and(|wrong| wrong.contains("napster")));
    }
}
