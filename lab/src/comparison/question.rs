//! A question of somebody's own: a small TOML file that says in which world which networks are to be measured, and what is to be shown.

use serde::Deserialize;

use super::Comparison;
use super::jobs::Plan;
use crate::outcome::Table;

/// Examples, which are run small by the tests: their names, and what stands in them.
pub const EXAMPLES: [(&str, &str); 3] = [
    ("edge-boxes.toml", include_str!("../../examples/edge-boxes.toml")),
    ("short-visits.toml", include_str!("../../examples/short-visits.toml")),
    ("cables-cut.toml", include_str!("../../examples/cables-cut.toml")),
];

/// What somebody wants to know.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// In words, for the report.
    pub words: String,
    /// The runs that answer it.
    pub plan: Plan,
    /// What is shown; everything when empty.
    pub measures: Vec<String>,
}

/// What can be measured, the columns of the main table that it stands for, and the beginnings of the names of curves.
const MEASURES: &[(&str, &[&str], &[&str])] = &[
    ("messages", &["messages of a search", "of a successful one", "bytes of a search"], &["x1"]),
    ("scope", &["indexes consulted"], &["scope"]),
    ("time", &["first answer", "in mean delays"], &["time"]),
    ("answered", &["searches answered"], &["x2-answered"]),
    ("recall", &["recall"], &["x2-recall"]),
    ("state", &["routing entries", "bytes of state", "the most of any node"], &["x6"]),
    ("join", &["messages of a join", "a join takes"], &["x7"]),
    ("maintenance", &["maintenance"], &[]),
    ("load", &["busiest over mean", "Gini"], &["x5"]),
    ("churn", &[], &["x4"]),
    ("failures", &[], &["x3"]),
    ("attacks", &[], &["x8"]),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    question: String,
    #[serde(default)]
    networks: Vec<String>,
    #[serde(default)]
    measures: Vec<String>,
    seeds: Option<u32>,
    #[serde(default)]
    population: Population,
    #[serde(default)]
    workload: Workload,
    #[serde(default)]
    churn: Churn,
    #[serde(default)]
    faults: FaultMenu,
    #[serde(default)]
    networks_own: Own,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Population {
    nodes: Option<u32>,
    newcomers: Option<u32>,
    behind_nat_percent: Option<u32>,
    mobile_percent: Option<u32>,
    mobile_delay_ms: Option<u32>,
    fit_each: Option<u32>,
    files_each: Option<f64>,
    distinct_files_each: Option<f64>,
    zipf: Option<f64>,
    same_distance: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Workload {
    queries: Option<u32>,
    ask: Option<String>,
    window_s: Option<f64>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Churn {
    sessions_s: Option<Vec<f64>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultMenu {
    loss_ppm: Option<u32>,
    vanished: Option<Vec<f64>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Own {
    gnutella_ttl: Option<u32>,
    freenet_training: Option<u32>,
}

impl Question {
    /// Reads a file's text.
    ///
    /// # Errors
    /// Says where it cannot be read, and what would be right.
    pub fn read(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|wrong| wrong.to_string().trim_end().replace('\n', " · "))?;
        let known: Vec<&str> = MEASURES.iter().map(|measure| measure.0).collect();
        if let Some(unknown) = file.measures.iter().find(|measure| !known.contains(&measure.as_str())) {
            return Err(format!("there is no measure '{unknown}'; there is {}", known.join(", ")));
        }
        let mut set: Vec<(String, String)> = Vec::new();
        let mut put = |name: &str, value: Option<String>| set.extend(value.map(|value| (name.to_owned(), value)));
        let Population { nodes, newcomers, behind_nat_percent, mobile_percent, mobile_delay_ms, .. } = file.population;
        let Population { fit_each, files_each, distinct_files_each, zipf, same_distance, .. } = file.population;
        put("newcomers", newcomers.map(|count| count.to_string()));
        put("nat-percent", behind_nat_percent.map(|percent| percent.to_string()));
        put("slow-percent", mobile_percent.map(|percent| percent.to_string()));
        put("slow-by", mobile_delay_ms.map(|delay| format!("{delay}ms")));
        put("leaves", fit_each.map(|count| count.to_string()));
        put("files-each", files_each.map(|count| count.to_string()));
        put("distinct-each", distinct_files_each.map(|count| count.to_string()));
        put("zipf", zipf.map(|exponent| exponent.to_string()));
        put("latency", same_distance.map(|same| if same { "constant" } else { "space" }.to_owned()));
        put("queries", file.workload.queries.map(|count| count.to_string()));
        put("ask", file.workload.ask);
        put("window", file.workload.window_s.map(|seconds| format!("{seconds}s")));
        put("sessions", file.churn.sessions_s.as_deref().map(list));
        put("loss-ppm", file.faults.loss_ppm.map(|ppm| ppm.to_string()));
        put("failed", file.faults.vanished.as_deref().map(list));
        put("ttl", file.networks_own.gnutella_ttl.map(|hops| hops.to_string()));
        put("training", file.networks_own.freenet_training.map(|count| count.to_string()));
        // What nobody wants to see need not be lived through.
        let trouble = ["churn", "failures", "attacks"];
        let whole = file.measures.is_empty() || file.measures.iter().any(|measure| trouble.contains(&measure.as_str()));
        put("whole", (!whole).then(|| "off".into()));
        let nodes = nodes.unwrap_or(1000).to_string();
        let plan = Plan {
            networks: file.networks,
            nodes: Some(nodes.clone()),
            sizes: vec![nodes],
            seeds: file.seeds.unwrap_or(1),
            first_seed: 1,
            set,
        };
        plan.jobs()?;
        Ok(Self { words: file.question, plan, measures: file.measures })
    }

    /// Leaves what was asked for.
    #[must_use]
    pub fn show(&self, mut comparison: Comparison) -> Comparison {
        comparison.remarks.insert(0, self.words.clone());
        if self.measures.is_empty() {
            return comparison;
        }
        let wanted = || MEASURES.iter().filter(|(name, ..)| self.measures.iter().any(|measure| measure == name));
        let columns: Vec<&str> = wanted().flat_map(|(_, columns, _)| columns.iter().copied()).collect();
        let curves: Vec<&str> = wanted().flat_map(|(.., curves)| curves.iter().copied()).collect();
        let trouble = self.measures.iter().any(|measure| ["churn", "failures", "attacks"].contains(&measure.as_str()));
        comparison.tables.retain(|table| table.name == "networks" || (table.name == "trouble" && trouble));
        for table in comparison.tables.iter_mut().filter(|table| table.name == "networks") {
            keep(table, |name| ["network", "users"].contains(&name) || columns.contains(&name));
        }
        comparison.plots.retain(|plot| curves.iter().any(|curve| plot.name.starts_with(curve)));
        comparison
    }
}

/// Leaves some columns of a table.
fn keep(table: &mut Table, wanted: impl Fn(&str) -> bool) {
    let kept: Vec<bool> = table.columns.iter().map(|column| wanted(&column.name)).collect();
    let mut places = kept.iter();
    table.columns.retain(|_| places.next() == Some(&true));
    for row in &mut table.rows {
        let mut places = kept.iter();
        row.retain(|_| places.next() == Some(&true));
    }
}

fn list(numbers: &[f64]) -> String {
    numbers.iter().map(f64::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_can_be_read() {
        for (name, text) in EXAMPLES {
            let question = Question::read(text).unwrap_or_else(|wrong| panic!("{name}: {wrong}"));
            assert!(question.words.ends_with('?'), "{name} asks nothing");
            assert!(!question.plan.jobs().unwrap().is_empty());
        }
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        for (text, says) in [
            ("", "question"),
            ("question = 'why?'\nmeasures = ['luck']", "luck"),
            ("question = 'why?'\nnetworks = ['zebra']", "zebra"),
            ("question = 'why?'\n[population]\nnodes = 5\ntail = 1", "tail"),
            ("question = 'why?'\n[workload]\nask = 'all'", "popular"),
        ] {
            let told = Question::read(text).unwrap_err();
            assert!(told.contains(says), "{text}: {told}");
            assert!(!told.contains('\n'));
        }
    }
}
