//! Plays the corpus of every target, and seeded mutations of it. `HEXAD_FUZZ_MUTATIONS` and `HEXAD_FUZZ_SEED` make it longer or other.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use hexad_fuzz::{Mutator, TARGETS, Target};

const MUTATIONS: u64 = 20_000;

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().map_or(otherwise, |value| value.parse().expect(variable))
}

/// The corpus in the order of its file names.
fn corpus(name: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let files = fs::read_dir(&folder).unwrap_or_else(|wrong| panic!("{}: {wrong}", folder.display()));
    let mut files: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    files.sort();
    files.iter().map(|path| (path.display().to_string(), fs::read(path).expect("a readable file"))).collect()
}

fn play(target: Target, bytes: &[u8], what: &str) {
    if catch_unwind(AssertUnwindSafe(|| target(bytes))).is_err() {
        let escaped: String = bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect();
        panic!("{what} does not hold; to keep it: printf '{escaped}' > fuzz/corpus/…");
    }
}

fn replay(name: &str) {
    let &(_, target) = TARGETS.iter().find(|(known, _)| *known == name).expect("a target of that name");
    let corpus = corpus(name);
    assert!(!corpus.is_empty(), "{name} has no corpus");
    for (path, bytes) in &corpus {
        play(target, bytes, path);
    }
    let corpus: Vec<Vec<u8>> = corpus.into_iter().map(|(_, bytes)| bytes).collect();
    let seed = number("HEXAD_FUZZ_SEED", 1);
    let mut mutator = Mutator::new(seed);
    // A story takes a hundred times as long as a packet.
    let otherwise = if name.ends_with("_node") { MUTATIONS / 4 } else { MUTATIONS };
    for turn in 0..number("HEXAD_FUZZ_MUTATIONS", otherwise) {
        let bytes = mutator.next(&corpus);
        play(target, &bytes, &format!("{name}, mutation {turn} of seed {seed},"));
    }
}

macro_rules! replays {
    ($($target:ident),* $(,)?) => {
        $(
            #[test]
            fn $target() {
                replay(stringify!($target));
            }
        )*

        #[test]
        fn every_target_is_replayed_and_can_be_fuzzed() {
            let names: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
            assert_eq!(names, [$(stringify!($target)),*]);
            let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
            let manifest = fs::read_to_string(folder.join("libfuzzer/Cargo.toml")).expect("the manifest for cargo fuzz");
            for name in names {
                assert!(folder.join(format!("fuzz_targets/{name}.rs")).exists(), "{name} has no file in fuzz_targets");
                assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} is not in libfuzzer/Cargo.toml");
            }
        }
    };
}

replays!(
    bencode,
    bittorrent_node,
    chord_node,
    chord_wire,
    extended,
    freenet_fcp,
    freenet_gateway,
    freenet_node,
    freenet_texts,
    freenet_wire,
    gnutella_extensions,
    gnutella_node,
    gnutella_wire,
    http_tracker,
    journal,
    kazaa_node,
    kazaa_wire,
    krpc,
    lsd,
    magnet,
    metainfo,
    napster_node,
    napster_search,
    napster_wire,
    peer_wire,
    udp_tracker
);
