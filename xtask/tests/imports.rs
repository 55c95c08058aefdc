//! Holds the table "Who imports whom" of ARCHITECTURE.md against `cargo metadata`, and the rules that no table may break.

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What a crate outside the workspace must be to be worth a word in the table.
const NOTABLE: &[&str] = &[
    "axum",
    "cap-std",
    "deadpool-postgres",
    "hickory-resolver",
    "hyper",
    "iroh",
    "mio",
    "notify",
    "quinn",
    "rayon",
    "redb",
    "reqwest",
    "rustix",
    "rustls",
    "serde",
    "serde_json",
    "socket2",
    "tokio",
    "tokio-postgres",
    "toml",
    "tower-http",
];

#[derive(Debug, Default, PartialEq, Eq)]
struct Imports {
    ours: BTreeSet<String>,
    outside: BTreeSet<String>,
}

type Table = BTreeMap<String, Imports>;

#[test]
fn the_table_of_imports_is_true() {
    let (said, done) = (written(), built());
    let mut complaints = Vec::new();
    for crate_ in said.keys().chain(done.keys()).collect::<BTreeSet<_>>() {
        match (said.get(crate_), done.get(crate_)) {
            (Some(said), Some(done)) => {
                compare(crate_, &said.ours, &done.ours, &mut complaints);
                compare(crate_, &said.outside, &done.outside, &mut complaints);
            }
            (None, _) => complaints.push(format!("`{crate_}` is a member of the workspace and not in the table")),
            (_, None) => complaints.push(format!("`{crate_}` is in the table and not a member of the workspace")),
        }
    }
    assert!(complaints.is_empty(), "ARCHITECTURE.md, \"Who imports whom\":\n{}", complaints.join("\n"));
}

#[test]
fn a_network_imports_no_other_network_and_no_runtime_and_no_serde() {
    for (crate_, imports) in built().iter().filter(|(crate_, _)| is_network(crate_)) {
        let others: Vec<_> = imports.ours.iter().filter(|other| is_network(other)).collect();
        assert!(others.is_empty(), "{crate_} imports {others:?}");
        let strangers: Vec<_> = imports.ours.iter().filter(|ours| !["core", "content", "catalogue"].contains(&ours.as_str())).collect();
        assert!(strangers.is_empty(), "{crate_} imports {strangers:?}");
        assert!(imports.outside.is_empty(), "{crate_} imports {:?}", imports.outside);
    }
}

#[test]
fn library_and_transfer_know_no_network() {
    let table = built();
    for crate_ in ["library", "transfer"] {
        let networks: Vec<_> = table[crate_].ours.iter().filter(|other| is_network(other)).collect();
        assert!(networks.is_empty(), "{crate_} imports {networks:?}");
    }
}

#[test]
fn driver_and_lab_do_not_know_each_other() {
    let table = built();
    assert!(!table["driver"].ours.contains("lab"));
    assert!(!table["lab"].ours.contains("driver"));
    assert!(!table["driver"].ours.iter().any(|other| is_network(other)), "the driver is generic over a network");
}

#[test]
fn serde_stays_where_words_are_stored_or_sent() {
    for (crate_, imports) in built() {
        let allowed = ["api", "daemon", "lab", "xtask"].contains(&crate_.as_str());
        assert!(allowed || !imports.outside.contains("serde"), "{crate_} imports serde");
    }
}

fn is_network(crate_: &str) -> bool {
    crate_.starts_with("networks/")
}

fn compare(crate_: &str, said: &BTreeSet<String>, done: &BTreeSet<String>, complaints: &mut Vec<String>) {
    complaints.extend(done.difference(said).map(|word| format!("`{crate_}` imports `{word}` and the table does not say so")));
    complaints.extend(said.difference(done).map(|word| format!("`{crate_}` is said to import `{word}` and does not")));
}

/// What the table says.
fn written() -> Table {
    let page = std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md is in the root");
    let section = page.split("\n## ").find(|section| section.starts_with("Who imports whom")).expect("the section \"Who imports whom\"");
    let rows = section.lines().filter(|line| line.starts_with('|')).skip(2);
    rows.map(|row| {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(words).collect();
        let [crate_, ours, outside] = &cells[..] else { panic!("a row has three cells: {row}") };
        let crate_ = crate_.iter().next().unwrap_or_else(|| panic!("a row names its crate: {row}"));
        (crate_.clone(), Imports { ours: ours.clone(), outside: outside.clone() })
    })
    .collect()
}

fn words(cell: &str) -> BTreeSet<String> {
    cell.split(',').map(|word| word.trim().trim_matches('`').to_owned()).filter(|word| !word.is_empty()).collect()
}

/// What the manifests say: direct normal dependencies of every member, ours by folder.
fn built() -> Table {
    let metadata = MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec().expect("cargo metadata");
    metadata.packages.iter().map(|package| (folder(&metadata, package.manifest_path.as_std_path()), imports(&metadata, package))).collect()
}

fn imports(metadata: &Metadata, package: &cargo_metadata::Package) -> Imports {
    let mut imports = Imports::default();
    for dependency in package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Normal) {
        if let Some(path) = &dependency.path {
            imports.ours.insert(folder(metadata, &path.as_std_path().join("Cargo.toml")));
        } else if NOTABLE.contains(&dependency.name.as_str()) {
            imports.outside.insert(dependency.name.clone());
        }
    }
    imports
}

fn folder(metadata: &Metadata, manifest: &Path) -> String {
    let folder = manifest.parent().expect("a manifest lies in a folder");
    folder.strip_prefix(&metadata.workspace_root).expect("members lie below the root").to_string_lossy().into_owned()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies below the root")
}
